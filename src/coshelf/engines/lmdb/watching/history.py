"""The changes that the base has: the row that says from when on they are all there, and the rows with the changes."""

from __future__ import annotations

import struct
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from coshelf import records
from coshelf.contract import HISTORY
from coshelf.engines.lmdb.watching.told import Commit, Packing, Told, commits_in, first_row, number_of, rows_of
from coshelf.engines.lmdb.watching.watch_state import TAIL, Watching, WatchState

if TYPE_CHECKING:
    import lmdb

__all__ = ["HistoryWriter", "Marker", "history_between", "is_of_history", "marker_in"]

MARKER = HISTORY[0]
_HEAD = b"\x02\x00"
_LAYOUT = struct.Struct("<QQQd")
_ERA = struct.Struct("<QQ")
_MOST_ERAS = 64
_IMPOSSIBLE = 1 << 62

# What is kept for watchers that come back, and at most for those that are there.
_TAIL_BYTES = 16 << 20
_MOST_BYTES = 256 << 20
_AT_ONCE = 1_000  # rows that are in memory at the same time
_TRIMMED = 5_000  # rows that one commit to the base removes, and more after many writes

Row = tuple[bytes, bytes]


def is_of_history(row: bytes) -> bool:
    """Whether a row is about changes."""
    return HISTORY[0] <= row < HISTORY[1]


class Marker(NamedTuple):
    """From when to when the base has all changes.

    Attributes:
        start: it has the changes of all commits after this number,
        last: up to this one. If the base has other commits after it, changes are missing.
        size: the bytes of its rows.
        until: until when they are kept if nobody watches, in seconds since 1970.
        eras: the eras of these numbers, each with the number before that of its first commit.
    """

    start: int
    last: int
    size: int
    until: float
    eras: tuple[tuple[int, int], ...]

    def pack(self) -> bytes:
        body = _HEAD + _LAYOUT.pack(self.start, self.last, self.size, self.until)
        body += b"".join(_ERA.pack(*era) for era in self.eras)
        return records.seal(body, records.checksum(MARKER, body), self.last)

    def knows(self, era: int, number: int) -> bool:
        """Whether the base has all changes after a position."""
        if not self.start <= number <= self.last:
            return False
        for at, (known, first) in enumerate(self.eras):
            end = self.eras[at + 1][1] if at + 1 < len(self.eras) else self.last
            if known == era and first <= number <= end:
                return True
        return False

    def era_of(self, number: int) -> int:
        """The era in which a commit got its number."""
        at = bisect_left(self.eras, number, key=lambda era: era[1])
        return self.eras[max(at - 1, 0)][0]


def marker_in(transaction: lmdb.Transaction[bytes]) -> Marker | None:
    """What the base says about its changes. None if it has none, or if that is damaged."""
    record = transaction.get(MARKER)
    if record is None or not records.is_intact(MARKER, record):
        return None
    packed = record[len(_HEAD) : -records.TRAILER]
    if len(packed) <= _LAYOUT.size or (len(packed) - _LAYOUT.size) % _ERA.size:
        return None
    start, last, size, until = _LAYOUT.unpack_from(packed)
    eras = tuple(_ERA.iter_unpack(packed[_LAYOUT.size :]))
    if max(start, last, size, *map(max, eras)) >= _IMPOSSIBLE:  # a crafted file
        return None
    return Marker(start, last, size, until, eras)


def _rows_between(transaction: lmdb.Transaction[bytes], after: int, last: int) -> Iterator[Row]:
    cursor = transaction.cursor()
    if cursor.set_range(first_row(after + 1)):
        stop = first_row(last + 1)
        for row in cursor.iternext():
            if row[0] >= stop:
                return
            yield row


def history_between(
    transaction: lmdb.Transaction[bytes], after: int, last: int, most: int
) -> tuple[list[Commit], bool]:
    """The commits with numbers above ``after`` and up to ``last``, in about ``most`` bytes; and whether these are all.

    Raises ValueError if a row is damaged.
    """
    rows: list[Row] = []
    for row in _rows_between(transaction, after, last):
        if most <= 0 and number_of(row[0]) != number_of(rows[-1][0]):
            return list(commits_in(rows)), False
        rows.append(row)
        most -= len(row[1])
    return list(commits_in(rows)), True


