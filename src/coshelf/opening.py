"""``coshelf.open``: from a path, URL or mapping to a shelf."""

from __future__ import annotations

import builtins
import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, MutableMapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Never, TypedDict, TypeVar, overload

from coshelf.contract import Durability, Engine, Flag, OpenOptions
from coshelf.engines import holds_bare_pickles, open_engine
from coshelf.errors import Unsupported
from coshelf.mapping.handle import Handle
from coshelf.mapping.namespace import Namespace
from coshelf.mapping.shelf import Shelf
from coshelf.system.option_names import hiding_unknown, refuse_unknown
from coshelf.system.waiting.timeouts import usable_timeout
from coshelf.trust.policy import Policy, policy
from coshelf.values.choosing import start_afresh

if TYPE_CHECKING:
    from typing import Unpack

    import typing_extensions

    from coshelf.values.compression import Zstd
    from coshelf.values.front_doors import FrontDoor
    from coshelf.values.limiting import AskedLimits
    from coshelf.values.limits import Eviction

    # The keys of a shelf with a type are str, unless its annotation says otherwise.
    K = typing_extensions.TypeVar("K", default=str)

V = TypeVar("V")

__all__ = ["Codec", "Options", "Target", "open", "open_with_codec", "reopen"]

Codec = Literal["pickle", "msgspec", "json", "bytes", "str"]
Target = str | bytes | os.PathLike[str] | os.PathLike[bytes] | MutableMapping[Any, bytes]


class Options(TypedDict, total=False):
    """The options of :func:`open`, but for ``type=``."""

    mode: int
    durability: Durability
    flush_interval: float
    timeout: float
    protocol: int | None
    writeback: bool
    require: Iterable[str]
    trust: bool | None
    allow: Iterable[Callable[..., Any]]
    sign: bytes | Iterable[bytes]
    codec: Codec | None
    compress: Literal["zstd", False] | Zstd | None
    encrypt: bytes | Iterable[bytes]
    recode: bool
    expire: float | timedelta | Literal[False] | None
    max_bytes: int | str | None
    max_entries: int | None
    evict: Eviction | None


