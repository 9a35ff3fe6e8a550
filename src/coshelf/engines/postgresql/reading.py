"""Reads a shelf's rows by any connection: the latest ones, or those of one instant."""

from __future__ import annotations

import os
import weakref
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import psycopg

from coshelf import records
from coshelf.contract import Entry, Reader, Snapshot
from coshelf.engines.postgresql.awaited import AwaitedConnection
from coshelf.engines.postgresql.failures import is_lost, reason, translate
from coshelf.engines.postgresql.server import Connection, Server, of_parents, rows_of
from coshelf.engines.postgresql.tables import AT, FIRST_PAGE, Reads, Shelf, Statements
from coshelf.errors import DamagedRecord, ShelfClosed, TransactionInProgress, Unavailable, Unsupported
from coshelf.system.threads.bridge import can_await, current_bridge
from coshelf.system.threads.cooperation import new_reentrant_lock
from coshelf.system.waiting.backoff import Backoff

__all__ = ["ROWS_AT_FIRST", "PostgresqlSnapshot", "RowReader", "has_large"]

ROWS_AT_FIRST = 100
_SECOND_PAGE = 400  # after a first one that was full
_LARGEST_PAGE = 1600
_PAGE_BYTES = 2 << 20
_FIRST_PAUSE = 0.0005  # seconds between the looks of a task that waits for another one
_LONGEST_PAUSE = 0.005
_LARGE = 16 << 10  # bytes of a record that is fetched by itself, or with few others

_Page = list[tuple[Any, ...]]
_Query = tuple[str, tuple[Any, ...]]


def has_large(page: _Page) -> bool:
    """Whether records are left out of a page."""
    return any(row[-1] is None for row in page)


def _first_query(shelf: Shelf, start: bytes, stop: bytes, reverse: bool, keys_only: bool, rows: int) -> _Query:
    limit = () if keys_only else (_LARGE,)
    return FIRST_PAGE[reverse, keys_only], (*limit, shelf.number, start, stop, rows)


class RowReader(Reader):
    """Reads by queries. A subclass decides which connection they use."""

    _shelf: Shelf
    _server: Server

    _reads: Reads

    @property
    def _time(self) -> tuple[int, ...]:
        """The parameter of the statements for the time by which entries have expired; none if the server has it."""
        return ()

    @abstractmethod
    def _rows(self, query: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]: ...

    @abstractmethod
    def _pages(self, start: bytes, stop: bytes, reverse: bool, keys_only: bool) -> Iterator[_Page]:
        """The rows of a range by pages, all of one instant."""

    def get(self, key: bytes) -> Entry | None:
        rows = self._rows(self._reads.get, (self._shelf.number, key, *self._time))
        return self._entry(key, rows[0][0]) if rows else None

    def _entry(self, key: bytes, record: bytes) -> Entry:
        if len(record) <= records.TRAILER:
            raise DamagedRecord(f"entry of {len(record)} bytes in {self._server.where} is too short for a record", key)
        return Entry(record)

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        if not keys:
            return []
        found = dict(self._rows(self._reads.get_many, (self._shelf.number, keys, *self._time)))
        return [self._entry(key, found[key]) if key in found else None for key in keys]

    def count(self, start: bytes, stop: bytes) -> int:
        number: int = self._rows(self._reads.count, (self._shelf.number, start, stop, *self._time))[0][0]
        return number

    def _page(self, start: bytes, stop: bytes, reverse: bool, keys_only: bool, rows: int) -> _Page:
        """The first rows of a range, or the last ones, with None for large records."""
        return self._rows(*self._query(start, stop, reverse, keys_only, rows))

    def _query(self, start: bytes, stop: bytes, reverse: bool, keys_only: bool, rows: int) -> _Query:
        limit = () if keys_only else (_LARGE,)
        parameters = (*limit, self._shelf.number, start, stop, *self._time, rows)
        return self._reads.page[reverse, keys_only], parameters

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        for page in self._pages(start, stop, reverse, keys_only):
            for row in page:
                yield row[0], None if keys_only else self._entry(row[0], row[1])

    def pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[tuple[bytes, bytes]]]:
        for page in self._pages(start, stop, reverse, keys_only=False):
            if any(len(record) <= records.TRAILER for _, record in page):
                for key, record in page:
                    self._entry(key, record)  # raises, and names the key
            yield page

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        for page in self._pages(start, stop, reverse, keys_only=True):
            yield [row[0] for row in page]


