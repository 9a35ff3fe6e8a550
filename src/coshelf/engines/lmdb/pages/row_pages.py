"""Walks over rows, many at a time. A long scan spends its time with calls for each row, so most are made in C."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from coshelf.engines.lmdb import long_keys
from coshelf.keys import FIRST

if TYPE_CHECKING:
    import lmdb

__all__ = ["RowPages"]

# Pages are small at first, since many scans want only one row.
_SIZES = (1, 2, 8, 128, 512)
_QUICK = 8  # from this size on it pays to find out whether the quick way is possible
_BYTES = 1 << 20

_key = itemgetter(0)


class RowPages:
    """Pages of the keys in ``[start, stop)`` with their records, in order. With ``keys_only`` they have bare keys.

    Attributes:
        is_done: whether the end of the range is known to have been reached. The first empty page is the end, too.
    """

    def __init__(
        self, transaction: lmdb.Transaction[bytes], start: bytes, stop: bytes, *, reverse: bool, keys_only: bool
    ) -> None:
        self._transaction = transaction
        self._start = max(start, FIRST) if stop > FIRST else start  # our own rows are read alone
        self._stop = stop
        self._reverse = reverse
        self._keys_only = keys_only
        self._rows: Iterator[Any] = long_keys.walk(transaction, self._start, stop, reverse, keys_only)
        self._is_quick = False
        self.is_done = False
        self._sizes = iter(_SIZES)

    def take(self) -> list[Any]:
        """The next page; empty at the end."""
        if self.is_done:
            return []
        wanted = next(self._sizes, _SIZES[-1])
        if self._is_quick:
            return self._within(list(islice(self._rows, wanted)))
        page = _some(self._rows, wanted)
        if wanted == _QUICK and len(page) == wanted and self._may_be_quick():
            self._is_quick = True
            self._rows = self._quick_rows(page[-1][0])
        return [key for key, _ in page] if self._keys_only else page

    def _may_be_quick(self) -> bool:
        """Whether the quick way is possible: no key is long, and no value is so large that bytes must be counted."""
        return self._transaction.stat()["overflow_pages"] == 0 and not long_keys.are_there(self._transaction)

    def _quick_rows(self, last: bytes) -> Iterator[Any]:
        """The rows after the key ``last``, or their keys, without a check of the bounds."""
        cursor = self._transaction.cursor()
        cursor.set_key(last)
        moved = cursor.prev() if self._reverse else cursor.next()
        if not moved:
            return iter(())
        if self._keys_only:
            return cursor.iterprev(values=False) if self._reverse else cursor.iternext(values=False)
        return cursor.iterprev() if self._reverse else cursor.iternext()

    def _within(self, page: list[Any]) -> list[Any]:
        """A page without rows beyond the end of the range."""
        if not page:
            return page
        key = None if self._keys_only else _key
        last = page[-1] if self._keys_only else page[-1][0]
        if self._reverse:
            if last < self._start:
                page.reverse()
                del page[: bisect_left(page, self._start, key=key)]
                page.reverse()
                self.is_done = True
        elif last >= self._stop:
            del page[bisect_left(page, self._stop, key=key) :]
            self.is_done = True
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