@overload
def open(target: Target, flag: Flag = "c", *, type: builtins.type[V], **options: Unpack[Options]) -> Shelf[K, V]: ...
@overload
def open(  # with the options themselves: then a type checker says which one does not exist
    target: Target,
    flag: Flag = "c",
    *,
    mode: int = 0o600,
    durability: Durability = "interval",
    flush_interval: float = 1.0,
    timeout: float = 60.0,
    protocol: int | None = None,
    writeback: bool = False,
    require: Iterable[str] = (),
    trust: bool | None = None,
    allow: Iterable[Callable[..., Any]] = (),
    sign: bytes | Iterable[bytes] = (),
    codec: Codec | None = None,
    type: Any = None,
    compress: Literal["zstd", False] | Zstd | None = None,
    encrypt: bytes | Iterable[bytes] = (),
    recode: bool = False,
    expire: float | timedelta | Literal[False] | None = None,
    max_bytes: int | str | None = None,
    max_entries: int | None = None,
    evict: Eviction | None = None,
    **unknown: Never,
) -> Shelf[Any, Any]: ...
@hiding_unknown
def open(  # noqa: D417 (unknown takes only what is refused)
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
    trust: bool | None = None,
    allow: Iterable[Callable[..., Any]] = (),
    sign: bytes | Iterable[bytes] = (),
    codec: Codec | None = None,
    type: Any = None,
    compress: Literal["zstd", False] | Zstd | None = None,
    encrypt: bytes | Iterable[bytes] = (),
    recode: bool = False,
    expire: float | timedelta | Literal[False] | None = None,
    max_bytes: int | str | None = None,
    max_entries: int | None = None,
    evict: Eviction | None = None,
    **unknown: object,
) -> Shelf[Any, Any]:
    """Open a shelf, a dict on disk that every process shares.

    Args:
        target: a path, a URL (``memory:``, ``sqlite:PATH``), or a mutable mapping of bytes (a dict, a dbm object). What
            a file is decides, whatever its name. docs/reference/open.md lists every scheme of a URL.
        flag: as in ``dbm.open``. "r": an existing shelf, only read. "w": an existing shelf. "c": made if missing. "n":
            made, or emptied.
        mode: permission bits of a new file, whatever the umask: 0o600 unless given.
        durability: "interval": a commit that returned survives the death of any process, and power loss after at most
            ``flush_interval``; ``sync()`` and ``close()`` wait for that. "commit": each commit waits for it.
        flush_interval: seconds between two flushes while entries are written, 0 or more.
        timeout: the longest wait for a lock in seconds, 0 or more.
        protocol: pickle protocol for writing, 5 by default. Every protocol is read.
        writeback: keep the values that were read. ``sync()`` and ``close()`` write back those that were changed in
            place. As in ``shelve``, but only changes are written, and never over the changes of other processes.
        require: capabilities without which opening is refused: names of attributes of :class:`coshelf.Capabilities`
            that must not be false (``"snapshots"``), or ``"name=value"`` (``"exclusive=processes"``).
        trust: True: values may be any objects, so loading one may run code. False: values are plain data, and reading
            anything else raises :class:`~coshelf.errors.UntrustedValue`. None: as True if this user made the shelf on
            this machine and no other user can write it. Otherwise as False, and storing anything else raises
            :class:`~coshelf.errors.UnwritableValue`.
        allow: classes and functions that are loaded beside plain data if the shelf is not trusted.
        sign: a secret of 16 bytes or more, with which each stored value is signed. A signed value may be any object. A
            value without a valid signature for its key raises :class:`~coshelf.errors.UntrustedValue`, before anything
            is unpickled. If several secrets are given, the first signs, and each is valid for reading.
        codec: how values become bytes: "pickle" (any object), "msgspec" (msgpack), "json", "bytes" or "str". A value
            that would not be read back equal is refused. None: what the shelf remembers, and "pickle" for a new one.
        type: the type of all values, in annotations that msgspec knows (a Struct, a dataclass, a TypedDict,
            ``dict[str, int]``). With codec "msgspec" and "json" values are validated when they are written and read.
            One that does not fit raises :class:`~coshelf.errors.UnwritableValue` when it is written, and
            :class:`~coshelf.errors.TypeMismatch` when it is read. Without ``codec`` it asks for "msgspec". The shelf
            does not remember the type: without it, values are read as builtins.
        compress: "zstd", or :class:`coshelf.Zstd` for another level. A value is stored compressed if that makes it
            smaller. False: values are not compressed any longer. None: what the shelf remembers.
        encrypt: a secret of 16 bytes or more, with which values are encrypted; keys are not. If several secrets are
            given, the first encrypts, and each is valid for reading. An encrypted shelf does not open without its
            secret.
        recode: write with these options from now on, even if the shelf remembers other ones. Existing values stay
            readable.
        expire: seconds, or a timedelta, after which entries expire that are stored without a time. The shelf remembers
            it. Entries that it has already stay as they are. False: no longer. None: what the shelf remembers.
        max_bytes: how many bytes the entries may take, as a number or as text ("500 MB", "2 GiB"). What is more goes at
            each flush. The shelf remembers it. False: no limit. None: what the shelf remembers. docs/caching.md says
            what an entry counts.
        max_entries: how many entries the shelf may have. The same holds for it.
        evict: which entries go: "sieve" (the default) and "lru" keep what is read, "lfu" what is read often, "fifo"
            what was stored last. "expired": only what has expired; then storing raises
            :class:`~coshelf.errors.StorageFull`.

    Raises:
        ShelfNotFound: no shelf exists there and ``flag`` makes none, or its directory does not exist.
        NotAShelf, FormatTooNew: the file is something else, or of a later version. It is never changed.
        DamagedShelf: pages of the file are not what was written.
        ShelfPermissionError: this user may not read or write it.
        UnsafeFilesystem, OpenUnderAnotherName: processes could not see each other's locks.
        ShelfLocked: another process kept a lock for longer than the timeout.
        UnknownEngine, MissingExtra: no engine has the scheme of the URL, or an optional package is missing.
        Unsupported: the engine lacks what ``require`` or another option asks for.
        CodecMismatch, WrongKey: the shelf remembers other ways to write values, or another secret.
        InvalidLimit, InvalidExpiry: ``max_bytes``, ``max_entries``, ``evict`` or ``expire`` is not possible.
        ValueError: the flag or another option is not possible.
        TypeError: the target is not a path, URL or mapping; or an option does not exist.

    >>> import coshelf, tempfile, os
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     with coshelf.open(os.path.join(directory, "recipes.shelf")) as shelf:
    ...         shelf["hello"] = 15
    ...         shelf["hello"]
    15
    """
    if unknown:
        refuse_unknown(unknown, [*Options.__annotations__, "type"])
    asked = None
    if codec is not None or type is not None or compress is not None or encrypt or recode or expire is not None:
        from coshelf.values import settings

        asked = settings.asked(codec, type, compress, encrypt, recode=recode, expire=expire)
    limits = None
    if max_bytes is not None or max_entries is not None or evict is not None:
        from coshelf.values import limiting

        limits = limiting.asked_limits(max_bytes, max_entries, evict)
    return open_with_codec(
        target, flag, policy(protocol, trust, allow, sign, asked),
        mode=mode, durability=durability, flush_interval=flush_interval, timeout=timeout, writeback=writeback,
        require=require, limits=limits,
    )  # fmt: skip


