"""The cache of a drop-in shelf with ``writeback``: which values changed, and which threads may still change them.

The cache itself is the shelf's plain dict ``cache``, which programs may read, empty and replace.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

from coshelf.mapping.holders import Holders

__all__ = ["KeptValues"]


class CachingShelf(Protocol):
    """The parts of a shelf that its cache uses."""

    dict: Any
    cache: Any
    writeback: bool
    keyencoding: str
    serializer: Callable[[Any, int], Any]
    deserializer: Callable[[Any], Any]
    _protocol: int

    def __setitem__(self, key: str, value: Any, /) -> None: ...


@dataclass(frozen=True, slots=True)
class _Mark:
    """A value of the cache, its serialized form at some moment, and the bytes that were stored then."""

    value: Any
    dumped: Any
    stored: Any


class KeptValues:
    """What a shelf knows about the values in its cache. Threads may share it.

    A value without a mark counts as changed, and so does a value that a program put into the cache.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.RLock()  # for this object's state; held for moments
        self._writing = threading.RLock()  # for stores; a signal handler may take it again
        self._marks: dict[str, _Mark] = {}
        self._stores = 0
        self._holders = Holders()
        self._inherited: set[str] = set()

    def of_child(self, cache: dict[str, Any]) -> Self:
        """The replacement in a forked child, with new locks: another thread may have held the parent's."""
        child = type(self)()
        child._marks = self._marks
        child._inherited = set(cache)
        return child

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, shelf: CachingShelf, key: str) -> Any:
        """The value of a key. All threads get the same object."""
        if self._inherited and key in self._inherited:
            self._adopt(shelf, key)
        with self._lock:
            self._holders.note(key)  # from now on, no other thread removes it from the cache
            if key in shelf.cache:
                return shelf.cache[key]
        try:
            stored = shelf.dict[key.encode(shelf.keyencoding)]
            value = shelf.deserializer(stored)
        except BaseException:
            with self._lock:
                self._holders.release(key)
            raise
        dumped = self._dumped(shelf, value, stored)
        with self._lock:
            found = shelf.cache.setdefault(key, value)
            if found is value:
                self._mark(shelf, key, _Mark(value, dumped, stored))
        return found

    def _dumped(self, shelf: CachingShelf, value: Any, stored: Any) -> Any:
        try:
            dumped = shelf.serializer(value, shelf._protocol)
        except Exception:
            return None  # it counts as changed, and sync() raises when it cannot be stored
        return stored if dumped == stored else dumped

    # --- writing -----------------------------------------------------------------------------------------------------

    def set(self, shelf: CachingShelf, key: str, value: Any) -> None:
        """Store a value. If that succeeds, put it into the cache."""
        with self._writing:
            dumped = shelf.serializer(value, shelf._protocol)
            shelf.dict[key.encode(shelf.keyencoding)] = dumped
            with self._lock:
                self._stores += 1
                self._inherited.discard(key)
                self._holders.note(key)
                shelf.cache[key] = value
                self._mark(shelf, key, _Mark(value, dumped, dumped))

    def delete(self, shelf: CachingShelf, key: str) -> None:
        """Remove an entry."""
        with self._writing:
            del shelf.dict[key.encode(shelf.keyencoding)]
            self._stores += 1
            shelf.cache.pop(key, None)

    def clear(self, shelf: CachingShelf) -> None:
        """Remove all entries."""
        with self._writing:
            shelf.dict.clear()
            self._stores += 1
            shelf.cache.clear()

    def write_back(self, shelf: CachingShelf, *, plain: bool) -> None:
        """Store the changed values, and remove from the cache the values that no other thread has.

        Args:
            shelf: the shelf of this cache.
            plain: whether the shelf's class stores values itself. If a subclass overrides that, it stores all values.
        """
        with self._writing:
            for key in list(self._inherited):
                self._adopt(shelf, key)
            failed: Exception | None = None
            written: dict[str, Any] = {}
            store = self._store_changed if plain else self._store_by_subclass
            for key, value in list(shelf.cache.items()):
                try:
                    store(shelf, key, value)
                except Exception as error:
                    failed = failed or error
                else:
                    written[key] = value
            self._forget(shelf, written)
        if failed is not None:
            raise failed

    def _store_changed(self, shelf: CachingShelf, key: str, value: Any) -> None:
        while True:
            before = self._stores
            dumped = shelf.serializer(value, shelf._protocol)
            mark = self._marks.get(key)
            if mark is not None and mark.value is value and mark.dumped is not None and mark.dumped == dumped:
                return
            shelf.dict[key.encode(shelf.keyencoding)] = dumped
            undisturbed = self._stores == before
            self._stores += 1
            self._mark(shelf, key, _Mark(value, dumped, dumped))
            if undisturbed:
                return
            # A signal handler or a finalizer has stored a newer value meanwhile.
            value = shelf.cache.get(key, value)

    def _store_by_subclass(self, shelf: CachingShelf, key: str, value: Any) -> None:
        shelf.writeback = False  # so that the subclass does not cache it again
        try:
            shelf[key] = value
        finally:
            shelf.writeback = True
        self._marks.pop(key, None)  # only the subclass knows what was stored

    def _forget(self, shelf: CachingShelf, written: dict[str, Any]) -> None:
        with self._lock:
            held = self._holders.release_all()
            for key, value in written.items():
                if key not in held and shelf.cache.get(key) is value:
                    del shelf.cache[key]
                    self._marks.pop(key, None)
        for key in [key for key in written if key in held]:
            if key in self._marks and not self._is_as_stored(shelf, key):
                with self._lock:
                    shelf.cache.pop(key, None)  # another process has stored another value since

    # --- what is known -----------------------------------------------------------------------------------------------

    def _mark(self, shelf: CachingShelf, key: str, mark: _Mark) -> None:
        self._marks[key] = mark
        if len(self._marks) > 2 * len(shelf.cache) + 8:  # the program removes values from the cache itself
            self._marks = {key: mark for key, mark in list(self._marks.items()) if key in shelf.cache}

    def _is_as_stored(self, shelf: CachingShelf, key: str) -> bool:
        mark = self._marks.get(key)
        if mark is None:
            return False
        try:
            return bool(shelf.dict[key.encode(shelf.keyencoding)] == mark.stored)
        except KeyError:
            return False

    # --- after a fork ------------------------------------------------------------------------------------------------

    def _adopt(self, shelf: CachingShelf, key: str) -> None:
        """Keep a value that the parent had in the cache, unless a process has stored another one since."""
        if not self._is_as_stored(shelf, key):
            shelf.cache.pop(key, None)
        self._inherited.discard(key)

    def forget_inherited(self, cache: dict[str, Any]) -> None:
        """Remove inherited values that this process has not read: the parent writes them back."""
        for key in self._inherited:
            cache.pop(key, None)
        self._inherited = set()
