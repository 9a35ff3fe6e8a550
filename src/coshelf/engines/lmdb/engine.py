"""The lmdb engine: entries in one file that any number of processes and threads read and write at once.

Every commit is durable when it returns. Readers see the state of one instant and are never kept waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import lmdb

from coshelf import records
from coshelf.engines.contract import (
    ABSENT,
    Batch,
    Capabilities,
    Doorbell,
    Engine,
    Entry,
    Exclusive,
    Flag,
    OpenOptions,
    Snapshot,
)
from coshelf.engines.lmdb import long_keys
from coshelf.engines.lmdb.environment import Environment
from coshelf.engines.lmdb.failures import translate, translated
from coshelf.engines.lmdb.read_transaction import ReadTransaction
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, unpack_row
from coshelf.errors import (
    CoshelfError,
    DamagedShelf,
    FormatTooNew,
    ReadOnlyShelf,
    ShelfClosed,
    SnapshotLost,
    TransactionInProgress,
)
from coshelf.keys import FIRST, LAST, prefix_end

__all__ = ["LmdbEngine"]

_CAPABILITIES = Capabilities(exclusive="processes", watch="doorbell", largest_value=(1 << 32) - 1 - records.TRAILER)
# A scan reads pages of rows ahead: few at first, since many who scan want only one.
_FIRST_PAGE = 1
_LARGEST_PAGE = 256
_PAGE_BYTES = 1 << 20
_PATIENCE = 50  # reads that are repeated when commits come in between, for a reader without locks

_T = TypeVar("_T")


class LmdbEngine(Engine):
    """One user's handle on an environment that others may share."""

    name = "lmdb"
    capabilities = _CAPABILITIES

    def __init__(self, environment: Environment, options: OpenOptions) -> None:
        self._environment = environment
        self._options = options
        self._closed = False
        self.where = environment.path

    @property
    def row(self) -> ShelfRow:
        """The shelf row as it was when the file was opened."""
        return self._environment.row

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Entry | None:
        environment = self._environment
        if not environment.registered:
            return self._repeated(lambda snapshot: snapshot.get(key))
        environment.enter()
        try:
            with environment.begin_inside() as transaction:
                record = transaction.get(key if len(key) <= long_keys.CHUNK else long_keys.physical(key))
        except lmdb.Error as error:
            raise translate(error, self.where, "read") from error
        finally:
            environment.leave()
        return None if record is None else Entry(record)

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        return self._repeated(lambda snapshot: snapshot.get_many(keys))

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        snapshot = self.snapshot()
        rows = _closing(snapshot, snapshot.scan(start, stop, reverse=reverse, keys_only=keys_only))
        next(rows)  # from here on closing it closes the snapshot, even if nothing is ever taken from it
        return rows

    def count(self, start: bytes, stop: bytes) -> int:
        return self._repeated(lambda snapshot: snapshot.count(start, stop))

    def snapshot(self) -> LmdbSnapshot:
        return LmdbSnapshot(self._environment, ReadTransaction(self._environment))

    def _repeated(self, read: Callable[[LmdbSnapshot], _T]) -> _T:
        """Read from a snapshot; again, if a reader without locks was overtaken by a commit."""
        for _ in range(_PATIENCE):
            with self.snapshot() as snapshot:
                try:
                    return read(snapshot)
                except SnapshotLost:
                    continue
        with self.snapshot() as snapshot:
            return read(snapshot)

    # --- writing -----------------------------------------------------------------------------------------------------

    def commit(self, batch: Batch) -> int:
        self._check_writable()
        if self.owns_exclusive():
            raise TransactionInProgress(
                f"this thread is inside a transaction of {self.where} and must write through it"
            )
        prepared = _prepare(batch)
        committed = self._commit(batch, prepared, holding=False)
        if committed is None:
            with self._environment.exclusive.hold(self._options.timeout):
                committed = self._commit(batch, prepared, holding=True)
        assert committed is not None
        return committed

    def _commit_exclusively(self, batch: Batch) -> int:
        self._check_writable()
        committed = self._commit(batch, _prepare(batch), holding=True)
        assert committed is not None
        return committed

    def _commit(self, batch: Batch, prepared: dict[bytes, int], *, holding: bool) -> int | None:
        """Commit the batch; None, and nothing, if another has the exclusive lock once LMDB's own is held."""
        with self._environment.inside():
            transaction = self._environment.begin_write()
            try:
                if not holding and self._environment.exclusive.is_others():
                    transaction.abort()
                    return None
                with translated(self.where, "write"):
                    sequence = _Commit(self._environment, transaction).apply(batch, prepared)
                    transaction.commit()
            except BaseException:
                transaction.abort()
                raise
            self._environment.complete()
            self._environment.page.ring(sequence)
        return sequence

    def _check_writable(self) -> None:
        if self._options.flag == "r":
            raise ReadOnlyShelf(f"{self.where} was opened with flag 'r' and cannot be written")
        if not self._environment.row.writable:
            raise FormatTooNew(f"{self.where} uses features of a later version: this one can read it, not write it")

    @contextmanager
    def exclusive(self, timeout: float | None = None) -> Iterator[Exclusive]:
        self._check_writable()
        with self._environment.inside():  # a forked child opens afresh here, and has a lock of its own from then on
            pass
        with self._environment.exclusive.hold(self._options.timeout if timeout is None else timeout):
            yield Exclusive(self._commit_exclusively)

    def owns_exclusive(self) -> bool:
        exclusive = self._environment.exclusive_or_none
        return exclusive is not None and exclusive.is_mine()

    # --- the rest ----------------------------------------------------------------------------------------------------

    def doorbell(self) -> Doorbell:
        with self._environment.inside():
            return self._environment.bell()

    def sync(self) -> None:
        """Nothing to do: every commit is durable when it returns."""

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                self._environment.wake()
            finally:
                self._environment.release()

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        flag: Flag = "r" if self._options.flag == "r" else "w"
        return self.where, replace(self._options, flag=flag)


