"""A drop-in for :mod:`shelve`, with the signatures of Python 3.15, over a shelf that every process shares.

``open`` makes a coshelf file of exactly that name, and :func:`coshelf.open` shows the same entries. A shelf that a dbm
module made is opened as it is, and :func:`migrate` converts it. As in ``shelve``, keys are str, a shelf that is opened
is trusted, and files have mode 0666 less the umask. docs/coming-from-shelve.md says what differs.

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
import os
import pickle
import weakref
from collections.abc import Callable, ItemsView, Iterator, MutableMapping, ValuesView
from io import BytesIO
from pickle import DEFAULT_PROTOCOL, Pickler, Unpickler
from types import TracebackType
from typing import Any, NoReturn, Self

from coshelf.dbm import Filename, open_face
from coshelf.dropin.bytes_face import BytesFace
from coshelf.dropin.migration import migrate
from coshelf.dropin.shelve_cache import KeptValues
from coshelf.errors import DamagedRecord, DamagedShelf, ShelfClosed
from coshelf.mapping.shelf import Shelf as Shared
from coshelf.mapping.transaction import MISSING
from coshelf.values.front_doors import PICKLES, RAW_PICKLES

__all__ = ["BsdDbShelf", "DbfilenameShelf", "Shelf", "ShelveError", "migrate", "open"]

Serializer = Callable[[Any, int], Any]
Deserializer = Callable[[Any], Any]


class ShelveError(Exception):
    """A serializer was given without a deserializer, or the reverse."""


class DamagedPickle(DamagedRecord, pickle.UnpicklingError):
    """A record is damaged. It is an ``UnpicklingError``, which programs for ``shelve`` expect from a damaged file."""


class _ClosedDict(MutableMapping[Any, Any]):
    """Takes the place of a mapping that has been closed."""

    def _refuse(self, *_: Any) -> NoReturn:
        raise ValueError("invalid operation on closed shelf")

    __getitem__ = __setitem__ = __delitem__ = __iter__ = __len__ = keys = clear = _refuse

    def __repr__(self) -> str:
        return "<Closed Dictionary>"


def _pickled(value: Any, protocol: int) -> bytes:
    """Pickle with this module's ``Pickler``, which programs may replace, for example by dill's."""
    if Pickler is pickle.Pickler:
        return pickle.dumps(value, protocol)
    file = BytesIO()
    Pickler(file, protocol).dump(value)
    return file.getvalue()


def _unpickled(stored: Any) -> Any:
    """Unpickle with this module's ``Unpickler``, which programs may replace."""
    if Unpickler is pickle.Unpickler:
        return pickle.loads(stored)
    return Unpickler(BytesIO(stored)).load()


