"""A reader of one instant: the base at one of its commits, and over it the rows that the delta had then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import lmdb

from coshelf import records
from coshelf.contract import RESERVED, Entry, Snapshot
from coshelf.engines.lmdb import long_keys
from coshelf.engines.lmdb.checks.running import ScanCheck, refuse_absence, visibly_damaged
from coshelf.engines.lmdb.delta.delta import is_deletion
from coshelf.engines.lmdb.delta.newer_rows import NewerRows
from coshelf.engines.lmdb.environment import Environment
from coshelf.engines.lmdb.failures import translate
from coshelf.engines.lmdb.pages.row_pages import RowPages
from coshelf.engines.lmdb.read_transaction import ReadTransaction
from coshelf.engines.lmdb.shelf_row import ROW_KEY, unpack_row
from coshelf.engines.lmdb.times import earlier, first_in_base
from coshelf.errors import CoshelfError, DamagedShelf, ShelfClosed, StorageError
from coshelf.keys import FIRST, LAST
from coshelf.values.expiry import INDEX, first_time

__all__ = ["LmdbSnapshot", "take_instant"]

# The most entries of the delta that are copied. If there are more, a flush costs little more, and only once.
_MANY = 2_000


def take_instant(environment: Environment, start: bytes, stop: bytes) -> LmdbSnapshot:
    """The shelf as it is now, for reading keys in ``[start, stop)``.

    The delta is read first: what a flush takes out of it is in the base by then. Its rows are copied. An open read
    transaction of the delta would keep its pages from being used again, and the delta would fill up.
    """
    environment.enter()
    try:
        state = environment.delta_state
        if state is None or state.is_clean():
            snapshot = LmdbSnapshot(environment, ReadTransaction(environment), {})
            snapshot.take_left(environment.files.left)
            return snapshot
        environment.tend()
        delta = environment.current_delta()
        if environment.may_write and delta.has_more(start, stop, _MANY):
            _flush_if_possible(environment)
        rows = delta.rows(start, stop)
        transaction = ReadTransaction(environment)
        try:
            base = transaction.enter()
            try:
                flushed = environment.flushed_by(base)
            finally:
                transaction.leave()
        except BaseException:
            transaction.close()
            raise
        return LmdbSnapshot(
            environment, transaction, {key: record for key, record in rows if records.version(record) > flushed}
        )
    except lmdb.Error as error:
        raise translate(error, environment.path, "read") from error
    finally:
        environment.leave()


def _flush_if_possible(environment: Environment) -> None:
    """Flush. If it fails, for example on a full disk, the commits stay in the delta and can be read there.

    ``sync()`` and ``close()`` raise the error.
    """
    with suppress(StorageError):
        environment.flusher.flush()


class LmdbSnapshot(Snapshot):
    """One instant of the file. Snapshots of the same instant share a transaction. The last one that closes ends it.

    ``newer`` has the rows of the delta, in order. They take precedence over those of the base.
    """

    def __init__(self, environment: Environment, transaction: ReadTransaction, newer: dict[bytes, bytes]) -> None:
        self._environment = environment
        self._transaction: ReadTransaction | None = transaction
        self._newer = newer
        transaction.users += 1

    def take_left(self, left: dict[bytes, bytes]) -> None:
        """Give rows that a dead process left in the delta precedence over the base, unless the base has them by now."""
        if left:
            try:
                with self.transaction() as transaction:
                    flushed = unpack_row(transaction.get(ROW_KEY), self._environment.path).sequence
            except BaseException:
                self.close()
                raise
            self._newer = {key: record for key, record in left.items() if records.version(record) > flushed}

    @property
    def _reading(self) -> ReadTransaction:
        if self._transaction is None:
            raise ShelfClosed(f"the snapshot of {self._environment.path} has been closed")
        return self._transaction

    @property
    def newer(self) -> dict[bytes, bytes]:
        """The rows of the delta, in order. A record without a body is a deletion."""
        return self._newer

    @contextmanager
    def transaction(self) -> Iterator[lmdb.Transaction[bytes]]:
        """The read transaction, for a block. At the end it is confirmed that no writer overwrote what was read."""
        reading = self._reading
        transaction = reading.enter()
        base = self._environment.base
        try:
            yield transaction
            base.confirm(transaction)
        except (lmdb.Error, CoshelfError) as error:
            self._refuse(transaction, error)
        finally:
            reading.leave()

    def _refuse(self, transaction: lmdb.Transaction[bytes], error: lmdb.Error | CoshelfError) -> NoReturn:
        """Raise the error of a read as ours."""
        self._environment.base.confirm(transaction)  # a reader without locks may have followed overwritten pages
        if isinstance(error, CoshelfError):
            raise error
        raise translate(error, self._environment.path, "read") from error

    def get(self, key: bytes) -> Entry | None:
        record = self._newer.get(key)
        if record is not None:
            if not self._reading.alive:
                self._reading.refuse()
            return None if is_deletion(record) else Entry(record)
        with self.transaction() as transaction:
            record = transaction.get(long_keys.physical(key))
        if self._environment.has_damage:
            if record is None:
                refuse_absence(key, self._environment.path)
            else:
                record = visibly_damaged(key, record)
        return None if record is None else Entry(record)

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        if self._environment.has_damage:
            return super().get_many(keys)
        found: list[Entry | None] = []
        with self.transaction() as transaction:
            for key in keys:
                record = self._newer.get(key)
                if record is None:
                    record = transaction.get(long_keys.physical(key))
                elif is_deletion(record):
                    record = None
                found.append(None if record is None else Entry(record))
        return found

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        pages = self._pages(start, stop, reverse=reverse, keys_only=keys_only)
        if keys_only:
            return ((key, None) for page in pages for key in page)
        return ((key, Entry(record)) for page in pages for key, record in page)

    def pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[tuple[bytes, bytes]]]:
        return self._pages(start, stop, reverse=reverse, keys_only=False)

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        return self._pages(start, stop, reverse=reverse, keys_only=True)

    def _pages(self, start: bytes, stop: bytes, *, reverse: bool, keys_only: bool) -> Iterator[list[Any]]:
        """Pages of rows, or of keys, without empty ones."""
        reading = self._reading
        rows: RowPages | None = None
        newer = NewerRows(self._newer, start, stop, reverse=reverse, keys_only=keys_only)
        check = ScanCheck(self._environment.path, reverse=reverse)
        is_whole = start <= FIRST and stop >= LAST
        is_end = False
        try:
            while not is_end:
                transaction = reading.enter()  # the steps of self.transaction(), which would cost a tenth of a scan
                try:
                    if rows is None:
                        rows = RowPages(transaction, start, stop, reverse=reverse, keys_only=keys_only)
                    found = rows.take()
                    if self._environment.has_damage and not keys_only:
                        found = [(key, visibly_damaged(key, record)) for key, record in found]
                    check.see(found)
                    if not found and is_whole:
                        check.end(self._count_base(transaction))
                    # Asked before the page is handed out: closing the shelf empties it.
                    is_end = not found or (rows.is_done and not is_whole)
                    page = newer.over(found)
                    reading.hand_out(rows, page)
                    self._environment.base.confirm(transaction)
                except (lmdb.Error, CoshelfError) as error:
                    self._refuse(transaction, error)
                finally:
                    reading.leave()
                if page:
                    yield page
            if not reading.alive:
                reading.refuse()
            page = newer.over([])
            if page:  # rows of the delta behind the last row of the base
                reading.hand_out(rows, page)
                yield page
                if not reading.alive:
                    reading.refuse()
        finally:
            reading.forget(rows)

    def count(self, start: bytes, stop: bytes) -> int:
        if start > FIRST or stop < LAST:
            return sum(1 for _ in self.scan(start, stop, keys_only=True))
        with self.transaction() as transaction:
            entries = self._count_base(transaction)
            for key, record in self._newer.items():
                if key < FIRST:
                    continue
                entries += (not is_deletion(record)) - (transaction.get(long_keys.physical(key)) is not None)
        return entries

    def _count_base(self, transaction: lmdb.Transaction[bytes]) -> int:
        row = unpack_row(transaction.get(ROW_KEY), self._environment.path)
        entries: int = transaction.stat()["entries"] - row.extra_rows
        if not 0 <= entries <= self._environment.base.size:
            raise DamagedShelf(f"{self._environment.path} is damaged: it counts {entries} entries")
        return entries

    def first_expiry(self) -> int | None:
        rows = (row for row, record in self._newer.items() if INDEX[0] <= row < INDEX[1] and not is_deletion(record))
        with self.transaction() as transaction:
            return earlier(first_time((row, None) for row in rows), first_in_base(transaction))

    def reserved(self) -> Iterator[tuple[bytes, bytes]]:
        with self.transaction() as transaction:
            rows = {
                key: record
                for start, stop in RESERVED
                for key, record in long_keys.walk(transaction, start, stop, False, False)
            }
        rows.update((key, record) for key, record in self._newer.items() if key < FIRST)
        found = ((key, record) for key, record in rows.items() if not is_deletion(record) and self._is_needed(key))
        return iter(sorted(found))

    def last_commit(self) -> int:
        with self.transaction() as transaction:
            flushed = unpack_row(transaction.get(ROW_KEY), self._environment.path).sequence
        return max([flushed, *map(records.version, self._newer.values())])

    def snapshot(self) -> LmdbSnapshot:
        return LmdbSnapshot(self._environment, self._reading, self._newer)

    def close(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.users -= 1
            if transaction.users == 0:
                transaction.close()
                self._collect_blobs()

    def _collect_blobs(self) -> None:
        """Remove blobs that were kept for this instant alone."""
        environment = self._environment
        # Not in a forked child that has not opened the shelf: the garbage collector may close an inherited snapshot.
        if environment.blobs.has_waiting and environment.may_write and environment.is_open:
            with suppress(ShelfClosed), environment.inside():
                environment.blobs.collect()