class _Sent:
    """A query that was sent ahead, and its rows once they have been received."""

    def __init__(self, pipeline: AbstractContextManager[Any], cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        self.pipeline = pipeline
        self.cursor = cursor
        self.rows: _Page | None = None


class _Instant:
    """A connection in a transaction that shows one instant, with the number of its users.

    The connection is given back after the last user, or when this object is collected.
    """

    def __init__(self, server: Server, first: _Query | None = None) -> None:
        self._server = server
        self._lock = new_reentrant_lock()  # a signal handler or finalizer may interrupt a call
        self._is_used = False
        self._user: object | None = None  # the bridge that uses it; tasks of one loop share a thread
        self.first: _Page = []  # the rows of the query that it began with
        self.time: tuple[int, ...] = ()  # by which entries have expired
        self._pid = os.getpid()
        self._holders = 1
        self._sent: _Sent | None = None
        connection = server.read_and_keep(lambda it: self._begin(it, first))
        self._connection: Connection | None = connection
        self._give_back = weakref.finalize(self, _give_back_collected, server, connection, self._pid)
        self._give_back.atexit = False

    def _begin(self, connection: Connection, first: _Query | None) -> None:
        """The instant is that of the first query in the transaction, which tells the time after it, too."""
        if first is None:
            cursor = connection.execute(Statements.INSTANT)
            cursor.nextset()
            self.time = cursor.fetchall()[0]
            return
        with connection.pipeline():
            connection.execute(Statements.BEGIN_READING)
            cursor = connection.execute(*first, prepare=True, binary=True)
        found = cursor.fetchall()
        self.time = found[0][1:2] if found else ()
        self.first = [(row[0], *row[2:]) for row in found]

    def share(self) -> None:
        with self._locked():
            self._holders += 1

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The lock, for one thread at a time, and for one task at a time."""
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        while not self._lock.acquire(blocking=not can_await()) or self._is_of_another_task():
            backoff.sleep()
        try:
            yield
        finally:
            self._lock.release()

    def _is_of_another_task(self) -> bool:
        """Whether another task of this thread, which has the lock, is using the connection. If so, release the lock."""
        if not self._is_used or not can_await() or self._user is current_bridge():
            return False
        self._lock.release()
        return True

    def rows(self, query: str, parameters: tuple[Any, ...]) -> _Page:
        with self._in_use() as connection:
            return rows_of(connection, query, parameters)

    def send(self, query: str, parameters: tuple[Any, ...]) -> _Sent:
        """Send a query whose rows :meth:`receive` will return. Meanwhile the server works on it."""
        with self._in_use() as connection:
            pipeline = connection.pipeline()
            pipeline.__enter__()
            cursor = connection.execute(query, parameters, prepare=True, binary=True)
            self._sent = _Sent(pipeline, cursor)
            return self._sent

    def receive(self, sent: _Sent) -> _Page:
        """The rows of a query that was sent. Another user of the connection may have received them already."""
        with self._in_use():
            assert sent.rows is not None
            return sent.rows

    @contextmanager
    def _in_use(self) -> Iterator[Connection]:
        """The connection, for one user at a time, and without a query whose rows have not been received."""
        if self._pid != os.getpid():
            raise ShelfClosed("the snapshot belongs to the parent of this process")
        where = self._server.where
        with self._locked():
            if self._connection is None:
                raise ShelfClosed("the snapshot has been closed")
            if isinstance(self._connection, AwaitedConnection) and not self._connection.can_wait():
                raise Unsupported(
                    f"a snapshot of {where} belongs to the event loop whose task took it, and this is another thread "
                    "or loop\n  hint: take a snapshot there"
                )
            if self._is_used:
                raise TransactionInProgress(f"this call interrupted another one on the same snapshot of {where}")
            self._is_used, self._user = True, current_bridge()
            try:
                self._receive_sent()
                yield self._connection
            except psycopg.Error as error:
                if is_lost(error):
                    raise Unavailable(
                        f"the connection that held this instant of {where} was lost: {reason(error)}\n"
                        "  hint: begin again; another connection cannot show the same instant"
                    ) from error
                raise translate(error, where, "read", self._server.timeout) from error
            finally:
                self._is_used, self._user = False, None

    def _receive_sent(self) -> None:
        sent, self._sent = self._sent, None
        if sent is not None:
            sent.pipeline.__exit__(None, None, None)
            sent.rows = sent.cursor.fetchall()

    def let_go(self) -> None:
        if self._pid != os.getpid():
            return
        with self._locked():
            self._holders -= 1
            if self._holders or not self._give_back.detach():
                return
            connection, self._connection = self._connection, None
            assert connection is not None
            try:
                with suppress(psycopg.Error):
                    self._receive_last(connection)
            finally:
                _give_back(self._server, connection, self._pid)

    def _receive_last(self, connection: Connection) -> None:
        if isinstance(connection, AwaitedConnection) and not connection.can_wait():
            connection.close()
        else:
            self._receive_sent()


def _give_back_collected(server: Server, connection: Connection, pid: int) -> None:
    """Give back a connection whose user was collected. A finalizer awaits nothing."""
    if isinstance(connection, AwaitedConnection) and pid == os.getpid():
        connection.close()
    _give_back(server, connection, pid)


def _give_back(server: Server, connection: Connection, pid: int) -> None:
    if pid == os.getpid():
        if connection.pgconn.pipeline_status:  # collected before its rows were received
            server.discard(connection)
        else:
            server.release_reader(connection)
    else:
        of_parents.append(connection)


class PostgresqlSnapshot(RowReader, Snapshot):
    """A transaction that shows one instant, on a connection that is kept for it."""

    _reads = AT

    def __init__(self, server: Server, shelf: Shelf, instant: _Instant | None = None) -> None:
        self._server = server
        self._shelf = shelf
        self._closed = False
        self._instant = _Instant(server) if instant is None else instant

    @property
    def _time(self) -> tuple[int, ...]:
        return self._instant.time

    def _rows(self, query: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        self._refuse_closed()
        return self._instant.rows(query, parameters)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ShelfClosed("the snapshot has been closed")

    @classmethod
    def pages_of_one(
        cls, server: Server, shelf: Shelf, start: bytes, stop: bytes, reverse: bool, keys_only: bool
    ) -> Iterator[_Page]:
        """The pages of a snapshot that is taken with the first page, and closed after the last."""
        query = _first_query(shelf, start, stop, reverse, keys_only, _SECOND_PAGE)
        with cls(server, shelf, _Instant(server, query)) as snapshot:
            first, snapshot._instant.first = snapshot._instant.first, []
            yield from snapshot._pages_from(first, start, stop, reverse, keys_only, _SECOND_PAGE)

    def _pages(self, start: bytes, stop: bytes, reverse: bool, keys_only: bool) -> Iterator[_Page]:
        page = self._page(start, stop, reverse, keys_only, ROWS_AT_FIRST)
        return self._pages_from(page, start, stop, reverse, keys_only, ROWS_AT_FIRST)

    def _pages_from(
        self, page: _Page, start: bytes, stop: bytes, reverse: bool, keys_only: bool, rows: int
    ) -> Iterator[_Page]:
        """A page, which was read with a limit of ``rows``, and the pages after it."""
        number = 1
        while page:
            is_last = len(page) < rows
            last = page[-1][0]
            start, stop = (start, last) if reverse else (last + b"\0", stop)
            size = sum(len(row[-1] or b"") for row in page)
            rows = max(ROWS_AT_FIRST, min(rows * 4, _LARGEST_PAGE, _PAGE_BYTES * len(page) // (size + 1)))
            ahead = None
            if not is_last and number > 1:  # a caller that takes one page often needs no more
                ahead = self._instant.send(*self._query(start, stop, reverse, keys_only, rows))
            if has_large(page):
                yield from self._filled(page)
            else:
                yield page
            if is_last:
                return
            self._refuse_closed()
            page = self._instant.receive(ahead) if ahead else self._page(start, stop, reverse, keys_only, rows)
            number += 1

    def _filled(self, page: _Page) -> Iterator[_Page]:
        """The rows of a page with their large records, in parts that are not too large together."""
        sizes = dict(self._rows(Statements.SIZES, (self._shelf.number, [row[0] for row in page if row[1] is None])))
        part: _Page = []
        size = 0
        for row in page:
            part.append(row)
            size += sizes.get(row[0], 0)
            if size >= _PAGE_BYTES:
                yield self._with_large(part)
                part, size = [], 0
        if part:
            yield self._with_large(part)

    def _with_large(self, part: _Page) -> _Page:
        missing = [key for key, record in part if record is None]
        large = dict(self._rows(self._reads.get_many, (self._shelf.number, missing, *self._time))) if missing else {}
        return [(key, large[key] if record is None else record) for key, record in part]

    def snapshot(self) -> Snapshot:
        self._refuse_closed()
        self._instant.share()
        return PostgresqlSnapshot(self._server, self._shelf, self._instant)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._instant.let_go()
