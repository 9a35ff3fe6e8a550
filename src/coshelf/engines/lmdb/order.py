"""The order in which the entries of a bounded shelf were stored, and how much they count. docs/format.md, "Limits"."""

from __future__ import annotations

import struct
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, NoReturn

from coshelf import records
from coshelf.engines.lmdb import long_keys
from coshelf.errors import DamagedRecord, DamagedShelf
from coshelf.keys import FIRST, LAST
from coshelf.values.limits import (
    LIMITS_ROW,
    MARK,
    ORDER,
    Limits,
    order_key,
    order_keys,
    size_of_entries,
    size_of_entry,
)

if TYPE_CHECKING:
    import lmdb

    from coshelf.engines.lmdb.shelf_row import ShelfRow

__all__ = ["Order", "is_full", "limits_in", "state_in"]

_STATE_ROW = ORDER[0]  # before all rows of the index, which are longer
_STATE = struct.Struct("<QQH")  # bytes of all entries, evicted entries, length of the hand's row
_MOST = (1 << 64) - 1
_NUMBER = 8
_AT_ONCE = 1_000  # rows that are read or changed together
_HAND = 512  # bytes of the hand that are kept: rows with long keys may be skipped, or met twice

Row = tuple[bytes, bytes]


def limits_in(transaction: lmdb.Transaction[bytes], where: str) -> Limits:
    """The limits that the base has."""
    return Limits.of(transaction.get(LIMITS_ROW), where)


def state_in(transaction: lmdb.Transaction[bytes], where: str) -> tuple[int, int, bytes]:
    """The bytes that all entries count, how many entries were evicted since there are limits, and the hand."""
    record = transaction.get(_STATE_ROW)
    if record is None:
        return 0, 0, b""
    if not records.is_intact(_STATE_ROW, record) or len(record) < len(MARK) + _STATE.size + records.TRAILER:
        raise DamagedRecord(
            f"the figures of the limits of {where} are damaged\n  hint: coshelf.salvage() copies what can be read"
        )
    size, evicted, length = _STATE.unpack_from(record, len(MARK))
    at = len(MARK) + _STATE.size
    return size, evicted, record[at : min(at + length, len(record) - records.TRAILER)]


def is_full(transaction: lmdb.Transaction[bytes], limits: Limits, row: ShelfRow, where: str) -> bool:
    """Whether the base is at its limits, and has a policy that removes nothing."""
    if limits.evict != "expired":
        return False
    return limits.exceeded_by(transaction.stat()["entries"] - row.extra_rows + 1, state_in(transaction, where)[0] + 1)


