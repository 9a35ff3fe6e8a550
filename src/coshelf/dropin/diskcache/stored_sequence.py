"""A sequence whose values lie in a cache, in the order of its keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from operator import index as integer_of
from typing import Any, TypeVar

from coshelf.diskcache.core import Cache
from coshelf.dropin.diskcache import ends
from coshelf.dropin.diskcache.comparing import ComparedSequence
from coshelf.dropin.diskcache.expiring import expired
from coshelf.dropin.diskcache.layout import FILENAME, MODE, ROWID, VALUE, Row, Stored
from coshelf.dropin.diskcache.places import QUEUE, entries, key_at, keys_from
from coshelf.dropin.diskcache.rows import Rows
from coshelf.dropin.diskcache.store import Store

__all__ = ["StoredSequence"]

T = TypeVar("T")


class StoredSequence(ComparedSequence):
    """What a deque does with the rows of its cache. Keys are numbers, which the Disk does not see."""

    _cache: Cache
    _maxlen: float

    def transact(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    # --- reading -----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._cache)

    def __getitem__(self, index: int) -> Any:  # type: ignore[override]
        for key in keys_from(self._reader, integer_of(index)):
            found, value = self._value_of(key)
            if found:
                return value
        raise IndexError("deque index out of range")

    def __iter__(self) -> Iterator[Any]:
        return self._values(reverse=False)

    def __reversed__(self) -> Iterator[Any]:
        return self._values(reverse=True)

    def _values(self, *, reverse: bool) -> Iterator[Any]:
        for key, row in entries(self._reader, reverse=reverse):
            found, value = self._value_of(key, None if self._reader().has_written else row)
            if found:
                yield value

    def _value_of(self, key: bytes, row: Row | None = None) -> tuple[bool, Any]:
        """Whether a key still has a value, and that. A file that is missing may have been replaced meanwhile.

        Args:
            key: the key.
            row: its row, if that was just read.
        """
        last: Row | None = None
        while True:
            if row is None:
                row = self._reader().get(key)
            if row is None or row == last or expired(row, time.time()):
                return False, None
            try:
                return True, self._cache.disk.fetch(row[MODE], row[FILENAME], row[VALUE], False)
            except OSError:
                row, last = None, row

    def _seen(self, *, from_back: bool) -> tuple[bool, Any]:
        """Whether there is a value at an end, and that."""
        rows = self._reader()
        found = rows.last(*QUEUE) if from_back else rows.first(*QUEUE)
        return (False, None) if found is None else self._value_of(*found)

    def count(self, value: Any) -> int:
        """How many values are equal to this one.

        >>> from coshelf.diskcache import Deque
        >>> Deque("aba").count("a")
        2
        """
        return sum(1 for found in self if value == found)

    # --- changing ----------------------------------------------------------------------------------------------------

    def __setitem__(self, index: int, value: Any) -> None:
        place, now = integer_of(index), time.time()
        stored = self._cache.disk.store(value, False)

        def step(rows: Rows) -> None:
            old: Row = rows.get(key_at(rows, place))
            found = rows.key_of(old[ROWID])
            assert found is not None, "each row has its key"
            raw, key = found
            rows.store(key, raw, now, None, None, stored)
            self._cache._cull(rows, now)

        self._store.step(step, True, stored[2])

    def __delitem__(self, index: int) -> None:
        place = integer_of(index)
        self._step(lambda rows: ends.remove(rows, key_at(rows, place)))

    def _add(self, values: Iterable[Any], *, to_back: bool) -> None:
        """Add values at an end in one step. Each may drop one at the other end."""
        now = time.time()
        stored = self._stored(values)

        def step(rows: Rows) -> None:
            ends.add(rows, stored, now, self._maxlen, to_back=to_back)
            self._cache._cull(rows, now)

        self._step(step)

    def _stored(self, values: Iterable[Any]) -> list[Stored]:
        """The values as the Disk stores them. If it refuses one, the files of those before it are removed."""
        stored: list[Stored] = []
        try:
            stored.extend(self._cache.disk.store(value, False) for value in values)
        except BaseException:
            for _, _, name, _ in stored:
                if name is not None:
                    self._cache.disk.remove(name)
            raise
        return stored

    def remove(self, value: Any) -> None:
        """Remove the first value that is equal to this one.

        Raises:
            ValueError: there is none.

        >>> from coshelf.diskcache import Deque
        >>> deque = Deque("aba")
        >>> deque.remove("a")
        >>> list(deque)
        ['b', 'a']
        """
        with self.transact():
            for key, _ in entries(self._reader):
                found, stored = self._value_of(key)
                if found and value == stored:
                    self._remove(key)
                    return
        raise ValueError("deque.remove(value): value not in deque")

    def _remove(self, key: bytes) -> None:
        self._step(lambda rows: ends.remove(rows, key))

    def reverse(self) -> None:
        """Reverse the order of the values.

        >>> from coshelf.diskcache import Deque
        >>> deque = Deque("abc")
        >>> deque.reverse()
        >>> list(deque)
        ['c', 'b', 'a']
        """

        def step(rows: Rows) -> None:
            found = [key for key, _ in entries(lambda: rows)]
            for place in range(len(found) // 2):
                ends.swap(rows, found[place], found[-1 - place])

        self._step(step)

    def rotate(self, steps: int = 1) -> None:
        """Move values from the right to the left; from the left to the right if ``steps`` is negative.

        Raises:
            TypeError: ``steps`` is no int.

        >>> from coshelf.diskcache import Deque
        >>> deque = Deque("abcde")
        >>> deque.rotate(2)
        >>> list(deque)
        ['d', 'e', 'a', 'b', 'c']
        """
        if not isinstance(steps, int):
            raise TypeError(f"integer argument expected, got {type(steps).__name__}")
        self._step(lambda rows: ends.rotate(rows, steps))

    # --- its rows ----------------------------------------------------------------------------------------------------

    @property
    def _store(self) -> Store:
        return self._cache._store

    def _reader(self) -> Rows:
        return self._store.reader()

    def _step(self, function: Callable[[Rows], T]) -> T:
        return self._store.step(function, True)