class LmdbSnapshot(Snapshot):
    """One instant of the file. Handles on the same instant share a transaction; the last one closed ends it."""

    def __init__(self, environment: Environment, transaction: ReadTransaction) -> None:
        self._environment = environment
        self._transaction: ReadTransaction | None = transaction
        transaction.users += 1

    @property
    def _reading(self) -> ReadTransaction:
        if self._transaction is None:
            raise ShelfClosed(f"the snapshot of {self._environment.path} has been closed")
        return self._transaction

    @contextmanager
    def _read(self) -> Iterator[lmdb.Transaction[bytes]]:
        """The transaction, for a read that is confirmed at its end."""
        reading = self._reading
        transaction = reading.enter()
        try:
            yield transaction
            self._environment.confirm(transaction)
        except (lmdb.Error, CoshelfError) as error:
            self._environment.confirm(transaction)  # a reader without locks may have followed overwritten pages
            if isinstance(error, CoshelfError):
                raise
            raise translate(error, self._environment.path, "read") from error
        finally:
            reading.leave()

    def get(self, key: bytes) -> Entry | None:
        with self._read() as transaction:
            record = transaction.get(long_keys.physical(key))
        return None if record is None else Entry(record)

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        reading = self._reading
        rows: Iterator[tuple[bytes, bytes]] | None = None
        wanted = _FIRST_PAGE
        while True:
            with self._read() as transaction:
                if rows is None:
                    rows = long_keys.walk(transaction, max(start, FIRST), stop, reverse, keys_only)
                page = _take(rows, wanted)
            for key, record in page:
                yield key, None if keys_only else Entry(record)
                if not reading.alive:  # closed meanwhile, or this is a forked child
                    break
            if not page:
                return
            wanted = min(wanted * 2, _LARGEST_PAGE)

    def count(self, start: bytes, stop: bytes) -> int:
        if start <= FIRST and stop >= LAST:
            with self._read() as transaction:
                row = unpack_row(transaction.get(ROW_KEY), self._environment.path)
                entries = transaction.stat()["entries"] - row.extra_rows
                if not 0 <= entries <= self._environment.size:
                    raise DamagedShelf(f"{self._environment.path} is damaged: it counts {entries} entries")
                return entries
        return sum(1 for _ in self.scan(start, stop, keys_only=True))

    def snapshot(self) -> LmdbSnapshot:
        return LmdbSnapshot(self._environment, self._reading)

    def close(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.users -= 1
            if transaction.users == 0:
                transaction.close()


class _Commit:
    """The changes of one batch inside one write transaction."""

    def __init__(self, environment: Environment, transaction: lmdb.Transaction[bytes]) -> None:
        self._environment = environment
        self._transaction = transaction
        self._row = unpack_row(transaction.get(ROW_KEY), environment.path)
        self._extra_rows = self._row.extra_rows

    def apply(self, batch: Batch, partial: dict[bytes, int]) -> int:
        """Carry out the batch and return its number. ``partial`` holds the checksums of the bodies so far."""
        batch.refuse_conflicts(self._version)
        sequence = self._row.sequence + 1
        for start, stop in batch.clears:
            self._clear(start, stop)
        for key in batch.deletes:
            self._delete(key)
        for key, body in batch.puts.items():
            self._put(key, records.seal(body, partial[key], sequence))
        self._transaction.put(ROW_KEY, self._row.after_commit(self._extra_rows).pack())
        return sequence

    def _version(self, key: bytes) -> object:
        record = self._transaction.get(long_keys.physical(key))
        return ABSENT if record is None else records.version(record)

    def _put(self, key: bytes, record: bytes) -> None:
        if key < FIRST and self._transaction.get(key) is None:
            self._extra_rows += 1
        self._extra_rows += long_keys.put(self._transaction, key, record)

    def _delete(self, key: bytes) -> None:
        existed, links = long_keys.delete(self._transaction, key)
        self._extra_rows -= links + (1 if existed and key < FIRST else 0)

    def _clear(self, start: bytes, stop: bytes) -> None:
        if start <= FIRST and stop >= LAST:
            self._clear_all()
            return
        for key in [key for key, _ in long_keys.walk(self._transaction, start, stop, False, True)]:
            self._delete(key)

    def _clear_all(self) -> None:
        """Drop everything, then put back our own rows: costs pages, not entries."""
        own = [
            *long_keys.walk(self._transaction, b"\x00", long_keys.LAYERS, False, False),
            *long_keys.walk(self._transaction, prefix_end(long_keys.LAYERS), FIRST, False, False),
        ]
        self._transaction.drop(self._environment.main_database(self._transaction), delete=False)
        for key, record in own:
            self._transaction.put(key, record)
        self._extra_rows = len(own)


def _prepare(batch: Batch) -> dict[bytes, int]:
    """What can be computed before the lock: the checksums, but for the number."""
    return {key: records.checksum(key, body) for key, body in batch.puts.items()}


def _take(rows: Iterator[tuple[bytes, bytes]], wanted: int) -> list[tuple[bytes, bytes]]:
    """The next rows, as many as wanted, but not many large ones."""
    page = []
    room = _PAGE_BYTES
    for row in rows:
        page.append(row)
        wanted -= 1
        room -= len(row[1])
        if not wanted or room <= 0:
            break
    return page


def _closing(snapshot: Snapshot, rows: Iterator[tuple[bytes, Entry | None]]) -> Iterator[tuple[bytes, Entry | None]]:
    try:
        yield b"", None
        yield from rows
    finally:
        snapshot.close()
