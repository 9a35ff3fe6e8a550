"""A drop-in for :mod:`shelve`, with the signatures of Python 3.15, over a shelf that every process shares.

``open`` makes a coshelf file at exactly that name, so that :func:`coshelf.open` on it sees the same entries; a shelf
that a dbm module made is opened in place, and :func:`migrate` converts it. As in ``shelve``, keys are str, what is
opened is trusted, and files are made 0666 less the umask. docs/coming-from-shelve.md has what differs.

>>> from coshelf import shelve
>>> import os, tempfile
>>> with tempfile.TemporaryDirectory() as directory:
...     with shelve.open(os.path.join(directory, "recipes")) as shelf:
...         shelf["hello"] = [1, 2]
...         shelf["hello"], shelf.first()
([1, 2], ('hello', [1, 2]))
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Iterator, MutableMapping
from types import TracebackType
from typing import Any, NoReturn, Self

from coshelf.bytes_face import BytesFace
from coshelf.codecs.pickled import PickleCodec
from coshelf.codecs.raw_pickles import RawPickles
from coshelf.dbm import Filename, open_face
from coshelf.ending import finalizer
from coshelf.migration import migrate
from coshelf.shelf import Shelf as Shared

__all__ = ["BsdDbShelf", "DbfilenameShelf", "Shelf", "ShelveError", "migrate", "open"]

Serializer = Callable[[Any, int], Any]
Deserializer = Callable[[Any], Any]


class ShelveError(Exception):
    """A serializer was given without a deserializer, or the reverse."""


class _ClosedDict(MutableMapping[Any, Any]):
    """Takes the place of a mapping that has been closed."""

    def _refuse(self, *_: Any) -> NoReturn:
        raise ValueError("invalid operation on closed shelf")

    __getitem__ = __setitem__ = __delitem__ = __iter__ = __len__ = keys = clear = _refuse

    def __repr__(self) -> str:
        return "<Closed Dictionary>"


class _Contents:
    """What a shelf holds, apart from the shelf, so that it can be written back once that has been collected.

    ``clean`` has what each value of the cache would have been stored as when it was put there: what is still the same
    is not written.
    """

    def __init__(
        self,
        mapping: Any,
        protocol: int,
        writeback: bool,
        keyencoding: str,
        serializer: Serializer,
        deserializer: Deserializer,
    ) -> None:
        self.dict = mapping
        self.protocol = protocol
        self.writeback = writeback
        self.keyencoding = keyencoding
        self.serializer = serializer
        self.deserializer = deserializer
        self.cache: dict[str, Any] = {}
        self.clean: dict[str, Any] = {}
        self.rests = False

    def remember(self, key: str, value: Any) -> None:
        self.cache[key] = value
        with contextlib.suppress(Exception):  # then it counts as changed, and sync() says why it cannot be stored
            self.clean[key] = self.serializer(value, self.protocol)

    def forget(self, key: str) -> None:
        self.cache.pop(key, None)
        self.clean.pop(key, None)

    def sync(self) -> None:
        failed: Exception | None = None
        for key, value in list(self.cache.items()):
            try:
                dumped = self.serializer(value, self.protocol)
                if dumped != self.clean.get(key):
                    self.dict[key.encode(self.keyencoding)] = dumped
            except Exception as error:
                failed = failed or error
            else:
                self.forget(key)
        if failed is not None:
            raise failed
        if hasattr(self.dict, "sync"):
            self.dict.sync()

    def rest(self) -> None:
        """The interpreter ends, and somebody may still write."""
        self.rests = True
        self.sync()

    def close(self) -> None:
        if isinstance(self.dict, _ClosedDict):
            return
        try:
            try:
                self.sync()
            finally:
                if hasattr(self.dict, "close"):
                    self.dict.close()
        finally:
            self.dict = _ClosedDict()


def _of_contents(name: str) -> Any:
    def get(self: Shelf) -> Any:
        return getattr(self._contents, name)

    def set(self: Shelf, value: Any) -> None:
        setattr(self._contents, name, value)

    return property(get, set)


class Shelf(MutableMapping[str, Any]):
    """A shelf over any mapping of bytes, as ``shelve.Shelf``.

    Args:
        dict: the mapping; a dbm object, a dict, or what has the same methods.
        protocol: pickle protocol for writing; None is the default one.
        writeback: keep what was handed out, and store what changed of it at ``sync()`` and ``close()``.
        keyencoding: how keys become bytes.
        serializer: called with a value and the protocol, instead of pickling; only together with ``deserializer``.
        deserializer: called with what is stored.

    Raises:
        ShelveError: only one of serializer and deserializer was given.
    """

    def __init__(
        self,
        dict: Any,
        protocol: int | None = None,
        writeback: bool = False,
        keyencoding: str = "utf-8",
        *,
        serializer: Serializer | None = None,
        deserializer: Deserializer | None = None,
    ) -> None:
        _refuse_half(serializer, deserializer)
        self._contents = _Contents(
            dict,
            pickle.DEFAULT_PROTOCOL if protocol is None else protocol,
            writeback,
            keyencoding,
            serializer or pickle.dumps,
            deserializer or pickle.loads,
        )
        self._finalizer = finalizer(self, self._contents.close, self._contents.rest)

    dict = _of_contents("dict")
    cache = _of_contents("cache")
    writeback = _of_contents("writeback")
    keyencoding = _of_contents("keyencoding")
    serializer = _of_contents("serializer")
    deserializer = _of_contents("deserializer")
    _protocol = _of_contents("protocol")

    def __iter__(self) -> Iterator[str]:
        for key in self.dict.keys():  # noqa: SIM118 (what is given may iterate in other ways)
            yield key.decode(self.keyencoding)

    def __len__(self) -> int:
        return len(self.dict)

    def __contains__(self, key: object) -> bool:
        return key.encode(self.keyencoding) in self.dict  # type: ignore[attr-defined]

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __getitem__(self, key: str) -> Any:
        try:
            return self.cache[key]
        except KeyError:
            pass
        value = self.deserializer(self.dict[key.encode(self.keyencoding)])
        if self.writeback:
            self._contents.remember(key, value)
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        dumped = self.serializer(value, self._protocol)
        self.dict[key.encode(self.keyencoding)] = dumped
        if self.writeback:
            self.cache[key], self._contents.clean[key] = value, dumped

    def __delitem__(self, key: str) -> None:
        del self.dict[key.encode(self.keyencoding)]
        self._contents.forget(key)

    def clear(self) -> None:
        """Remove all entries; nothing is unpickled."""
        self.dict.clear()
        self.cache.clear()
        self._contents.clean.clear()

    def has_key(self, key: str) -> bool:
        """Whether there is such an entry, as it was spelled in Python 2."""
        return key in self

    def sync(self) -> None:
        """Store what changed of the values handed out, and empty the cache; then sync the mapping.

        If entries cannot be stored, all others are first. Those stay in the cache, and the first error is raised.
        """
        self._contents.sync()

    def reorganize(self) -> None:
        """Sync, then have the mapping give back unused space if it has a method for that."""
        self.sync()
        if hasattr(self.dict, "reorganize"):
            self.dict.reorganize()

    def close(self) -> None:
        """Sync and close. From here on operations raise ValueError; closing again does no harm."""
        self._finalizer.detach()
        self._contents.close()

    def __del__(self) -> None:
        contents = self.__dict__.get("_contents")
        if contents is not None and contents.rests:  # the interpreter's end: finalizers are not called any more
            contents.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class BsdDbShelf(Shelf):
    """A shelf over a mapping that has a cursor: ``first``, ``next``, ``previous``, ``last`` and ``set_location``.

    Each returns a pair of key and value. At an end, or in an empty shelf, it is a KeyError, and the cursor stays.
    """

    def first(self) -> tuple[str, Any]:
        """Move to the first item."""
        return self._item(self.dict.first())

    def last(self) -> tuple[str, Any]:
        """Move to the last item."""
        return self._item(self.dict.last())

    def next(self) -> tuple[str, Any]:
        """Move to the next item; to the first, if not moved yet."""
        return self._item(next(self.dict))

    def previous(self) -> tuple[str, Any]:
        """Move to the item before; to the last, if not moved yet."""
        return self._item(self.dict.previous())

    def set_location(self, key: str | bytes) -> tuple[str, Any]:
        """Move to the item with this key or the next greater one. ``shelve`` takes bytes alone."""
        return self._item(self.dict.set_location(key.encode(self.keyencoding) if isinstance(key, str) else key))

    def _item(self, pair: tuple[bytes, Any]) -> tuple[str, Any]:
        key, value = pair
        return key.decode(self.keyencoding), self.deserializer(value)


class DbfilenameShelf(BsdDbShelf):
    """What :func:`open` returns; its arguments are the same."""

    def __init__(
        self,
        filename: Filename,
        flag: str = "c",
        protocol: int | None = None,
        writeback: bool = False,
        *,
        serializer: Serializer | None = None,
        deserializer: Deserializer | None = None,
    ) -> None:
        _refuse_half(serializer, deserializer)
        # What a serializer makes need not be a pickle: it is stored as a value of type bytes.
        codec = RawPickles() if serializer is None else PickleCodec()
        opened = open_face(filename, flag, 0o666, codec, _face)
        super().__init__(opened, protocol, writeback, serializer=serializer, deserializer=deserializer)


def open(
    filename: Filename,
    flag: str = "c",
    protocol: int | None = None,
    writeback: bool = False,
    *,
    serializer: Serializer | None = None,
    deserializer: Deserializer | None = None,
) -> DbfilenameShelf:
    """Open a shelf that any number of processes and threads may have open, as ``shelve.open``.

    Args:
        filename: its path. A new one is a coshelf file of exactly this name.
        flag: "r" existing, never written; "w" existing; "c" made if missing; "n" always new.
        protocol: pickle protocol for writing.
        writeback: keep what was handed out, and store what changed of it at ``sync()`` and ``close()``.
        serializer: called with a value and the protocol, instead of pickling; only together with ``deserializer``.
        deserializer: called with what is stored.

    Raises:
        dbm.error (OSError): it does not exist, cannot be opened, or is of an unknown kind.
        ShelveError: only one of serializer and deserializer was given.
    """
    return DbfilenameShelf(filename, flag, protocol, writeback, serializer=serializer, deserializer=deserializer)


def _face(shelf: Shared[Any, bytes]) -> BytesFace:
    return BytesFace(shelf, "", _to_str, str.encode)


def _to_str(key: Any) -> str:
    if isinstance(key, str):
        return key
    return bytes(key).decode()


def _refuse_half(serializer: Serializer | None, deserializer: Deserializer | None) -> None:
    if (serializer is None) != (deserializer is None):
        raise ShelveError("serializer and deserializer must be given together")