def open_with_codec(
    target: str | bytes | os.PathLike[str] | os.PathLike[bytes] | MutableMapping[Any, bytes],
    flag: Flag,
    how: Policy | FrontDoor,
    *,
    mode: int = 0o600,
    durability: Durability = "interval",
    flush_interval: float = 1.0,
    timeout: float = 60.0,
    writeback: bool = False,
    require: Iterable[str] = (),
    limits: AskedLimits | None = None,
) -> Shelf[Any, Any]:
    """As :func:`open`, for front doors with their own encoding of values."""
    if flag not in ("r", "w", "c", "n"):
        raise ValueError(
            f"unknown flag {flag!r}: it must be 'r' (only read), 'w' (read and write), 'c' (made if missing) or "
            "'n' (made, or emptied)"
        )
    if durability not in ("interval", "commit"):
        raise ValueError(f"durability must be 'interval' or 'commit', not {durability!r}")
    if not isinstance(mode, int):
        raise TypeError(f"mode is a number of permission bits such as 0o600, not {type(mode).__name__}")
    options = OpenOptions(
        flag=flag,
        mode=mode,
        timeout=usable_timeout(timeout),
        durability=durability,
        flush_interval=usable_timeout(flush_interval),
        trusted=how.trusts,
    )
    if holds_bare_pickles(target):
        how.refuse_bare_pickles("files")
    engine = open_engine(target, options)
    try:
        require_capabilities(engine, require)
        if flag == "n":
            start_afresh(engine)
        if limits is not None:
            from coshelf.values import limiting

            limiting.settle_limits(engine, flag, limits)
        return _shelf(engine, how, flag, Namespace(), writeback=writeback)
    except BaseException:
        engine.close()
        raise


def reopen(how: Policy | FrontDoor, target: str, options: OpenOptions, writeback: bool, prefix: str) -> Shelf[Any, Any]:
    """Open a shelf, or a namespace in it, that was pickled in another process."""
    return _shelf(open_engine(target, options), how, options.flag, Namespace(prefix), writeback=writeback)


def _shelf(
    engine: Engine, how: Policy | FrontDoor, flag: Flag, namespace: Namespace, *, writeback: bool
) -> Shelf[Any, Any]:
    codec = how.codec(engine, flag)
    again = functools.partial(reopen, how)
    if not writeback:
        return Shelf(Handle(engine, codec, flag, again), namespace)
    from coshelf.mapping.writeback import WritebackCache, WritebackShelf

    cache = WritebackCache(codec, engine.now)
    handle = Handle(engine, codec, flag, again, before_close=None if flag == "r" else cache.write_back)
    return WritebackShelf(handle, namespace, cache)


def require_capabilities(engine: Engine, wanted: Iterable[str]) -> None:
    """Raise :class:`Unsupported` if an engine lacks one of these capabilities, as ``require=`` of :func:`open`."""
    if isinstance(wanted, str):
        wanted = (wanted,)
    names = {field.name for field in dataclasses.fields(engine.capabilities)}
    for requirement in wanted:
        name, given, value = requirement.partition("=")
        if name not in names:
            raise ValueError(f"unknown capability {name!r}; the capabilities are {', '.join(sorted(names))}")
        has = getattr(engine.capabilities, name)
        if (str(has) != value) if given else not has:
            raise Unsupported(
                f"{requirement} is required, but the {engine.name} engine has {name}={has} ({engine.where})"
            )
