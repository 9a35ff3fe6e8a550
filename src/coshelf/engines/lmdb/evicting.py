"""Which entries of a bounded shelf go. docs/design.md, "Bounded caches"."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from coshelf import records
from coshelf.engines.lmdb import long_keys
from coshelf.values.expiry import is_of_user
from coshelf.values.limits import ORDER, Limits, order_key, order_of

if TYPE_CHECKING:
    import lmdb

    from coshelf.engines.lmdb.order import Order

__all__ = ["NO_USES", "Eviction", "Uses"]

_AT_ONCE = 256  # rows that are looked at together
_SPARED = 5_000  # entries that one commit to the base may spare because they were used,
_SPARED_EACH = 8  # and so many more for each row that it wrote


class Uses(Protocol):
    """What is known of the reads of entries."""

    def count(self, key: bytes) -> int:
        """How often an entry was read, up to a limit, since :meth:`set_count`."""
        ...

    def set_count(self, key: bytes, count: int) -> None:
        """Forget some of the reads."""
        ...

    def last(self, key: bytes, number: int) -> int:
        """The last commit of the tick in which an entry was read last, of those up to ``number``; -1 for no read."""
        ...


class _NoUses(Uses):
    def count(self, key: bytes) -> int:
        return 0

    def set_count(self, key: bytes, count: int) -> None:
        pass

    def last(self, key: bytes, number: int) -> int:
        return -1


NO_USES: Final = _NoUses()
"""Of a shelf whose reads are not noted, for want of space for the table."""


class _Row(NamedTuple):
    row: bytes
    number: int
    key: bytes
    stored: int
    record: bytes | None


class Eviction:
    """One eviction, as part of a write transaction of the base.

    ``remove`` deletes an entry, given its key and record, and its row in the index. ``entries`` is how many entries
    there are, ``number`` the last commit, and ``flushed`` the last one before this transaction.
    """

    def __init__(
        self,
        transaction: lmdb.Transaction[bytes],
        order: Order,
        limits: Limits,
        uses: Uses,
        *,
        entries: int,
        number: int,
        flushed: int,
        remove: Callable[[bytes, bytes], None],
    ) -> None:
        self._transaction = transaction
        self._order = order
        self._limits = limits
        self._uses = uses
        self._entries = entries
        self._number = number
        self._flushed = flushed
        self._remove = remove
        self._spared = 0

    def run(self, written: int) -> None:
        """Remove entries until the limits hold. ``written``: how many rows this transaction has written."""
        if self._limits.evict == "expired":
            return
        self._spared = _SPARED + _SPARED_EACH * written
        if self._is_over():
            self._go()
        if self._is_over():  # the index is not complete
            self._order.build()
            self._go()

    def _is_over(self) -> bool:
        return self._limits.exceeded_by(self._entries, self._order.size)

    def _go(self) -> None:
        if self._limits.evict in ("sieve", "lfu"):
            self._go_by_hand()
        else:
            self._go_from_the_oldest()

    def _go_from_the_oldest(self) -> None:
        by_use = self._limits.evict == "lru"
        while self._is_over() and (rows := self._rows(b"", ORDER[1])):
            before = self._done()
            for row in self._valid(rows):
                last = self._uses.last(row.key, self._number) if by_use and self._spared else -1
                if last >= row.number + (row.number != row.stored):
                    self._spared -= 1
                    self._order.move(row.row, row.key, row.stored, max(last, row.number + 1))
                else:
                    self._evict(row)
                    if not self._is_over():
                        return
            self._refuse_standstill(before)

    def _done(self) -> tuple[int, int, int]:
        """Whatever is done changes one of these numbers, and a page can be met so often only."""
        return self._entries, self._order.added, self._spared

    def _refuse_standstill(self, before: tuple[int, int, int]) -> None:
        if self._done() == before:
            self._order.refuse_standstill()

    def _go_by_hand(self) -> None:
        """Spare what was read, and let it lose its count, or half of it. Entries keep their places.

        The hand goes once through the entries that were there before this transaction, then through the new ones. Thus
        no entry goes because it had no time to be read, while there are others.
        """
        start, new, hand = ORDER[0], order_key(self._flushed + 1, b""), self._order.hand
        for begin, end in ((hand, new), (start, min(hand, new)), (max(hand, new), ORDER[1])):
            if self._go_through(begin, end):
                return
        while self._is_over() and self._rows(start, ORDER[1]):
            before = self._done()
            self._go_through(start, ORDER[1])
            self._refuse_standstill(before)

    def _go_through(self, begin: bytes, end: bytes) -> bool:
        """Go through a part of the index. Return whether the limits hold, and leave the hand at the place reached."""
        uses, shift = self._uses, 4 if self._limits.evict == "sieve" else 1
        while self._is_over() and (rows := self._rows(begin, end)):
            before = self._done()
            for row in self._valid(rows):
                count = uses.count(row.key) if self._spared else 0
                if count:
                    self._spared -= 1
                    uses.set_count(row.key, count >> shift)
                else:
                    self._evict(row)
                    if not self._is_over():
                        self._order.hand = row.row + b"\0"
                        return True
            if rows[-1].row < begin:
                self._refuse_standstill(before)
            begin = rows[-1].row + b"\0"
        self._order.hand = begin
        return not self._is_over()

    def _rows(self, begin: bytes, end: bytes) -> list[_Row]:
        rows = self._order.rows(begin, end, _AT_ONCE)
        told = [(row, *order_of(row, record)) for row, record in rows]
        short = [key for _, _, key, _ in told if len(key) <= long_keys.CHUNK and is_of_user(key)]
        found = dict(self._transaction.cursor().getmulti(short))
        return [_Row(row, number, key, stored, self._record(key, found)) for row, number, key, stored in told]

    def _record(self, key: bytes, found: dict[bytes, bytes]) -> bytes | None:
        if len(key) <= long_keys.CHUNK:
            return found.get(key)
        return self._transaction.get(long_keys.physical(key)) if is_of_user(key) else None

    def _valid(self, rows: list[_Row]) -> Iterable[_Row]:
        """Those whose entry is the one that they were written for. The others are stale, and go."""
        for row in rows:
            if row.record is not None and records.version(row.record) == row.stored:
                yield row
            else:
                self._order.remove(row.row)

    def _evict(self, row: _Row) -> None:
        assert row.record is not None
        self._remove(row.key, row.record)
        if row.number != row.stored:
            self._order.remove(row.row)
        self._entries -= 1
        self._order.evicted += 1