class Shelf(MutableMapping[str, Any]):
    """A shelf over any mapping of bytes, as ``shelve.Shelf``. Programs may subclass it.

    Args:
        dict: the mapping: a dbm object, a dict, or an object with the same methods.
        protocol: pickle protocol for writing; None is the default one.
        writeback: keep the values that were read, and store changed ones at ``sync()`` and ``close()``.
        keyencoding: the encoding of keys.
        serializer: called with a value and the protocol, instead of pickling; only together with ``deserializer``.
        deserializer: called with the stored bytes.

    Raises:
        ShelveError: only one of serializer and deserializer was given.
    """

    dict: Any
    writeback: bool

    # For subclasses that set the attributes themselves and do not call __init__.
    serializer: Serializer = staticmethod(_pickled)
    deserializer: Deserializer = staticmethod(_unpickled)

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
        self.dict = dict
        self._protocol = DEFAULT_PROTOCOL if protocol is None else protocol
        self.writeback = writeback
        self.cache: Any = {}
        self.keyencoding = keyencoding
        self.serializer = serializer or _pickled
        self.deserializer = deserializer or _unpickled
        self._kept = KeptValues()
        self._watch_exit()

    # --- the mapping -------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[str]:
        for key in self.dict.keys():  # noqa: SIM118 (the mapping may iterate over something else)
            yield key.decode(self.keyencoding)

    def __len__(self) -> int:
        return len(self.dict)

    def __contains__(self, key: object) -> bool:
        return key.encode(self.keyencoding) in self.dict  # type: ignore[attr-defined]

    def get(self, key: str, default: Any = None) -> Any:
        # A __getitem__ of a subclass may return a value for every key. It is not called for missing keys.
        if type(self).__getitem__ is not Shelf.__getitem__ and key.encode(self.keyencoding) not in self.dict:
            return default
        try:
            return self[key]
        except KeyError:
            return default

    def __getitem__(self, key: str) -> Any:
        if self.writeback:
            return self._kept_values().get(self, key)
        try:
            return self.cache[key]
        except KeyError:
            pass
        return self.deserializer(self.dict[key.encode(self.keyencoding)])

    def __setitem__(self, key: str, value: Any) -> None:
        if self.writeback:
            self._kept_values().set(self, key, value)
        else:
            self.dict[key.encode(self.keyencoding)] = self.serializer(value, self._protocol)

    def __delitem__(self, key: str) -> None:
        if self.writeback:
            self._kept_values().delete(self, key)
        else:
            del self.dict[key.encode(self.keyencoding)]
            self.cache.pop(key, None)

    def items(self) -> ItemsView[str, Any]:
        """A view of the items. It skips items that are removed meanwhile."""
        return _ShelveItems(self)

    def values(self) -> ValuesView[Any]:
        """A view of the values. It skips values that are removed meanwhile."""
        return _ShelveValues(self)

    def pop(self, key: str, default: Any = MISSING) -> Any:
        """Remove an entry and return its value. An entry that cannot be unpickled stays."""
        try:
            value = self[key]
            del self[key]
        except KeyError:
            if default is MISSING:
                raise
            return default
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove and return an item."""
        for key in self:
            try:
                return key, self.pop(key)
            except KeyError:  # another thread or process removed it
                if key in self:
                    raise
        raise KeyError("popitem(): the shelf is empty")

    def clear(self) -> None:
        """Remove all entries. Nothing is unpickled."""
        if type(self).__delitem__ is not Shelf.__delitem__ or not hasattr(self.dict, "clear"):
            for key in list(self):
                del self[key]
        elif self.writeback:
            self._kept_values().clear(self)
        else:
            self.cache.clear()
            self.dict.clear()

    def has_key(self, key: str) -> bool:
        """Whether the key exists. The method is from Python 2."""
        return key in self

    # --- writing back ------------------------------------------------------------------------------------------------

    def _kept_values(self) -> KeptValues:
        """What the shelf knows about the values in the cache."""
        try:
            kept = self._kept
        except AttributeError:  # of a subclass that does not call __init__
            kept = self.__dict__.setdefault("_kept", KeptValues())
        if kept.pid != os.getpid():
            self._kept = kept = kept.of_child(self.cache)
        return kept

    @property
    def _is_plain(self) -> bool:
        """Whether this class stores values, and not a subclass that encrypts or packs them."""
        return type(self).__setitem__ is Shelf.__setitem__

    def sync(self) -> None:
        """Store changed values, and empty the cache. Then sync the mapping.

        If entries cannot be stored, they stay in the cache, all others are stored, and then the first error is raised.
        A value that another thread has read stays in the cache until that thread syncs, because that thread may change
        it.
        """
        try:
            if self.writeback and self.cache and not isinstance(self.dict, _ClosedDict):
                self._kept_values().write_back(self, plain=self._is_plain)
        finally:
            if hasattr(self.dict, "sync"):
                self.dict.sync()

    def reorganize(self) -> None:
        """Sync. Then let the mapping give back unused space, if it has a method for that."""
        self.sync()
        if hasattr(self.dict, "reorganize"):
            self.dict.reorganize()

    def close(self) -> None:
        """Sync and close. Later operations raise ValueError. It may be closed again."""
        if self.dict is None:
            return
        try:
            try:
                self.sync()
            finally:
                if hasattr(self.dict, "close"):
                    self.dict.close()
        finally:
            self.dict = _ClosedDict()
            if "_finalizer" in self.__dict__:
                self._finalizer.detach()

    def __del__(self) -> None:
        # __init__ may have failed, or this module may be gone. In the second case the cache was stored at exit.
        if hasattr(self, "writeback") and _ClosedDict is not None:
            self._leave_to_parent()
            self.close()

    def _watch_exit(self) -> None:
        """If the shelf is never closed, write back at exit, while the program's classes can still be pickled."""
        self._finalizer = weakref.finalize(self, _write_back_at_exit, weakref.ref(self))

    def _leave_to_parent(self) -> None:
        """Forget the changes of the parent process to values that this process has not read."""
        if self.writeback and self.cache:
            self._kept_values().forget_inherited(self.cache)

    def __getstate__(self) -> Any:
        """The state for another process, without the cache: this process writes its changes."""
        state = {name: value for name, value in self.__dict__.items() if name not in ("_kept", "_finalizer")}
        return state | {"cache": {}}

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state)
        self._watch_exit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _ShelveItems(ItemsView[str, Any]):
    _mapping: Shelf

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for key in self._mapping:
            try:
                value = self._mapping[key]
            except KeyError:
                if key in self._mapping:
                    raise
            else:
                yield key, value


