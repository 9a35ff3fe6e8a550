"""Walks over rows, many at a time. A long scan spends its time with calls for each row, so most are made in C."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING

from coshelf.engines.lmdb import long_keys
from coshelf.keys import FIRST

if TYPE_CHECKING:
    import lmdb

__all__ = ["RowPages"]

# Pages are small at first, since many scans want only one row.
_LARGEST = 256
_QUICK = 8  # from this size on it pays to find out whether the quick way is possible
_BYTES = 1 << 20

_key = itemgetter(0)


class RowPages:
    """The keys in ``[start, stop)`` with their records, in order. With ``keys_only`` each record is empty."""

    def __init__(
        self, transaction: lmdb.Transaction[bytes], start: bytes, stop: bytes, *, reverse: bool, keys_only: bool
    ) -> None:
        self._transaction = transaction
        self._start = max(start, FIRST)
        self._stop = stop
        self._reverse = reverse
        self._keys_only = keys_only
        self._rows = long_keys.walk(transaction, self._start, stop, reverse, keys_only)
        self._is_quick = False
        self._wanted = 1

    def take(self) -> list[tuple[bytes, bytes]]:
        """The next page; empty at the end."""
        wanted, self._wanted = self._wanted, min(self._wanted * 2, _LARGEST)
        if self._is_quick:
            return self._within(list(islice(self._rows, wanted)))
        page = _some(self._rows, wanted)
        if wanted == _QUICK and len(page) == wanted and self._may_be_quick():
            self._is_quick = True
            self._rows = self._quick_rows(page[-1][0])
        return page

    def _may_be_quick(self) -> bool:
        """Whether the quick way is possible: no key is long, and no value is so large that bytes must be counted."""
        return self._transaction.stat()["overflow_pages"] == 0 and not long_keys.are_there(self._transaction)

    def _quick_rows(self, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows after the key ``last``, without a check of the bounds."""
        cursor = self._transaction.cursor()
        cursor.set_key(last)
        moved = cursor.prev() if self._reverse else cursor.next()
        return long_keys.rows_from(cursor, self._reverse, self._keys_only) if moved else iter(())

    def _within(self, page: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """A page without rows beyond the end of the range."""
        if not page:
            return page
        if self._reverse:
            if page[-1][0] < self._start:
                page.reverse()
                del page[: bisect_left(page, self._start, key=_key)]
                page.reverse()
                self._rows = iter(())
        elif page[-1][0] >= self._stop:
            del page[bisect_left(page, self._stop, key=_key) :]
            self._rows = iter(())
        return page


def _some(rows: Iterator[tuple[bytes, bytes]], wanted: int) -> list[tuple[bytes, bytes]]:
    """The next rows: as many as wanted, or fewer if they are large."""
    page = []
    room = _BYTES
    for row in rows:
        page.append(row)
        wanted -= 1
        room -= len(row[1])
        if not wanted or room <= 0:
            break
    return page
