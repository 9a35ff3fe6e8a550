"""Finding the engine for a target: a path, a URL, or a mapping."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any, Protocol, cast

from coshelf.contract import Engine, OpenOptions
from coshelf.engines.paths import engine_of, refuse_another_engine, refuse_where_it_cannot_run
from coshelf.engines.urls import OF_PATHS, has_credentials
from coshelf.errors import CoshelfError, MissingExtra, UnknownEngine
from coshelf.system.files.paths import expanded, names_directory

__all__ = ["holds_bare_pickles", "is_file", "open_engine", "refuse_credentials"]

# URL scheme to module. Other schemes come from the entry-point group below, which is read only for an unknown scheme.
_BUILT_IN = {
    "az": "coshelf.engines.objects",
    "files": "coshelf.engines.files",
    "gs": "coshelf.engines.objects",
    "lmdb": "coshelf.engines.lmdb",
    "memory": "coshelf.engines.memory",
    "postgres": "coshelf.engines.postgresql",
    "postgresql": "coshelf.engines.postgresql",
    "redis": "coshelf.engines.redis",
    "redis+cluster": "coshelf.engines.redis",
    "redis+sentinel": "coshelf.engines.redis",
    "rediss": "coshelf.engines.redis",
    "rediss+cluster": "coshelf.engines.redis",
    "rediss+sentinel": "coshelf.engines.redis",
    "s3": "coshelf.engines.objects",
    "sqlite": "coshelf.engines.sqlite",
    "valkey": "coshelf.engines.redis",
    "valkey+cluster": "coshelf.engines.redis",
    "valkey+sentinel": "coshelf.engines.redis",
    "valkeys": "coshelf.engines.redis",
    "valkeys+cluster": "coshelf.engines.redis",
    "valkeys+sentinel": "coshelf.engines.redis",
}
_OTHER_NAMES = {"abfs": "az", "azure": "az", "gcs": "gs", "pg": "postgresql", "psql": "postgresql"}
"""What other programs call these schemes. Close spellings are found without this table."""
_ENTRY_POINTS = "coshelf.engines"
_LMDB = "coshelf.engines.lmdb"
_ON_SERVERS = {"coshelf.engines.objects", "coshelf.engines.postgresql", "coshelf.engines.redis"}

# At least two characters, so that a drive letter is not a scheme.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


_Opener = Callable[[Any, OpenOptions], Engine]


class _EngineModule(Protocol):
    def open_engine(self, target: Any, options: OpenOptions) -> Engine: ...


def open_engine(target: object, options: OpenOptions) -> Engine:
    """Open the engine that a target names.

    A ``str`` that begins with ``scheme:`` is a URL. Any other str, bytes or path-like object is a path: a file or, with
    a slash at its end, a directory of the files engine. What a file is decides which engine opens it, and
    :mod:`coshelf.engines.paths` which engine makes a new one. A mutable mapping is used as it is. ``~`` at the
    beginning of a path is the home directory. Raises :class:`UnknownEngine` for a scheme without an engine.
    """
    refuse_credentials(target)
    if isinstance(target, str):
        if target.removeprefix("sqlite:") == ":memory:":
            raise UnknownEngine(
                f"{target!r} is SQLite's name for a database in memory, which one program alone has\n"
                "  hint: 'memory:' is a shelf in memory; './:memory:' is a file of this name"
            )
        scheme = _SCHEME.match(target)
        if scheme:
            name = scheme.group(1).lower()
            if name in OF_PATHS:
                refuse_where_it_cannot_run(name)
                url = expanded(target)
                if name == "lmdb":
                    refuse_another_engine(url[scheme.end() :])
                return _find(name)(url, options)
            from coshelf.engines.connections import told_if_slow

            with told_if_slow(target, options.timeout):
                return _find(name)(target, options)
    if isinstance(target, (str, bytes, os.PathLike)):
        path = expanded(target)
        engine = engine_of(path)
        refuse_where_it_cannot_run(engine)
        return _built_in(_BUILT_IN[engine]).open_engine(path, options)
    if isinstance(target, MutableMapping) or _quacks_like_dbm(target):
        return _built_in("coshelf.engines.mapping").open_engine(target, options)
    raise TypeError(
        f"a shelf is opened by a path, a URL or a mutable mapping of bytes, not by {type(target).__name__}"
        f"{_instead(target)}"
    )


def refuse_credentials(target: object) -> None:
    """Raise :class:`UnknownEngine` for a path that looks like a URL: messages would show it, with its password."""
    if not isinstance(target, str):
        return
    scheme = _SCHEME.match(target)
    name = None if scheme is None else scheme.group(1).lower()
    if scheme is None and has_credentials(target):
        raise UnknownEngine(
            "the target looks like a URL, but does not begin with a scheme and a colon. It is not shown, because it "
            "may have a password. If it is the name of a file, put './' before it or pass a pathlib.Path"
        )
    if scheme is not None and name in OF_PATHS and has_credentials(target[scheme.end() :]):
        raise UnknownEngine(
            f"a path must follow '{name}:', and this looks like a user, a password and a host. It is not shown. "
            f"If it is the name of a file, write '{name}:./' before it"
        )


def is_file(target: object) -> bool:
    """Whether a target is the path of a file of the lmdb engine, or of a file that this engine would make."""
    if isinstance(target, str) and _SCHEME.match(target):
        return False
    return isinstance(target, (str, bytes, os.PathLike)) and engine_of(expanded(target)) == "lmdb"


def is_on_server(target: object) -> bool:
    """Whether a target names a shelf on a server, whose engine :attr:`~coshelf.contract.Engine.can_be_awaited`."""
    scheme = _SCHEME.match(target) if isinstance(target, str) else None
    return scheme is not None and _BUILT_IN.get(scheme.group(1).lower()) in _ON_SERVERS


def load(target: object) -> None:
    """Import the engine of a target that :func:`is_on_server`, and its client."""
    scheme = _SCHEME.match(target) if isinstance(target, str) else None
    assert scheme is not None
    with suppress(ImportError):  # it is reported when the engine is opened
        importlib.import_module(f"{_BUILT_IN[scheme.group(1).lower()]}.engine")


def holds_bare_pickles(target: object) -> bool:
    """Whether a target names a directory of the files engine."""
    if isinstance(target, str) and (scheme := _SCHEME.match(target)):
        return scheme.group(1).lower() == "files"
    return isinstance(target, (str, bytes, os.PathLike)) and names_directory(os.fsdecode(target))


def _find(scheme: str) -> _Opener:
    module = _BUILT_IN.get(scheme)
    if module is not None:
        return _built_in(module).open_engine
    from importlib.metadata import entry_points

    found = list(entry_points(group=_ENTRY_POINTS, name=scheme))
    if found:
        return cast("_Opener", found[0].load())
    known = sorted({*_BUILT_IN, *(point.name for point in entry_points(group=_ENTRY_POINTS))})
    raise UnknownEngine(
        f"no engine is registered for URLs that begin with '{scheme}:' (known: {', '.join(known)})\n"
        f"  hint: {_near(scheme, known)}if this is the name of a file, put './' before it or pass a pathlib.Path"
    )


def _near(scheme: str, known: list[str]) -> str:
    """What the caller probably meant, as the beginning of a hint."""
    import difflib

    if scheme == "file":
        return "a file is named by its path alone, without 'file:'; "
    near = _OTHER_NAMES.get(scheme) or next(iter(difflib.get_close_matches(scheme, known, 1)), None)
    return f"did you mean '{near}:'? Or " if near else ""


def _built_in(module: str) -> _EngineModule:
    try:
        return cast("_EngineModule", importlib.import_module(module))
    except ImportError as error:
        if module != _LMDB or isinstance(error, CoshelfError) or (error.name or "").startswith("coshelf"):
            raise
        where = "in a subinterpreter" if "subinterpreter" in str(error) else "here"
        raise MissingExtra(
            f"the lmdb engine cannot be used {where}, because lmdb cannot be imported: {error}\n"
            "  hint: sqlite:PATH needs only the standard library, and works in subinterpreters "
            "and free-threaded Python",
            name="lmdb",
        ) from error


def _instead(target: object) -> str:
    if target is None:
        return "\n  hint: 'memory:' is a shelf in memory"
    if isinstance(getattr(target, "name", None), str) and hasattr(target, "read"):
        return "\n  hint: give the path of the file, not the open file"
    return ""


def _quacks_like_dbm(target: object) -> bool:
    """gdbm and ndbm objects have the methods of a mapping, but are not registered as MutableMapping."""
    return all(hasattr(target, name) for name in ("keys", "__getitem__", "__setitem__", "__delitem__"))
