"""Reading a shelf's rows, by whatever connection: the latest ones, or those of one instant."""

from __future__ import annotations

import os
import threading
import weakref
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import psycopg

from coshelf import records
from coshelf.engines.contract import Entry, Reader, Snapshot
from coshelf.engines.postgresql.failures import is_lost, reason, translate
from coshelf.engines.postgresql.server import Connection, Server, of_parents, rows_of
from coshelf.engines.postgresql.tables import Shelf, Statements
from coshelf.errors import DamagedRecord, ShelfClosed, Unavailable

__all__ = ["FIRST_PAGE", "PostgresqlSnapshot", "RowReader", "has_large"]

FIRST_PAGE = 100
_LARGEST_PAGE = 1600
_PAGE_BYTES = 2 << 20
_LARGE = 16 << 10  # bytes of a record that is fetched by itself, or with few others

_PAGES = {
    (reverse, keys_only): Statements.page(reverse=reverse, keys_only=keys_only)
    for reverse in (False, True)
    for keys_only in (False, True)
}

_Page = list[tuple[Any, ...]]


def has_large(page: _Page) -> bool:
    """Whether records are left out of a page."""
    return any(row[-1] is None for row in page)


class RowReader(Reader):
    """Reads by queries; a subclass says where they are answered."""

    _shelf: Shelf
    _server: Server

    @abstractmethod
    def _rows(self, query: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]: ...

    @abstractmethod
    def _pages(self, start: bytes, stop: bytes, reverse: bool, keys_only: bool) -> Iterator[_Page]:
        """The rows of a range by pages, all of one instant."""

    def get(self, key: bytes) -> Entry | None:
        rows = self._rows(Statements.GET, (self._shelf.number, key))
        return self._entry(key, rows[0][0]) if rows else None

    def _entry(self, key: bytes, record: bytes) -> Entry:
        if len(record) <= records.TRAILER:
            raise DamagedRecord(f"entry of {len(record)} bytes in {self._server.where} is too short for a record", key)
        return Entry(record)

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        if not keys:
            return []
        found = dict(self._rows(Statements.GET_MANY, (self._shelf.number, keys)))
        return [self._entry(key, found[key]) if key in found else None for key in keys]

    def count(self, start: bytes, stop: bytes) -> int:
        number: int = self._rows(Statements.COUNT, (self._shelf.number, start, stop))[0][0]
        return number

    def _page(self, start: bytes, stop: bytes, reverse: bool, keys_only: bool, rows: int) -> _Page:
        """The first rows of a range, or the last ones, with None for large records."""
        limit = () if keys_only else (_LARGE,)
        return self._rows(_PAGES[reverse, keys_only], (*limit, self._shelf.number, start, stop, rows))

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
                    self._entry(key, record)  # says which one it is
            yield page

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        for page in self._pages(start, stop, reverse, keys_only=True):
            yield [row[0] for row in page]


class _Instant:
    """A connection in a transaction that shows one instant, and how many hold it. Forgotten, it is given back, too."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._holders = 1
        connection = server.read_and_keep(lambda it: it.execute(Statements.INSTANT))
        self._connection: Connection | None = connection
        self._give_back = weakref.finalize(self, _give_back, server, connection, self._pid)
        self._give_back.atexit = False

    def share(self) -> None:
        with self._lock:
            self._holders += 1

    def rows(self, query: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if self._pid != os.getpid():
            raise ShelfClosed("the snapshot belongs to the parent of this process")
        with self._lock:
            if self._connection is None:
                raise ShelfClosed("the snapshot has been closed")
            try:
                return rows_of(self._connection, query, parameters)
            except psycopg.Error as error:
                where = self._server.where
                if is_lost(error):
                    raise Unavailable(
                        f"the connection that held this instant of {where} was lost: {reason(error)}\n"
                        "  hint: begin anew; another connection cannot show the same instant"
                    ) from error
                raise translate(error, where, "read", self._server.timeout) from error

    def let_go(self) -> None:
        if self._pid != os.getpid():
            return
        with self._lock:
            self._holders -= 1
            if self._holders:
                return
            self._connection = None
        self._give_back()


def _give_back(server: Server, connection: Connection, pid: int) -> None:
    if pid == os.getpid():
        server.release_reader(connection)
    else:
        of_parents.append(connection)


class PostgresqlSnapshot(RowReader, Snapshot):
    """A transaction that shows one instant, on a connection that is kept for it."""

    def __init__(self, server: Server, shelf: Shelf, instant: _Instant | None = None) -> None:
        self._server = server
        self._shelf = shelf
        self._closed = False
        self._instant = _Instant(server) if instant is None else instant

    def _rows(self, query: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if self._closed:
            raise ShelfClosed("the snapshot has been closed")
        return self._instant.rows(query, parameters)

    def _pages(self, start: bytes, stop: bytes, reverse: bool, keys_only: bool) -> Iterator[_Page]:
        rows = FIRST_PAGE
        while start < stop:
            page = self._page(start, stop, reverse, keys_only, rows)
            if has_large(page):
                yield from self._filled(page)
            elif page:
                yield page
            if len(page) < rows:
                return
            last = page[-1][0]
            start, stop = (start, last) if reverse else (last + b"\0", stop)
            size = sum(len(row[-1] or b"") for row in page)
            rows = max(FIRST_PAGE, min(rows * 4, _LARGEST_PAGE, _PAGE_BYTES * len(page) // (size + 1)))

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
        large = dict(self._rows(Statements.GET_MANY, (self._shelf.number, missing))) if missing else {}
        return [(key, large[key] if record is None else record) for key, record in part]

    def snapshot(self) -> Snapshot:
        if self._closed:
            raise ShelfClosed("the snapshot has been closed")
        self._instant.share()
        return PostgresqlSnapshot(self._server, self._shelf, self._instant)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._instant.let_go()