class Order:
    """Keeps the index of order right while one write transaction of the base changes entries.

    Each entry has one row. A row that an eviction has moved (see :meth:`move`) does not go when its entry is
    overwritten or deleted: it is stale, and goes when it is met.

    Attributes:
        size: the bytes that all entries count.
        evicted: how many entries were evicted since the shelf has limits.
        hand: the row from which on the policies "sieve" and "lfu" look; empty for the first one.
        added: how many more rows there are than before.
    """

    def __init__(self, transaction: lmdb.Transaction[bytes], where: str) -> None:
        self._transaction = transaction
        self._where = where
        self.size, self.evicted, self.hand = state_in(transaction, where)
        self.added = 0

    # --- entries that change -----------------------------------------------------------------------------------------

    def put(self, rows: list[Row]) -> None:
        """Note that entries are about to get these records. The keys are in order, and each fits in one row."""
        found = self._transaction.cursor().getmulti([key for key, _ in rows])
        if found:
            self._forget_many(found)
        self._add(rows)

    def put_long(self, key: bytes, record: bytes) -> None:
        """The same for a key of any length."""
        self.delete(key)
        self._add([(key, record)])

    def delete(self, key: bytes) -> None:
        """Note that an entry is about to be deleted, if there is one."""
        old = self._transaction.get(long_keys.physical(key))
        if old is not None:
            self.forget(key, old)

    def forget(self, key: bytes, old: bytes) -> None:
        """Note that the entry with this record is about to go."""
        self.size -= size_of_entry(key, old)
        self.remove(order_key(records.version(old), key))

    def _forget_many(self, rows: list[Row]) -> None:
        """As :meth:`forget`, for keys that fit in one row."""
        self.size -= size_of_entries(rows)
        delete = self._transaction.delete
        for row in order_keys(rows):
            if len(row) > long_keys.CHUNK:
                self.remove(row)
            elif delete(row):
                self.added -= 1

    def _add(self, rows: list[Row]) -> None:
        self.size += size_of_entries(rows)
        self._write([(row, MARK) for row in order_keys(rows)])

    # --- rows --------------------------------------------------------------------------------------------------------

    def _write(self, rows: list[Row]) -> None:
        """Write rows of the index. A stale row may have one of their places: then the new one replaces it."""
        rows.sort()
        sealed = records.sealed(rows, 0)
        before = self._rows_of_base()  # the answer of putmulti() counts a row that it replaces, too
        if max(map(len, map(itemgetter(0), rows))) <= long_keys.CHUNK:
            self._transaction.cursor().putmulti(sealed)
        else:
            for row, record in sealed:
                long_keys.put(self._transaction, row, record)
        self.added += self._rows_of_base() - before

    def _rows_of_base(self) -> int:
        found: int = self._transaction.stat()["entries"]
        return found

    def refuse_standstill(self) -> NoReturn:
        """Raise, where a loop would meet the same rows for ever."""
        raise DamagedShelf(
            f"the index of order of {self._where} is damaged: it has rows that cannot be found by their keys\n"
            "  hint: coshelf.salvage() copies what can be read"
        )

    def remove(self, row: bytes) -> None:
        """Remove a row, if it exists."""
        existed, links = long_keys.delete(self._transaction, row)
        self.added -= links + existed

    def move(self, row: bytes, key: bytes, stored: int, number: int) -> None:
        """Move the row of an entry, which the commit ``stored`` has stored, to the place of another commit."""
        self.remove(row)
        self._write([(order_key(number, key), MARK if number == stored else MARK + stored.to_bytes(_NUMBER, "little"))])

    def rows(self, start: bytes, stop: bytes, most: int) -> list[Row]:
        """Up to so many rows of a part of the index."""
        begin = max(start, _STATE_ROW + b"\0")
        return [] if begin >= stop else list(islice(long_keys.walk(self._transaction, begin, stop, False, False), most))

    # --- all of them -------------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Make the index anew, from the entries that there are."""
        self.drop()
        start = FIRST
        while True:
            rows = list(islice(long_keys.walk(self._transaction, start, LAST, False, False), _AT_ONCE))
            if not rows:
                return
            if rows[-1][0] < start:
                self.refuse_standstill()
            self._add(rows)
            start = rows[-1][0] + b"\0"

    def drop(self) -> None:
        """Remove all rows of the index."""
        while rows := self.rows(*ORDER, _AT_ONCE):
            before = self.added
            for row, _ in rows:
                self.remove(row)
            if self.added == before:
                self.refuse_standstill()
        self.size, self.hand = 0, b""

    def forget_all(self) -> None:
        """Note that all entries are gone, and the rows of the index with them."""
        self.size, self.hand, self.added = 0, b"", 0

    def finish(self, *, keep: bool) -> None:
        """At the end of the transaction: write the figures, or remove them."""
        if not keep:
            self.remove(_STATE_ROW)
            return
        hand, size = self.hand[:_HAND], min(max(self.size, 0), _MOST)  # damaged records may count anything
        body = MARK + _STATE.pack(size, self.evicted, len(hand)) + hand
        record = records.seal(body, records.checksum(_STATE_ROW, body), 0)
        if self._transaction.put(_STATE_ROW, record, overwrite=False):
            self.added += 1
        else:
            self._transaction.put(_STATE_ROW, record)
