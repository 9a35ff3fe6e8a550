"""The database of ``coshelf.pickleshare``: pickleshare's interface and directories, correct between processes.

It trusts the directory that it opens, as pickleshare does: reading a value runs the code that its pickle names. Files
have mode 0666 less the umask. Processes that run pickleshare may share the directory.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pickle
import time
import warnings
import zlib
from collections.abc import Callable, ItemsView, Iterator, MutableMapping, ValuesView
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Concatenate, ParamSpec, TypeVar

from coshelf.contract import EVERYTHING_GONE, Batch, Doorbell, OpenOptions, PollingBell
from coshelf.engines.files.engine import FilesEngine
from coshelf.engines.files.opening import open_engine, refuse_without_posix
from coshelf.engines.files.pickle_files import YOUNG
from coshelf.engines.files.root import RootGone
from coshelf.engines.files.stamps import Stamp
from coshelf.errors import (
    Conflict,
    DamagedRecord,
    InvalidKey,
    KeyTooLong,
    NotAShelf,
    ShelfNotFound,
    ShelfPermissionError,
)
from coshelf.keys import encode
from coshelf.system.rights import umask
from coshelf.system.threads.ending import finalizer

__all__ = ["PickleShareDB", "PickleShareLink", "gethashfile"]

_PROTOCOL = 2  # what every pickleshare reads
_COMPRESSED = "xx"
_PAUSE = 0.005
_LONGEST_SLEEP = 1.0  # a signal that comes just before a sleep is noticed after it
_TRIES = 10
_sentinel: Any = object()
_gone: Any = object()

_P = ParamSpec("_P")
_R = TypeVar("_R")


class _NoRoot(KeyError):
    """The directory does not exist, so it has no keys."""


def _going_on(
    method: Callable[Concatenate[PickleShareDB, _P], _R],
) -> Callable[Concatenate[PickleShareDB, _P], _R]:
    """A method that begins again if the directory was removed or replaced meanwhile, and nothing was written."""

    @functools.wraps(method)
    def again(self: PickleShareDB, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        for _ in range(_TRIES):
            with suppress(RootGone):
                return method(self, *args, **kwargs)
        return method(self, *args, **kwargs)

    return again


def gethashfile(key: Any) -> str:
    """The bucket of a new key in a hashed category. It is the same in every process; that of pickleshare is not."""
    hash(key)
    number = hash(key) if isinstance(key, (int, float, complex)) else zlib.crc32(repr(key).encode("utf-8", "replace"))
    return f"{number % 256:02x}"


class PickleShareDB(MutableMapping[str, Any]):
    """A directory in which each value is a pickle in a file, and each key is the path of its file."""

    def __init__(self, root: Any) -> None:
        self.root = Path(os.path.abspath(os.path.expanduser(str(root))))
        self.cache: dict[Path, tuple[Any, Any]] = {}
        self._open()

    def _open(self) -> None:
        refuse_without_posix()
        self.root.mkdir(parents=True, exist_ok=True)
        self._opened = self._opened_now()
        finalizer(self, self._opened.close, self._opened.rest)

    def _opened_now(self) -> FilesEngine:
        self._keys_in_buckets: dict[str, tuple[Stamp, frozenset[Any]]] = {}
        options = OpenOptions(flag="w", mode=0o666 & ~umask.current())
        return open_engine(f"files:{self.root}", options, as_pickleshare=True)

    @property
    def _engine(self) -> FilesEngine:
        """The engine on the directory that is at the path now. KeyError if there is none."""
        engine = self._opened
        if not engine.is_in_place():
            try:
                engine = self._opened_now()
            except ShelfNotFound:
                raise _NoRoot(str(self.root)) from None
            engine.close_when_unused()
            self._opened = engine
        return engine

    @property
    def _made_engine(self) -> FilesEngine:
        """The engine to write with. If the directory was removed, it is made again."""
        while True:
            try:
                return self._engine
            except _NoRoot:
                self.root.mkdir(parents=True, exist_ok=True)

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "cache": self.cache}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def _encoded(self, key: Any) -> bytes:
        path = PurePosixPath(key)
        if path.is_absolute() and path.is_relative_to(self.root):
            path = path.relative_to(self.root)
        return encode(str(path))

    def __getitem__(self, key: Any) -> Any:
        path, encoded = self.root / key, self._encoded(key)
        try:
            stamp = self._engine.stamp(encoded)
            if stamp is None:
                raise KeyError(key)
            if path in self.cache and self.cache[path][1] == stamp:
                return self.cache[path][0]
            value = self._load(encoded)
        except KeyError:
            raise KeyError(key) from None
        except Exception as error:
            raise KeyError(key) from error
        self.cache[path] = (value, stamp)
        return value

    def _load(self, encoded: bytes) -> Any:
        """The value. It is read again while an old process may be writing it."""
        until = time.monotonic() + YOUNG
        while True:
            entry = self._engine.get(encoded)
            if entry is None:
                raise KeyError(encoded)
            data = entry.record if entry.record[0] != 1 else entry.record[1:]
            try:
                return pickle.loads(data)
            except UnicodeDecodeError:
                return pickle.loads(data, encoding="latin-1")  # a str of Python 2
            except Exception:
                if time.monotonic() > until or self._engine.age(encoded) > YOUNG:
                    raise
                time.sleep(_PAUSE)

    @_going_on
    def __setitem__(self, key: Any, value: Any) -> None:
        self._made_engine.put(self._encoded(key), pickle.dumps(value, _PROTOCOL))
        self.cache[self.root / key] = (value, None)

    @_going_on
    def __delitem__(self, key: Any) -> None:
        self.cache.pop(self.root / key, None)
        try:
            self._engine.commit(Batch(deletes=frozenset((self._encoded(key),))))
        except (InvalidKey, KeyTooLong, NotAShelf, ShelfPermissionError, _NoRoot):
            pass  # as pickleshare, which ignores keys that it cannot delete

    @_going_on
    def pop(self, key: Any, default: Any = _sentinel) -> Any:
        """Remove a value and return it. Only one of several processes gets it. A value that cannot be read stays."""
        try:
            with self._engine.exclusive() as lock:
                value = self[key]
                lock.commit(Batch(deletes=frozenset((self._encoded(key),))))
        except KeyError as error:
            if default is not _sentinel:
                return default
            raise KeyError(key) from error.__cause__
        self.cache.pop(self.root / key, None)
        return value

    @_going_on
    def popitem(self) -> tuple[str, Any]:
        """Remove and return an item that can be read. Only one of several processes gets it."""
        for key in self:
            value = self.pop(key, _gone)
            if value is not _gone:
                return key, value
        raise KeyError("popitem(): there is nothing left")

    @_going_on
    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key. If the key is missing, store ``default``."""
        with self._made_engine.exclusive() as lock:
            try:
                return self[key]
            except KeyError:
                lock.commit(Batch(puts={self._encoded(key): pickle.dumps(default, _PROTOCOL)}))
                return default

    def items(self) -> ItemsView[str, Any]:
        """A view of keys and values. It skips values that are removed during an iteration."""
        return _FileItems(self)

    def values(self) -> ValuesView[Any]:
        """A view of the values. It skips values that are removed during an iteration."""
        return _FileValues(self)

    @_going_on
    def clear(self) -> None:
        """Remove every value, in one step. Files that are not pickles stay."""
        self.cache = {}
        with suppress(_NoRoot):
            self._engine.commit(EVERYTHING_GONE)

    @_going_on
    def replace_all(self, data: dict[str, Any]) -> None:
        """Replace all values by others. If a key is not usable, nothing changes."""
        puts = {self._encoded(key): pickle.dumps(value, _PROTOCOL) for key, value in data.items()}
        self.cache = {}
        self._made_engine.commit(dataclasses.replace(EVERYTHING_GONE, puts=puts))

    def keys(self, globpat: str | None = None) -> list[str]:  # type: ignore[override]
        """All keys, or those that match a glob of :meth:`pathlib.Path.glob`."""
        try:
            engine = self._engine
        except _NoRoot:
            return []
        if globpat is None:
            return engine.paths()
        found = [path.relative_to(self.root) for path in self.root.glob(globpat) if ".." not in path.parts]
        return [path.as_posix() for path in found if engine.stamp(encode(path.as_posix())) is not None]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def uncache(self, *items: Any) -> None:
        """Forget the cached values of some keys; without keys, all."""
        if not items:
            self.cache = {}
        for item in items:
            self.cache.pop(self.root / item, None)

    def waitget(self, key: Any, maxwaittime: float = 60) -> Any:
        """Wait until the key exists, and return its value. KeyError after ``maxwaittime`` seconds."""
        until = time.monotonic() + maxwaittime
        listened, bell = self._bell(key)
        while True:
            sequence = bell.sequence()
            try:
                return self[key]
            except KeyError:
                if time.monotonic() > until:
                    raise
            bell.wait(sequence, max(0.0, min(until - time.monotonic(), _LONGEST_SLEEP)))
            if listened is None or not listened.is_in_place():
                listened, bell = self._bell(key)

    def _bell(self, key: Any) -> tuple[FilesEngine | None, Doorbell]:
        """The doorbell for a key, and its engine. If there is no directory, a bell that polls."""
        try:
            engine = self._engine
        except _NoRoot:
            return None, PollingBell()
        return engine, engine.doorbell(self._encoded(key))

    # --- hashed categories -------------------------------------------------------------------------------------------

    def _bucket_keys(self, hashroot: str) -> list[str]:
        """The buckets of a category. If several have a key, the last one counts."""
        return sorted(self._stamps(hashroot), key=_strength)

    def _stamps(self, hashroot: str) -> dict[str, Stamp]:
        try:
            return self._engine.stamps(f"{hashroot}/")
        except _NoRoot:
            return {}

    def _buckets_with(self, hashroot: str, key: Any) -> list[str]:
        """The buckets that have a key; the last one counts. Only buckets that changed since the last call are read."""
        if isinstance(key, (int, float)):  # always in the same bucket, also with pickleshare, or in the compressed one
            names = [f"{hashroot}/{_COMPRESSED}", f"{hashroot}/{gethashfile(key)}"]
            return [name for name in names if key in self._bucket(name)]
        found = self._stamps(hashroot)
        for name, stamp in found.items():
            known = self._keys_in_buckets.get(name)
            if known is None or known[0] != stamp:
                self._keys_in_buckets[name] = stamp, frozenset(self._bucket(name))
        return [name for name in sorted(found, key=_strength) if key in self._keys_in_buckets[name][1]]

    @_going_on
    def hset(self, hashroot: str, key: Any, value: Any) -> None:
        """Set a key of a hashed category."""
        with self._made_engine.exclusive() as lock:
            having = [name for name in self._buckets_with(hashroot, key) if not name.endswith(f"/{_COMPRESSED}")]
            target = having[-1] if having else f"{hashroot}/{gethashfile(key)}"
            bucket = self._bucket(target) | {key: value}
            lock.commit(Batch(puts={encode(target): pickle.dumps(bucket, _PROTOCOL)}))

    def _bucket(self, name: str) -> dict[Any, Any]:
        """A bucket; empty if it does not exist or is broken."""
        try:
            return dict(self._load(encode(name)))
        except (KeyError, DamagedRecord):
            return {}

    def hget(self, hashroot: str, key: Any, default: Any = _sentinel, fast_only: bool = True) -> Any:
        """The value of a key of a hashed category, from any bucket. KeyError if it is missing, without a default."""
        for name in reversed(self._buckets_with(hashroot, key)):
            bucket = self._bucket(name)
            if key in bucket:  # it may have been removed meanwhile
                return bucket[key]
        if default is _sentinel:
            raise KeyError(key)
        return default

    def hdict(self, hashroot: str) -> dict[Any, Any]:
        """A whole hashed category. A broken bucket is left out, with a warning, and stays."""
        merged: dict[Any, Any] = {}
        for name in self._bucket_keys(hashroot):
            try:
                merged.update(self._load(encode(name)))
            except KeyError:
                continue  # removed meanwhile
            except DamagedRecord:
                warnings.warn(f"bucket {name} of {self!r} is broken", stacklevel=2)
        return merged

    @_going_on
    def hcompress(self, hashroot: str) -> None:
        """Put all of a hashed category into one bucket. If a bucket is broken, raise KeyError and change nothing."""
        while True:
            with self._made_engine.exclusive() as lock:
                names = self._bucket_keys(hashroot)
                merged: dict[Any, Any] = {}
                checks = {}
                for name in names:
                    entry = self._engine.get(encode(name)) if name in self else None
                    if entry is None:
                        raise KeyError(name)
                    checks[encode(name)] = entry.version
                    merged.update(self._load(encode(name)))
                target = encode(f"{hashroot}/{_COMPRESSED}")
                try:
                    lock.commit(
                        Batch(
                            puts={target: pickle.dumps(merged, _PROTOCOL)},
                            deletes=frozenset(encode(name) for name in names) - {target},
                            checks=checks,
                        )
                    )
                except Conflict:
                    continue  # an old process wrote
                return

    def getlink(self, folder: str) -> PickleShareLink:
        """The keys below a folder as attributes."""
        return PickleShareLink(self, folder)

    def __repr__(self) -> str:
        return f"PickleShareDB('{self.root}')"