class _ShelveValues(ValuesView[Any]):
    _mapping: Shelf

    def __iter__(self) -> Iterator[Any]:
        for _, value in _ShelveItems(self._mapping):
            yield value


def _write_back_at_exit(reference: weakref.ref[Shelf]) -> None:
    shelf = reference()
    if shelf is not None:  # if it was collected, that has closed it
        shelf._leave_to_parent()  # noqa: SLF001 (public names are only those of shelve)
        shelf.sync()


class BsdDbShelf(Shelf):
    """A shelf over a mapping that has a cursor: ``first``, ``next``, ``previous``, ``last`` and ``set_location``.

    Each returns a pair of key and value. At an end, or in an empty shelf, it raises KeyError, and the cursor does not
    move.
    """

    def first(self) -> tuple[str, Any]:
        """Move to the first item."""
        return self._item(self.dict.first())

    def last(self) -> tuple[str, Any]:
        """Move to the last item."""
        return self._item(self.dict.last())

    def next(self) -> tuple[str, Any]:
        """Move to the next item. Without a position, move to the first item."""
        return self._item(next(self.dict))

    def previous(self) -> tuple[str, Any]:
        """Move to the item before. Without a position, move to the last item."""
        return self._item(self.dict.previous())

    def set_location(self, key: str | bytes) -> tuple[str, Any]:
        """Move to the item with this key or the next greater one. ``shelve`` takes only bytes here."""
        return self._item(self.dict.set_location(key.encode(self.keyencoding) if isinstance(key, str) else key))

    def _item(self, pair: tuple[bytes, Any]) -> tuple[str, Any]:
        key, value = pair
        return key.decode(self.keyencoding), self.deserializer(value)


class DbfilenameShelf(BsdDbShelf):
    """The class of the shelves that :func:`open` returns. It has the same arguments."""

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
        # The output of a serializer need not be a pickle: it is stored as a value of type bytes.
        how = RAW_PICKLES if serializer is None else PICKLES
        opened = open_face(filename, flag, 0o666, how, _Pickles)
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
    """Open a shelf, as ``shelve.open``. Any number of processes and threads may have it open.

    Args:
        filename: the path. A new shelf is a coshelf file of exactly this name.
        flag: "r" existing, never written; "w" existing; "c" made if missing; "n" always new.
        protocol: pickle protocol for writing.
        writeback: keep the values that were read, and store changed ones at ``sync()`` and ``close()``.
        serializer: called with a value and the protocol, instead of pickling; only together with ``deserializer``.
        deserializer: called with the stored bytes.

    Raises:
        dbm.error (OSError): it does not exist, cannot be opened, or its kind is unknown.
        ShelveError: only one of serializer and deserializer was given.
    """
    return DbfilenameShelf(filename, flag, protocol, writeback, serializer=serializer, deserializer=deserializer)


class _Pickles(BytesFace):
    """The str keys of a shelf. Damage raises an error that programs for ``shelve`` handle."""

    def __init__(self, shelf: Shared[Any, bytes]) -> None:
        super().__init__(shelf, "", _to_str, str.encode)

    def __getitem__(self, key: bytes) -> bytes:
        try:
            return super().__getitem__(key)
        except DamagedShelf as error:
            raise _damaged(error) from error

    def _move(self, **where: Any) -> tuple[bytes, bytes]:
        try:
            return super()._move(**where)
        except DamagedShelf as error:
            raise _damaged(error) from error

    def sync(self) -> None:
        # At exit the shelf below may have been closed already. That has made everything durable.
        with contextlib.suppress(ShelfClosed):
            super().sync()


def _damaged(error: DamagedShelf) -> DamagedPickle:
    return DamagedPickle(str(error), error.key if isinstance(error, DamagedRecord) else None)


def _to_str(key: Any) -> str:
    if isinstance(key, str):
        return key
    return bytes(key).decode()


def _refuse_half(serializer: Serializer | None, deserializer: Deserializer | None) -> None:
    if (serializer is None) != (deserializer is None):
        raise ShelveError("serializer and deserializer must be given together")
