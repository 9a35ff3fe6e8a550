"""``coshelf.open``: from a path, URL or mapping to a shelf."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, MutableMapping
from typing import Any

from coshelf.codecs.pickled import PickleCodec
from coshelf.engines import open_engine
from coshelf.engines.contract import EVERYTHING_GONE, Durability, Engine, Flag, OpenOptions
from coshelf.errors import Unsupported
from coshelf.namespace import Namespace
from coshelf.shelf import Handle, Shelf
from coshelf.timeouts import usable_timeout
from coshelf.writeback import WritebackCache, WritebackShelf

__all__ = ["open", "open_with_codec", "reopen"]


def open(
    target: str | bytes | os.PathLike[str] | os.PathLike[bytes] | MutableMapping[Any, bytes],
    flag: Flag = "c",
    *,
    mode: int = 0o600,
    durability: Durability = "interval",
    flush_interval: float = 1.0,
    timeout: float = 60.0,
    protocol: int | None = None,
    writeback: bool = False,
    require: Iterable[str] = (),
) -> Shelf[Any, Any]:
    """Open a shelf, a dict on disk that every process shares.

    Args:
        target: a path, a URL (``memory:``, ``lmdb:PATH``), or a mutable mapping of bytes (a dict, a dbm object).
        flag: as in ``dbm.open``: "r" existing, never written; "w" existing; "c" made if missing; "n" made, or emptied.
        mode: permission bits of a new file, whatever the umask.
        durability: "interval": a commit is safe from the death of any process when it returns, and from power loss
            within ``flush_interval``; ``sync()`` and ``close()`` wait for that. "commit": each commit waits for it.
        flush_interval: seconds between two flushes while entries are written, 0 or more.
        timeout: seconds that bound every wait for a lock, 0 or more.
        protocol: pickle protocol for writing; every protocol is read.
        writeback: keep the values that were handed out, and write back at ``sync()`` and ``close()`` those that were
            changed in place. As in ``shelve``, but only changes are written, and never over somebody else's.
        require: capabilities without which opening is refused: ``"snapshots"``, ``"exclusive=processes"``, ...

    Raises:
        ShelfNotFound, NotAShelf, FormatTooNew, DamagedShelf, ShelfPermissionError, UnsafeFilesystem,
        OpenUnderAnotherName, ShelfLocked, UnknownEngine, Unsupported: see :mod:`coshelf.errors`. What is not a shelf is
        never changed.

    >>> import coshelf, tempfile, os
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     with coshelf.open(os.path.join(directory, "recipes.shelf")) as shelf:
    ...         shelf["hello"] = 15
    ...         shelf["hello"]
    15
    """
    return open_with_codec(
        target, flag, PickleCodec(protocol),
        mode=mode, durability=durability, flush_interval=flush_interval, timeout=timeout, writeback=writeback,
        require=require,
    )  # fmt: skip


def open_with_codec(
    target: str | bytes | os.PathLike[str] | os.PathLike[bytes] | MutableMapping[Any, bytes],
    flag: Flag,
    codec: PickleCodec,
    *,
    mode: int = 0o600,
    durability: Durability = "interval",
    flush_interval: float = 1.0,
    timeout: float = 60.0,
    writeback: bool = False,
    require: Iterable[str] = (),
) -> Shelf[Any, Any]:
    """As :func:`open`, for front doors whose values are encoded in a way of their own."""
    if flag not in ("r", "w", "c", "n"):
        raise ValueError(f"flag must be 'r', 'w', 'c' or 'n', not {flag!r}")
    if durability not in ("interval", "commit"):
        raise ValueError(f"durability must be 'interval' or 'commit', not {durability!r}")
    options = OpenOptions(
        flag=flag,
        mode=mode,
        timeout=usable_timeout(timeout),
        durability=durability,
        flush_interval=usable_timeout(flush_interval),
    )
    engine = open_engine(target, options)
    try:
        _require(engine, require)
        if flag == "n":
            engine.commit(EVERYTHING_GONE)
        return _shelf(engine, codec, flag, Namespace(), writeback=writeback)
    except BaseException:
        engine.close()
        raise


def reopen(target: str, options: OpenOptions, protocol: int, writeback: bool, prefix: str) -> Shelf[Any, Any]:
    """Open a shelf, or a namespace in it, that was pickled in another process."""
    engine = open_engine(target, options)
    return _shelf(engine, PickleCodec(protocol), options.flag, Namespace(prefix), writeback=writeback)


def _shelf(engine: Engine, codec: PickleCodec, flag: Flag, namespace: Namespace, *, writeback: bool) -> Shelf[Any, Any]:
    if not writeback:
        return Shelf(Handle(engine, codec, flag, reopen), namespace)
    cache = WritebackCache(codec)
    handle = Handle(engine, codec, flag, reopen, before_close=None if flag == "r" else cache.write_back)
    return WritebackShelf(handle, namespace, cache)


def _require(engine: Engine, wanted: Iterable[str]) -> None:
    if isinstance(wanted, str):
        wanted = (wanted,)
    names = {field.name for field in dataclasses.fields(engine.capabilities)}
    for requirement in wanted:
        name, given, value = requirement.partition("=")
        if name not in names:
            raise ValueError(f"there is no capability {name!r}; there are {', '.join(sorted(names))}")
        has = getattr(engine.capabilities, name)
        if (str(has) != value) if given else not has:
            raise Unsupported(
                f"{requirement} is required, but the {engine.name} engine has {name}={has} ({engine.where})"
            )
