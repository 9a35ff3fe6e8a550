"""Reads a database file: the latest state by single queries, and one instant by a read transaction."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from operator import itemgetter
from typing import Any

from coshelf import records
from coshelf.contract import Entry, Snapshot
from coshelf.engines.sqlite.connections import Connections
from coshelf.engines.sqlite.failures import translated
from coshelf.errors import DamagedRecord, DamagedShelf, ShelfClosed
from coshelf.system.threads.living import Living
from coshelf.values.expiry import INDEX, row_of

__all__ = ["COUNT", "FIRST_EXPIRY", "GET", "SqliteSnapshot", "entry_of"]

GET = "SELECT record FROM entries WHERE key = ?"
COUNT = "SELECT count(*) FROM entries WHERE key >= ? AND key < ?"
FIRST_EXPIRY = "SELECT key FROM entries WHERE key >= ? AND key < ? ORDER BY key LIMIT 1"
_PAGE_BYTES = 1 << 20
_LARGEST_PAGE = 256
_KEY = itemgetter(0)

_Page = list[tuple[Any, ...]]


def entry_of(key: bytes, rows: _Page, path: str) -> Entry | None:
    """The entry in the rows of :data:`GET`."""
    if not rows:
        return None
    record = rows[0][0]
    if not isinstance(record, bytes) or len(record) <= records.TRAILER:
        raise DamagedRecord(f"an entry in {path} is not a record", key)
    return Entry(record)


class _Held:
    """A connection with a read transaction, shared by the snapshots of one instant.

    The connection is given back after the last snapshot, or when this object is collected. A ``single`` query needs no
    transaction: SQLite returns the rows as they were when the query began.
    """

    def __init__(self, connections: Connections, *, single: bool) -> None:
        self.connections = connections
        self.lock = threading.RLock()  # one thread at a time: a connection must not be closed while a thread reads
        self.pid = os.getpid()
        self.holders = 1
        connection = connections.take(keep=True)
        self.connection: sqlite3.Connection | None = connection
        self._cursors: Living[sqlite3.Cursor] = Living()
        self._finalizer = weakref.finalize(self, _give_back, connections, connection, self._cursors, self.pid)
        self._finalizer.atexit = False
        if single:
            return
        with translated(connections.path, "read", connections.timeout):
            connection.execute("BEGIN").close()
            connection.execute("SELECT number FROM shelf").fetchall()  # the first query decides the instant

    def execute(self, query: str, parameters: tuple[Any, ...]) -> sqlite3.Cursor:
        if self.pid != os.getpid():
            raise ShelfClosed("the snapshot belongs to the parent of this process")
        if self.connection is None:
            raise ShelfClosed("the snapshot has been closed")
        cursor = self.connection.execute(query, parameters)
        self._cursors.add(cursor)
        return cursor

    def let_go(self) -> None:
        with self.lock:
            self.holders -= 1
            if self.holders or self.pid != os.getpid():
                return
            self.connection = None
            self._finalizer()


def _give_back(
    connections: Connections, connection: sqlite3.Connection, cursors: Living[sqlite3.Cursor], pid: int
) -> None:
    if pid == os.getpid():
        for cursor in list(cursors):  # a cursor with unread rows would keep the connection at its instant
            cursor.close()
        connections.give_back(connection)


class SqliteSnapshot(Snapshot):
    """A read transaction, or a ``single`` scan without one."""

    def __init__(self, connections: Connections, held: _Held | None = None, *, single: bool = False) -> None:
        self._connections = connections
        self._path = connections.path
        self._held = _Held(connections, single=single) if held is None else held
        self._closed = False

    def _rows(self, query: str, parameters: tuple[Any, ...]) -> _Page:
        self._refuse_closed()
        with self._held.lock, translated(self._path, "read", self._connections.timeout):
            return self._held.execute(query, parameters).fetchall()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ShelfClosed("the snapshot has been closed")

    def get(self, key: bytes) -> Entry | None:
        return entry_of(key, self._rows(GET, (key,)), self._path)

    def count(self, start: bytes, stop: bytes) -> int:
        number: int = self._rows(COUNT, (start, stop))[0][0]
        return number

    def _pages(self, start: bytes, stop: bytes, reverse: bool, columns: str) -> Iterator[_Page]:
        query = f"SELECT {columns} FROM entries WHERE key >= ? AND key < ? ORDER BY key{' DESC' if reverse else ''}"
        size, cursor = 1, None
        try:
            while True:
                self._refuse_closed()
                with self._held.lock, translated(self._path, "read", self._connections.timeout):
                    if cursor is None:
                        cursor = self._held.execute(query, (start, stop))
                    elif self._held.connection is None:
                        raise ShelfClosed("the snapshot has been closed")
                    page = cursor.fetchmany(size)
                if not page:
                    return
                if {*map(type, map(_KEY, page))} != {bytes}:  # SQLite keeps any type in any column
                    raise DamagedShelf(f"{self._path} is damaged: a key in it is not a BLOB")
                yield page
                average = sum(len(row[-1]) for row in page) // len(page) + 1
                size = max(1, min(size * 16, _LARGEST_PAGE, _PAGE_BYTES // average))
        finally:
            if cursor is not None and self._held.pid == os.getpid():
                # The connection may be closed: this can run while Python collects both, in any order.
                with self._held.lock, suppress(sqlite3.ProgrammingError):
                    cursor.close()

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        for page in self._pages(start, stop, reverse, "key" if keys_only else "key, record"):
            for row in page:
                yield row[0], None if keys_only else entry_of(row[0], [row[1:]], self._path)

    def pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[tuple[bytes, bytes]]]:
        for page in self._pages(start, stop, reverse, "key, record"):
            if any(type(record) is not bytes or len(record) <= records.TRAILER for _, record in page):
                for key, record in page:
                    entry_of(key, [(record,)], self._path)
            yield page

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        for page in self._pages(start, stop, reverse, "key"):
            yield [row[0] for row in page]

    def last_commit(self) -> int:
        number: int = self._rows("SELECT number FROM shelf", ())[0][0]
        return number

    def first_expiry(self) -> int | None:
        rows = self._rows(FIRST_EXPIRY, INDEX)
        return row_of(rows[0][0])[0] if rows else None

    def snapshot(self) -> Snapshot:
        self._refuse_closed()
        with self._held.lock:
            self._held.holders += 1
        return SqliteSnapshot(self._connections, self._held)

    def close(self) -> None:
        with self._held.lock:
            is_closed, self._closed = self._closed, True
        if not is_closed:
            self._held.let_go()
