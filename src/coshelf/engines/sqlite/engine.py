"""The engine: reads never wait, and commits take turns on coshelf's own lock. docs/design.md, "SQLite"."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TYPE_CHECKING

from coshelf import records
from coshelf.contract import (
    ABSENT,
    Batch,
    Capabilities,
    Changes,
    Engine,
    Entry,
    OpenOptions,
    Position,
)
from coshelf.engines.directory_lock import DirectoryLock
from coshelf.engines.exclusive import ExclusiveEngine
from coshelf.engines.sqlite import history
from coshelf.engines.sqlite.changes import SqliteChanges
from coshelf.engines.sqlite.connections import Connections
from coshelf.engines.sqlite.database import Row
from coshelf.engines.sqlite.failures import translated
from coshelf.engines.sqlite.reading import COUNT, FIRST_EXPIRY, GET, SqliteSnapshot, entry_of
from coshelf.engines.sqlite.sidecars import LockFile, Sidecars
from coshelf.engines.sqlite.turns import turns_of
from coshelf.engines.whereabouts import missed
from coshelf.errors import ReadOnlyShelf
from coshelf.system.threads.cooperation import Gates
from coshelf.trust import marks
from coshelf.trust.exposure import exposure_above
from coshelf.trust.provenance import unmarked
from coshelf.values.expiry import INDEX, row_of

if TYPE_CHECKING:
    from coshelf.engines.sqlite.lines import SqliteLines
    from coshelf.engines.turn_table.table import TableTurns
    from coshelf.inspection.reports import Compaction, Figures, Progress, Report

__all__ = ["SqliteEngine"]

_ROOM = 1 << 16  # bytes of a row besides its record
_LARGEST_VALUE = 1_000_000_000 - _ROOM - records.TRAILER  # SQLite's own limit, unless it was built with another

_PUT = "INSERT INTO entries VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET record = excluded.record"
_VERSION = f"SELECT substr(record, -{records.TRAILER}, 8) FROM entries WHERE key = ?"


class SqliteEngine(ExclusiveEngine):
    """One handle on a database file that other handles and processes may share."""

    name = "sqlite"
    _lock: DirectoryLock | None

    def __init__(
        self,
        connections: Connections,
        row: Row,
        sidecars: Sidecars,
        options: OpenOptions,
        open_engine: Callable[[str, OpenOptions], Engine],
    ) -> None:
        self._connections = connections
        self._sidecars = sidecars
        self._options = options
        self._path = connections.path
        self._created = row.created
        self.where = f"sqlite:{self._path}"
        self.store_id = row.store_id
        self._waits_for_disk = options.durability == "commit"
        self._last_sync = time.monotonic()
        self._unsynced = False
        self._closed = False
        self._gates = Gates()
        self._lock = None if options.flag == "r" else self._new_lock()
        self._turns = turns_of(self, self._path, sidecars, options, open_engine, self._refuse_use)
        self.capabilities = Capabilities(
            exclusive="processes",
            watch="poll",
            acknowledged="durable" if self._waits_for_disk else "machine",
            largest_value=_LARGEST_VALUE,
            cheap_count=False,
            expiry=True,
            tags=True,
            turns="processes",
            changes="all",
            server=f"SQLite {sqlite3.sqlite_version}",
        )

    def _new_lock(self) -> DirectoryLock:
        target = LockFile(self._path)
        descriptor = target.make()
        try:
            return DirectoryLock(descriptor, self.where, target)
        finally:
            os.close(descriptor)

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Entry | None:
        connections = self._connections
        connection = connections.take()
        try:
            with translated(self._path, "read", connections.timeout):
                rows = connection.execute(GET, (key,)).fetchall()
        finally:
            connections.give_back(connection)
        return entry_of(key, rows, self._path)

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        with self.snapshot() as snapshot:
            return [snapshot.get(key) for key in keys]

    def count(self, start: bytes, stop: bytes) -> int:
        with self._connections.lent() as connection, translated(self._path, "read", self._connections.timeout):
            number: int = connection.execute(COUNT, (start, stop)).fetchall()[0][0]
            return number

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        with self._single() as snapshot:
            yield from snapshot.scan(start, stop, reverse=reverse, keys_only=keys_only)

    def pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[tuple[bytes, bytes]]]:
        with self._single() as snapshot:
            yield from snapshot.pages(start, stop, reverse=reverse)

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        with self._single() as snapshot:
            yield from snapshot.key_pages(start, stop, reverse=reverse)

    def first_expiry(self) -> int | None:
        with self._connections.lent() as connection, translated(self._path, "read", self._connections.timeout):
            rows = connection.execute(FIRST_EXPIRY, INDEX).fetchall()
        return row_of(rows[0][0])[0] if rows else None

    def snapshot(self) -> SqliteSnapshot:
        return SqliteSnapshot(self._connections)

    def _single(self) -> SqliteSnapshot:
        return SqliteSnapshot(self._connections, single=True)

    # --- writing -----------------------------------------------------------------------------------------------------

    def _writing(self, timeout: float) -> AbstractContextManager[None]:
        self._refuse_gone()
        return super()._writing(timeout)

    def _apply_alone(self, batch: Batch) -> int:
        assert self._lock is not None
        return self._lock.committing(self._commit, batch)

    def _commit(self, batch: Batch) -> int:
        """Commit while this thread holds the lock: no other writer copies the log into the file meanwhile."""
        is_due = self._waits_for_disk or time.monotonic() - self._last_sync >= self._options.flush_interval
        connections = self._connections
        connection = connections.take()
        try:
            with (
                translated(self._path, "write", self._options.timeout),
                _transaction(connection, synced=is_due),
            ):
                if batch.checks:
                    batch.refuse_conflicts(lambda key: _version(connection, key))
                ((number, watched),) = connection.execute(history.NEXT).fetchall()
                if watched is not None:
                    history.note(connection, batch, number, watched)
                for bounds in batch.clears:
                    connection.execute("DELETE FROM entries WHERE key >= ? AND key < ?", bounds)
                if batch.deletes:
                    connection.executemany("DELETE FROM entries WHERE key = ?", [(key,) for key in batch.deletes])
                connection.executemany(_PUT, batch.sealed(number))
        finally:
            connections.give_back(connection)
        self._gates.open()
        self._unsynced = not is_due
        if is_due:
            self._last_sync = time.monotonic()
            self._refuse_gone()
        assert isinstance(number, int)
        return number

    def sync(self) -> None:
        """Make all commits of all processes durable: commit nothing, and wait for the disk."""
        if self._lock is not None:
            with self._writing(self._options.timeout):
                self._lock.committing(self._sync)

    def _sync(self) -> None:
        with (
            self._connections.lent() as connection,
            translated(self._path, "sync", self._options.timeout),
            _transaction(connection, synced=True),
        ):
            connection.execute("UPDATE shelf SET number = number")
        self._unsynced = False
        self._last_sync = time.monotonic()
        self._refuse_gone()

    def _refuse_gone(self) -> None:
        """Raise :class:`ShelfGone` if the name does not lead to the file that SQLite has open."""
        gone = missed(self._path, self._sidecars.database)
        if gone is not None:
            raise gone

    # --- changes -----------------------------------------------------------------------------------------------------

    def position(self) -> Position:
        with self._connections.lent() as connection, translated(self._path, "read", self._connections.timeout):
            number, watched = history.latest(connection)
        if self._lock is None or self.owns_exclusive() or (watched is not None and not watched.is_due()):
            return number
        return self._renew(self._options.timeout)[0]

    def may_be_later(self, version: int | str, since: Position) -> bool:
        return not (isinstance(version, int) and isinstance(since, int)) or version > since

    def changes(self, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> Changes:
        if self._lock is None:
            raise ReadOnlyShelf(
                f"{self.where} was opened for reading alone, and a watch has to tell the writers that it is there\n"
                "  hint: open it for writing to watch it"
            )
        return SqliteChanges(self._connections, self._renew, ranges, since, self._gates)

    def _renew(self, timeout: float) -> tuple[int, history.Watched]:
        assert self._lock is not None
        with self._writing(timeout):
            return self._lock.committing(self._have_noted)

    def _have_noted(self) -> tuple[int, history.Watched]:
        with (
            self._connections.lent() as connection,
            translated(self._path, "write", self._options.timeout),
            _transaction(connection, synced=False),
        ):
            return history.renew(connection)

    # --- the rest ----------------------------------------------------------------------------------------------------

    def distrust(self) -> str | None:
        row = self.get(marks.ROW_KEY)
        body = None if row is None else row.record[: -records.TRAILER]
        if not marks.is_marked(self.store_id, *self._identity(), body):
            return unmarked(self._path, self.store_id)
        return self.exposure()

    def exposure(self) -> str | None:
        return exposure_above(self._path, self._sidecars.database) or self._sidecars.exposure()

    def _identity(self) -> tuple[int, int]:
        database = self._sidecars.database
        return database.st_dev, database.st_ino

    def trust(self) -> None:
        row = marks.mark(self.store_id, *self._identity(), self._path)
        if row is not None:
            self.commit(Batch(puts={marks.ROW_KEY: row}))

    def revoke(self) -> bool:
        return marks.unmark(self.store_id, *self._identity())

    def check(self, progress: Progress | None) -> Report:
        from coshelf.inspection.record_check import check_records

        report = check_records(self, progress)
        with self._connections.lent() as connection, translated(self._path, "read", self._connections.timeout):
            for (message,) in connection.execute("PRAGMA integrity_check").fetchall():
                if message != "ok":
                    report.add("page", self._path, message)
        return report

    def figures(self) -> Figures:
        from coshelf.inspection.reports import Figures

        with self._connections.lent() as connection, translated(self._path, "read", self._connections.timeout):
            size, pages, free, number = (
                connection.execute(query).fetchall()[0][0]
                for query in (
                    "PRAGMA page_size",
                    "PRAGMA page_count",
                    "PRAGMA freelist_count",
                    "SELECT number FROM shelf",
                )
            )
        return Figures(os.stat(self._path).st_size, self._created, size, pages, free, number)

    def compact(self, progress: Progress | None = None) -> Compaction:
        """Write the file again. Readers can read meanwhile, and keep their instants. SQLite tells no progress."""
        self._refuse_writes()
        with self._writing(self._options.timeout):
            assert self._lock is not None
            return self._lock.committing(self._compact)

    def _compact(self) -> Compaction:
        from coshelf.inspection.reports import Compaction

        with (
            self._connections.lent() as connection,
            translated(self._path, "compact", self._options.timeout),
        ):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            before = os.stat(self._path).st_size
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return Compaction(before, os.stat(self._path).st_size)

    def turns(self) -> TableTurns | SqliteLines:
        return self._turns

    def _refuse_use(self) -> None:
        self._refuse_writes()
        self._refuse_gone()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                self._turns.close()
                if self._unsynced:
                    self.sync()
            finally:
                self._connections.close()

    def rest(self) -> None:
        self._waits_for_disk = True
        try:
            if self._unsynced:
                self.sync()
        finally:
            self._connections.rest()

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        return self.where, self._options.for_reopening()


@contextmanager
def _transaction(connection: sqlite3.Connection, *, synced: bool) -> Iterator[None]:
    """A write transaction. With ``synced``, it and all earlier ones are on the disk when the block has ended."""
    if synced:
        connection.execute("PRAGMA synchronous = FULL").close()
    try:
        connection.execute("BEGIN IMMEDIATE").close()
        try:
            yield
            connection.execute("COMMIT").close()
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK").close()
            raise
    finally:
        if synced:
            connection.execute("PRAGMA synchronous = NORMAL").close()


def _version(connection: sqlite3.Connection, key: bytes) -> object:
    with closing(connection.execute(_VERSION, (key,))) as cursor:
        rows = cursor.fetchall()
    return int.from_bytes(rows[0][0], "little") if rows else ABSENT
