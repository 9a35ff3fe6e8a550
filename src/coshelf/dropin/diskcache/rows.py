"""The rows of a cache inside a transaction: finding, storing and removing them, and what is counted of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coshelf import records
from coshelf.contract import ABSENT, Absent, Batch
from coshelf.dropin.diskcache import indexes
from coshelf.dropin.diskcache.layout import (
    FILENAME,
    ORDER,
    ROWID,
    SIZE,
    TOTALS,
    Row,
    Stored,
    encode_key,
    footprint,
)
from coshelf.dropin.diskcache.writing import Writing

__all__ = ["Rows", "Totals"]

Totals = tuple[int, int, int, int]

_FIRST_NUMBER = 0  # numbers of rows begin at 1
_NO_NUMBER = 1 << 63  # greater than each number of a row


class Rows(Writing):
    """A transaction of a cache. Each step keeps rows, order, counts and indexes in accord."""

    _version: int | str | Absent | None = None

    # --- what is counted ---------------------------------------------------------------------------------------------

    def totals(self) -> Totals:
        """The number of entries, the bytes of their files, the volume, and the last number that a row got."""
        found: Totals | None = self.get(TOTALS)
        return (0, 0, 0, _FIRST_NUMBER) if found is None else found

    # --- without a lock ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Note the version of the cache, before anything is read without a lock."""
        self._version = self._version_now()

    def is_current(self) -> bool:
        """Whether the cache still has the version that was noted, so that all that was read is of one instant."""
        return self._version == self._version_now()

    def _version_now(self) -> int | str | Absent:
        # Each commit writes the row with the totals, so its version is that of the cache.
        record = self.engine.record(TOTALS)
        return ABSENT if record is None else records.version(record)

    def batch(self) -> Batch | None:
        """All writes as one batch; None if there are none. Without a lock, it checks the version that was noted."""
        if not self.has_written:
            return None
        self.put(TOTALS, self.totals())
        return self._batch({} if self._version is None else {TOTALS: self._version})

    # --- finding -----------------------------------------------------------------------------------------------------

    def find(self, key: Any, raw: bool) -> Row | None:
        """The row of a key as :meth:`Disk.put` returns it, expired or not; None if it does not exist."""
        row: Row | None = self.get(encode_key(key, raw))
        return row

    def key_of(self, rowid: int) -> tuple[bool, Any] | None:
        """``(raw, key)`` of the row with a number, with the key as it was first written."""
        found: tuple[bool, Any] | None = self.get(ORDER.encode(rowid))
        return found

    def in_order(self, most: int, *, last: bool = False) -> Iterator[tuple[bool, Any, Row]]:
        """``(raw, key, row)`` of up to ``most`` rows, from the first or from the last one that was inserted."""
        start, stop = ORDER.encode(_FIRST_NUMBER), ORDER.encode(_NO_NUMBER)
        for _, (raw, key) in self.some(start, stop, most, reverse=last):
            row = self.find(key, raw)
            if row is not None:
                yield raw, key, row

    def end(self, *, last: bool) -> tuple[bool, Any, Row] | None:
        """``(raw, key, row)`` of the row that was inserted first, or last; None if there is none."""
        start, stop = ORDER.encode(_FIRST_NUMBER), ORDER.encode(_NO_NUMBER)
        found = self.last(start, stop) if last else self.first(start, stop)
        if found is None:
            return None
        raw, key = found[1]
        row = self.find(key, raw)
        return next(self.in_order(1, last=last), None) if row is None else (raw, key, row)

    def numbered(self, low: int, high: int, most: int, *, reverse: bool = False) -> list[tuple[int, bool, Any]]:
        """``(number, raw, key)`` of up to ``most`` rows with ``low <= number <= high``, in order."""
        found = self.some(ORDER.encode(low), ORDER.encode(high + 1), most, reverse=reverse)
        return [(ORDER.decode(encoded), raw, key) for encoded, (raw, key) in found]

    # --- changing ----------------------------------------------------------------------------------------------------

    def store(self, key: Any, raw: bool, now: float, expire_time: float | None, tag: Any, stored: Stored) -> Row:
        """Insert a row, or replace the one of the same key. Returns the new row.

        Args:
            key: as :meth:`Disk.put` returns it.
            raw: the same.
            now: the time of storing.
            expire_time: when it expires, in seconds since 1970, or None.
            tag: its tag, or None.
            stored: as :meth:`Disk.store` returns it.
        """
        if type(key) is memoryview:
            key = bytes(key)
        if type(stored[3]) is memoryview:
            stored = (*stored[:3], bytes(stored[3]))
        encoded = encode_key(key, raw)
        old: Row | None = self.get(encoded)
        if old is not None:
            row = (old[ROWID], now, expire_time, tag, *stored)
            self._replace(encoded, key, old, row, anew=True)
            return row
        count, size, volume, last = self.totals()
        row = (last + 1, now, expire_time, tag, *stored)
        self.put(encoded, row)
        self.put(ORDER.encode(last + 1), (raw, key))
        self.put(TOTALS, (count + 1, size + row[SIZE], volume + footprint(key, row), last + 1))
        indexes.add(self, indexes.existing(self), row)
        return row

    def change(self, key: Any, raw: bool, old: Row, row: Row) -> None:
        """Put a row in the place of another one of the same key and number. Its file may be another one."""
        self._replace(encode_key(key, raw), key, old, row, anew=False)

    def _replace(self, encoded: bytes, key: Any, old: Row, row: Row, *, anew: bool) -> None:
        self.put(encoded, row)
        grown, larger = row[SIZE] - old[SIZE], footprint(key, row) - footprint(key, old)
        if grown or larger:
            count, size, volume, last = self.totals()
            self.put(TOTALS, (count, size + grown, volume + larger, last))
        existing = indexes.existing(self)
        if not anew:
            indexes.change(self, existing, old, row)
        elif not indexes.is_same(existing, old, row):
            indexes.drop(self, existing, old)
            indexes.add(self, existing, row)
        if old[FILENAME] is not None and old[FILENAME] != row[FILENAME]:
            self.old_files.append(old[FILENAME])

    def remove(self, key: Any, raw: bool, row: Row, *, keeps_file: bool = False) -> None:
        """Remove a row. Its file goes after the commit, unless the caller removes it by itself."""
        self.delete(encode_key(key, raw))
        self.delete(ORDER.encode(row[ROWID]))
        count, size, volume, last = self.totals()
        self.put(TOTALS, (count - 1, size - row[SIZE], volume - footprint(key, row), last))
        indexes.drop(self, indexes.existing(self), row)
        if row[FILENAME] is not None and not keeps_file:
            self.old_files.append(row[FILENAME])