class HistoryWriter:
    """Keeps the changes of commits in one write transaction of the base.

    Args:
        transaction: of the base.
        flushed: the number up to which the base has every commit.
        watch: the part of the state page about watching.
        watching: who watches.
        complete: the base gets the changes of all commits after ``flushed``, or of those after this number, if that is
            greater.
        keep: stores rows.
        remove: removes a row.

    Attributes:
        is_on: whether changes are kept. If not, this only removes old ones.
    """

    def __init__(
        self,
        transaction: lmdb.Transaction[bytes],
        flushed: int,
        watch: WatchState,
        watching: Watching,
        complete: int,
        *,
        keep: Callable[[list[Row]], None],
        remove: Callable[[bytes], None],
    ) -> None:
        self._transaction = transaction
        self._keep = keep
        self._remove = remove
        self._least = watching.least
        self.is_on = watching.is_on
        self._packing: Packing | None = None
        old = marker_in(transaction)
        self._old = old
        self._size = 0 if old is None else old.size
        self._written = 0
        self._last = flushed
        self._watch = watch
        era = watch.era
        if old is not None and old.last == flushed and complete <= flushed:
            self._start = old.start
            self._eras = old.eras if old.eras[-1][0] == era else (*old.eras, (era, flushed))
        else:
            self._start = max(flushed, complete)
            self._eras = ()

    def write(self, commits: Iterable[Commit]) -> None:
        """Keep commits of the delta."""
        rows: list[Row] = []
        for commit in commits:
            rows += rows_of(commit)
            if len(rows) > _AT_ONCE:
                self.take(rows)
                rows = []
        self.take(rows)

    def take(self, rows: list[Row]) -> None:
        """Keep rows of changes as they are."""
        if rows:
            self._keep(rows)
            self._written += len(rows)
            self._size += sum(len(record) for _, record in rows)

    def tell(self, number: int, changes: Iterable[Told]) -> None:
        """Keep changes of one commit, which may be told in parts."""
        if not self.is_on:
            return
        if self._packing is None or self._packing.number != number:
            self._end_commit()
            self._packing = Packing(number)
        self.take(self._packing.add(changes))

    def _end_commit(self) -> None:
        if self._packing is not None:
            self.take(self._packing.end())
            self._packing = None

    def finish(self, last: int) -> None:
        """At the end of the transaction: remove what is kept no longer, and note that all is there up to ``last``."""
        self._end_commit()
        self._last = last
        self._trim()
        is_left = True
        if self.is_on:
            self._write_marker()
        elif not self._has_rows():
            is_left = False
            if self._transaction.get(MARKER) is not None:
                self._remove(MARKER)
        self._watch.is_kept = is_left

    def _has_rows(self) -> bool:
        return next(_rows_between(self._transaction, 0, (1 << 64) - 2), None) is not None

    def _write_marker(self) -> None:
        self._start = min(self._start, self._last)
        eras = list(self._eras or ((self._watch.era, self._start),))
        while len(eras) > 1 and (eras[1][1] < self._start or len(eras) > _MOST_ERAS):
            del eras[0]
        self._start = max(self._start, eras[0][1])
        until = time.time() + TAIL
        marker = Marker(self._start, self._last, max(self._size, 0), until, tuple(eras))
        if self._old is None and self._transaction.get(MARKER) is not None:
            self._remove(MARKER)  # a damaged one
        self._keep([(MARKER, marker.pack())])

    def _trim(self) -> None:
        """Remove rows that nobody needs. The work is bounded by the rows that were written."""
        most = _TRIMMED + 2 * self._written
        for row, size in _some(_rows_between(self._transaction, 0, (1 << 64) - 2), most, self._is_needless):
            self._start = max(self._start, min(number_of(row), self._last))
            self._size -= size
            self._remove(row)

    def _is_needless(self, row: bytes, size: int) -> bool:
        """Whether the first row may go. ``size`` is that of the rows that go before it."""
        number = number_of(row)
        if not self.is_on or number <= self._start:
            return True
        left = self._size - size
        return left > _MOST_BYTES or (left > _TAIL_BYTES and (self._least is None or number <= self._least))


def _some(rows: Iterator[Row], most: int, is_needless: Callable[[bytes, int], bool]) -> list[tuple[bytes, int]]:
    """The first rows, with their sizes, as long as they are needless. Whole commits, but for the end of ``most``."""
    found: list[tuple[bytes, int]] = []
    size = 0
    for row, record in rows:
        is_begun = bool(found) and number_of(found[-1][0]) == number_of(row)
        if len(found) == most or not (is_begun or is_needless(row, size)):
            break
        found.append((row, len(record)))
        size += len(record)
    return found