class PickleShareLink:
    """The keys below a folder as attributes."""

    def __init__(self, db: PickleShareDB, keydir: str) -> None:
        self.__dict__.update(db=db, keydir=keydir)

    def __getattr__(self, key: str) -> Any:
        return self.__dict__["db"][f"{self.__dict__['keydir']}/{key}"]

    def __setattr__(self, key: str, value: Any) -> None:
        self.__dict__["db"][f"{self.__dict__['keydir']}/{key}"] = value

    def __repr__(self) -> str:
        keydir = self.__dict__["keydir"]
        names = ";".join(PurePosixPath(key).name for key in self.__dict__["db"].keys(f"{keydir}/*"))
        return f"<PickleShareLink '{keydir}': {names}>"


class _FileItems(ItemsView[str, Any]):
    _mapping: PickleShareDB

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for key in self._mapping:
            try:
                value = self._mapping[key]
            except KeyError as error:
                if error.__cause__ is not None:  # it is there, and cannot be read
                    raise
            else:
                yield key, value


class _FileValues(ValuesView[Any]):
    _mapping: PickleShareDB

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in _FileItems(self._mapping))


def _strength(bucket: str) -> tuple[bool, str]:
    """The sort key of buckets in :meth:`PickleShareDB.hdict`: compressed ones come first, so that others override."""
    return not bucket.endswith(f"/{_COMPRESSED}"), bucket
