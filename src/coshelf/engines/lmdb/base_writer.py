"""Writing to the base: the rows of one write transaction, and the shelf row that describes the new state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING

from coshelf import records
from coshelf.contract import ABSENT, Batch
from coshelf.engines.lmdb import long_keys
from coshelf.engines.lmdb.blobs.catalogue import Catalogue
from coshelf.engines.lmdb.blobs.folder import folder_of
from coshelf.engines.lmdb.delta.delta import is_deletion
from coshelf.engines.lmdb.evicting import NO_USES, Eviction, Uses
from coshelf.engines.lmdb.lmdb_file import LmdbFile
from coshelf.engines.lmdb.order import Order, limits_in
from coshelf.engines.lmdb.shelf_row import BLOBS, BOUNDED, EXPIRY, ROW_KEY, ShelfRow, unpack_row
from coshelf.engines.lmdb.spooled import SpooledPuts, sealed_pages
from coshelf.engines.lmdb.times import first_in_base
from coshelf.engines.lmdb.watching.history import HistoryWriter
from coshelf.engines.lmdb.watching.told import DELETED, EXPIRED, SET, Told, changes_of
from coshelf.engines.lmdb.watching.watch_state import Watching, WatchState
from coshelf.keys import FIRST, LAST, prefix_end
from coshelf.system import clock
from coshelf.values.envelope import rows_of
from coshelf.values.expiry import INDEX, is_of_user, is_over, row_of, until
from coshelf.values.limits import LIMITS_ROW, ORDER, Limits

if TYPE_CHECKING:
    import lmdb

__all__ = ["BaseWriter"]

_SWEPT = 1_000  # rows of the index of times that one commit to the base removes, and more after many writes
_DELETION = bytes(records.TRAILER)
_AT_ONCE = 1_000  # puts whose records are in memory at the same time


class BaseWriter:
    """Writes to the base inside one write transaction, and counts the rows of our own.

    Attributes:
        limits: the limits of the shelf, once this transaction has taken them into account.
    """

    def __init__(self, base: LmdbFile, transaction: lmdb.Transaction[bytes]) -> None:
        self._base = base
        self._transaction = transaction
        self.row: ShelfRow = unpack_row(transaction.get(ROW_KEY), base.path)
        self._extra_rows = self.row.extra_rows
        self.has_times = bool(self.row.writer_features & EXPIRY)
        self._catalogue = Catalogue(transaction, self._put, self._delete)
        self.limits = Limits()
        self._order: Order | None = None
        self._has_new_limits = False
        self._history: HistoryWriter | None = None
        if self.row.writer_features & BOUNDED:
            self._has_new_limits = transaction.get(ORDER[0]) is None  # then the index is made anew
            self._order = None if self._has_new_limits else Order(transaction, base.path)

    def version(self, key: bytes) -> object:
        """The version that an entry has, or ABSENT."""
        record = self._transaction.get(long_keys.physical(key))
        return ABSENT if record is None else records.version(record)

    def begin_history(self, watch: WatchState, watching: Watching, complete: int) -> HistoryWriter:
        """Keep in this transaction what commits change. The arguments are those of :class:`HistoryWriter`."""
        self._history = HistoryWriter(
            self._transaction, self.row.sequence, watch, watching, complete, keep=self._keep, remove=self._delete
        )
        return self._history

    def _keep(self, rows: list[tuple[bytes, bytes]]) -> None:
        before: int = self._transaction.stat()["entries"]
        self._transaction.cursor().putmulti(rows)
        self._extra_rows += self._transaction.stat()["entries"] - before

    def apply(self, batch: Batch, number: int) -> None:
        """Carry out a batch as the commit with this number."""
        if self._history is not None and self._history.is_on:
            self._history.tell(number, self._gone_by(batch))
        for start, stop in batch.clears:
            self._catalogue.clear(start, stop, number)
            self._clear(start, stop)
        for key in batch.deletes:
            self._catalogue.delete(key, number)
            self._delete(key)
        puts = batch.puts
        if isinstance(puts, SpooledPuts):
            pages = puts.sealed_pages(number, _AT_ONCE)
        else:
            pages = sealed_pages(puts if type(puts) is dict else dict(puts), number, _AT_ONCE)
        for page in pages:
            if self._history is not None:
                self._history.tell(number, [(SET, key, record) for key, record in page if key >= FIRST])
            self._put_many(self._catalogue.take(page))

    def _gone_by(self, batch: Batch) -> Iterator[Told]:
        """The changes of the entries that a batch removes, and does not store again."""
        told: set[bytes] = set()
        for start, stop in batch.clears:
            keys = long_keys.walk(self._transaction, max(start, FIRST), min(stop, LAST), False, True)
            for key, _ in keys if start < stop else ():
                if key not in batch.puts and key not in told:
                    told.add(key)
                    yield DELETED, key, b""
        for told_as in changes_of(((key, _DELETION) for key in batch.deletes), clock.now()):
            if told_as[1] not in batch.puts and told_as[1] not in told:
                yield told_as

    def take_over(self, rows: list[tuple[bytes, bytes]]) -> None:
        """Copy rows of the delta to the base, in order. They are sealed records; one without a body is a deletion."""
        rows = self._catalogue.take(rows)
        deleted = dict.fromkeys([key for key, record in rows if is_deletion(record)])
        for key in deleted:
            self._delete(key)
        self._put_many([row for row in rows if row[0] not in deleted] if deleted else rows)

    def sweep(self, number: int, written: int) -> None:
        """Remove entries that have expired, as part of the commit with this number.

        The work is bounded by the rows that were ``written``, and each of those can expire only once. A newer row of
        the delta may be about the same entry: then the entry of the base does not matter any more.
        """
        if not self.has_times:
            return
        now, most = clock.now(), _SWEPT + 2 * written
        for row, _ in list(islice(long_keys.walk(self._transaction, *until(now), False, True), most)):
            key = row_of(row)[1]
            record = self._transaction.get(long_keys.physical(key)) if is_of_user(key) else None
            if record is not None and is_over(key, record, now):
                self._tell_removed(EXPIRED, key, number)
                self._catalogue.delete(key, number)
                self._delete(key)
                for each in rows_of(key, record):
                    self._delete(each)
            self._delete(row)
        self.has_times = first_in_base(self._transaction) is not None

    def _tell_removed(self, kind: int, key: bytes, number: int) -> None:
        if self._history is not None:
            self._history.tell(number, [(kind, key, b"")])

    @property
    def is_due(self) -> bool:
        """Whether entries have expired, or are more than the limits allow. Commits that are told wait with these."""
        first = first_in_base(self._transaction) if self.has_times else None
        if first is not None and first <= clock.now():
            return True
        self._settle_limits()
        return self._order is not None and self.limits.exceeded_by(self._entries(), self._order.size)

    @property
    def is_bounded(self) -> bool:
        """Whether the shelf has limits, as far as this transaction has taken them into account."""
        return self._order is not None

    def evict(self, number: int, written: int, uses: Uses = NO_USES) -> None:
        """Remove entries until the limits of the shelf hold, as part of the commit with this number."""
        self._settle_limits()
        if self._order is None:
            return

        def remove(key: bytes, record: bytes) -> None:
            order.forget(key, record)
            self._tell_removed(DELETED, key, number)
            self._catalogue.delete(key, number)
            self._extra_rows -= long_keys.delete(self._transaction, key)[1]
            for row in rows_of(key, record):
                self._delete(row)

        order = self._order
        Eviction(
            self._transaction, order, self.limits, uses,
            entries=self._entries(), number=number, flushed=self.row.sequence, remove=remove,
        ).run(written)  # fmt: skip

    def is_full(self) -> bool:
        """Whether the shelf is at its limits, and has a policy that removes nothing."""
        self._settle_limits()
        if self._order is None or self.limits.evict != "expired":
            return False
        return self.limits.exceeded_by(self._entries() + 1, self._order.size + 1)

    def _entries(self) -> int:
        added = 0 if self._order is None else self._order.added
        entries: int = self._transaction.stat()["entries"]
        return entries - self._extra_rows - added

    def _settle_limits(self) -> None:
        """Begin or end the index of order if the shelf has got limits, or lost them."""
        if self._order is None and not self._has_new_limits:
            return
        self.limits = limits_in(self._transaction, self._base.path)
        self._has_new_limits = False
        if self._order is None and self.limits:
            self._order = Order(self._transaction, self._base.path)
            self._order.build()
        elif self._order is not None and not self.limits:
            self._order.drop()
            self._order.finish(keep=False)
            self._extra_rows += self._order.added
            self._order = None

    def finish(self, number: int, nonce: bytes | None = None) -> None:
        """Write the shelf row: the base holds exactly the commits up to this number."""
        self._settle_limits()
        if self._history is not None:
            self._history.finish(number)
        self._catalogue.finish(folder_of(self._base.shelf))
        if self._order is not None:
            self._order.finish(keep=True)
            self._extra_rows += self._order.added
        features = self.row.writer_features & ~(BLOBS | EXPIRY | BOUNDED)
        features |= (0 if self._catalogue.is_empty else BLOBS) | (EXPIRY if self.has_times else 0)
        features |= 0 if self._order is None else BOUNDED
        row = replace(
            self.row,
            sequence=number,
            extra_rows=self._extra_rows,
            nonce=nonce or self.row.nonce,
            writer_features=features,
        )
        self._transaction.put(ROW_KEY, row.pack())

    def _put_many(self, rows: list[tuple[bytes, bytes]]) -> None:
        """Store entries that come in the order of their keys."""
        plain = rows
        if rows and (rows[0][0] < FIRST or max(map(len, map(itemgetter(0), rows))) > long_keys.CHUNK):
            plain = [row for row in rows if row[0] >= FIRST and len(row[0]) <= long_keys.CHUNK]
            for key, record in rows:
                if key < FIRST or len(key) > long_keys.CHUNK:
                    self._put(key, record)
        if plain:
            if self._order is not None:
                self._order.put(plain)
            cursor = self._transaction.cursor()
            behind_all = not cursor.last() or cursor.key() < plain[0][0]
            cursor.putmulti(plain, append=behind_all)  # appending fills pages; inserting leaves them half empty

    def _put(self, key: bytes, record: bytes) -> None:
        if ORDER[0] <= key < ORDER[1]:  # this transaction makes these rows
            return
        if key < FIRST:
            self.has_times |= INDEX[0] <= key < INDEX[1]
            self._has_new_limits |= key == LIMITS_ROW
            if self._transaction.get(long_keys.physical(key)) is None:
                self._extra_rows += 1
        elif self._order is not None:
            self._order.put_long(key, record)
        self._extra_rows += long_keys.put(self._transaction, key, record)

    def _delete(self, key: bytes) -> None:
        if self._order is not None and key >= FIRST:
            self._order.delete(key)
        existed, links = long_keys.delete(self._transaction, key)
        self._extra_rows -= links + (1 if existed and key < FIRST else 0)

    def _clear(self, start: bytes, stop: bytes) -> None:
        if start <= FIRST and stop >= LAST:
            self._clear_all()
            return
        for key in [key for key, _ in long_keys.walk(self._transaction, start, stop, False, True)]:
            self._delete(key)

    def _clear_all(self) -> None:
        """Drop everything, then put back our own rows. The cost depends on the number of pages, not of entries."""
        own = [
            *long_keys.walk(self._transaction, b"\x00", long_keys.LAYERS, False, False),
            *long_keys.walk(self._transaction, prefix_end(long_keys.LAYERS), ORDER[0], False, False),
            *long_keys.walk(self._transaction, ORDER[1], FIRST, False, False),
        ]
        if self._order is not None:
            self._order.forget_all()
        self._transaction.drop(self._base.main_database(self._transaction), delete=False)
        self._extra_rows = len(own) + sum(long_keys.put(self._transaction, key, record) for key, record in own)
