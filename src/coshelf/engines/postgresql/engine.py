"""The engine: reads are single queries, commits single statements or one transaction. docs/design.md, "Servers"."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NoReturn

import psycopg

from coshelf.contract import ABSENT, Batch, Capabilities, Engine, OpenOptions, PollingBell
from coshelf.engines.connections import repeated
from coshelf.engines.postgresql.address import parse
from coshelf.engines.postgresql.failures import is_lost, reason, translate
from coshelf.engines.postgresql.reading import ROWS_AT_FIRST, PostgresqlSnapshot, RowReader, has_large
from coshelf.engines.postgresql.server import Connection, Server
from coshelf.engines.postgresql.tables import LATEST, Statements, find_or_make
from coshelf.engines.server_clock import ServerClock
from coshelf.engines.times import without_rows
from coshelf.errors import (
    Conflict,
    CoshelfError,
    OutcomeUnknown,
)
from coshelf.values.expiry import time_of

__all__ = ["PostgresqlEngine"]

_LARGEST_KEY = 2600  # an index row of PostgreSQL has at most 2,704 bytes
_LARGEST_VALUE = (1 << 30) - (1 << 16)  # a message of PostgreSQL has less than 1 GiB
_FIRST_PAUSE = 0.005  # seconds between two requests of a waiting reader
_LONGEST_PAUSE = 0.1
_CHUNK = 16 << 20  # bytes of records in one statement
_LATEST = (1 << 63) - 1
_STEP = 1_000  # rows that one statement removes

_Page = list[tuple[Any, ...]]
_Statement = tuple[str, tuple[Any, ...]]


class _NothingSentError(Exception):
    """The connection was lost before anything was sent that could have been committed."""


class _ReplyLostError(Exception):
    """The connection was lost when the commit had been sent."""


class PostgresqlEngine(RowReader, Engine):
    """One handle on a shelf in a database."""

    name = "postgresql"
    hides_expired = True
    _reads = LATEST

    def __init__(self, url: str, options: OpenOptions) -> None:
        self._options = options
        self._address = parse(url, options.timeout)
        self.where = self._address.where
        settings = {"default_transaction_read_only": "on"} if options.flag == "r" else {}
        if options.durability == "commit":
            settings["synchronous_commit"] = "on"
        self._server = Server(self._address, options.timeout, settings)
        try:
            create = options.flag in ("c", "n")
            self._shelf = self._server.read(
                lambda connection: find_or_make(connection, self._address.shelf, self.where, create=create)
            )
        except BaseException:
            self._server.close()
            raise
        self.store_id = self._shelf.store_id
        self._clock = ServerClock(self._ask_for_time)
        self.capabilities = self._granted()

    def _granted(self) -> Capabilities:
        shelf = self._shelf
        acknowledged = "machine" if not shelf.fsync else "durable" if shelf.waits else "soon durable"
        may_fail_over = shelf.has_standbys or self._address.has_several_servers
        return Capabilities(
            watch="poll",
            acknowledged=acknowledged,
            consistency=(
                "eventual"
                if shelf.standby
                else "primary"
                if may_fail_over and not shelf.waits_for_standbys
                else "strict"
            ),
            largest_key=_LARGEST_KEY,
            largest_value=_LARGEST_VALUE,
            cheap_count=False,
            expiry=True,
            server=f"PostgreSQL {shelf.server_version}" + (", a standby" if shelf.standby else ""),
        )

    # --- reading -----------------------------------------------------------------------------------------------------

    def _rows(self, query: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._server.rows(query, parameters)

    def _pages(self, start: bytes, stop: bytes, reverse: bool, keys_only: bool) -> Iterator[_Page]:
        """One query if that is enough. If not, its rows are discarded: the rest would be of another instant."""
        page = self._page(start, stop, reverse, keys_only, ROWS_AT_FIRST + 1)
        if len(page) <= ROWS_AT_FIRST and not has_large(page):
            yield page
            return
        del page
        yield from PostgresqlSnapshot.pages_of_one(self._server, self._shelf, start, stop, reverse, keys_only)

    def snapshot(self) -> PostgresqlSnapshot:
        return PostgresqlSnapshot(self._server, self._shelf)

    # --- time --------------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """The server's time, by a comparison of the clocks that is at most a minute old."""
        return self._clock.now()

    def _ask_for_time(self) -> int:
        time: int = self._server.rows(Statements.NOW, ())[0][0]
        return time

    def remove_expired(self, most: int | None) -> int:
        if most is not None:
            return self._remove(most)
        total = removed = self._remove(_STEP)
        while removed == _STEP:
            removed = self._remove(_STEP)
            total += removed
        return total

    def _remove(self, most: int) -> int:
        def remove(connection: Connection) -> int:
            parameters = (self._shelf.lock, self._shelf.number, self._shelf.number, most)
            return connection.execute(Statements.REMOVE_EXPIRED, parameters, prepare=True).rowcount

        return self._once(remove, None, 0)

    # --- writing -----------------------------------------------------------------------------------------------------

    def commit(self, batch: Batch) -> int | str:
        return super().commit(without_rows(batch))

    def _apply(self, batch: Batch) -> int:
        version = _new_version()
        sealed = dict(sorted(batch.sealed(version)))  # so that all commits lock rows in the same order
        if not (batch.puts or batch.deletes or batch.checks or batch.clears):
            return version
        single = self._single(batch, sealed, version)
        if single is not None:
            key, statement, record = single
            if not self._write_one(statement, key, version, record) and batch.checks:
                raise Conflict("1 of 1 entries changed in the meantime", (key,))
            return version
        if not (batch.checks or batch.clears or batch.deletes) and sum(map(len, sealed.values())) <= _CHUNK:
            statement = self._put_many(sealed, version, self._shelf.lock)
            self._write_one(statement, next(iter(sealed)), version, next(iter(sealed.values())))
            return version
        self._write_all(batch, sealed, version)
        return version

    def _row(self, key: bytes, version: int, record: bytes) -> tuple[Any, ...]:
        return self._shelf.number, key, version, _expires(record), record

    def _single(
        self, batch: Batch, sealed: dict[bytes, bytes], version: int
    ) -> tuple[bytes, _Statement, bytes | None] | None:
        """The statement for a batch of one key; None for any other batch. Its row count tells whether a check held."""
        keys = {*batch.puts, *batch.deletes, *batch.checks}
        if len(keys) != 1 or batch.clears or not (batch.puts or batch.deletes):
            return None
        (key,) = keys
        number, lock, record = self._shelf.number, self._shelf.lock, sealed.get(key)
        if key not in batch.checks:
            if record is None:
                return key, (Statements.DELETE, (lock, number, key)), None
            return key, (Statements.PUT, (*self._row(key, version, record), lock)), record
        expected = batch.checks[key]
        if record is None:
            if not isinstance(expected, int):
                return None
            return key, (Statements.DELETE_IF, (lock, number, key, _known(expected))), None
        if expected is ABSENT:
            return key, (Statements.PUT_IF_ABSENT, (*self._row(key, version, record), lock)), record
        if not isinstance(expected, int):
            return None
        return (
            key,
            (Statements.PUT_IF, (version, _expires(record), record, lock, number, key, _known(expected))),
            record,
        )

    def _put_many(self, sealed: dict[bytes, bytes], version: int, lock: int) -> _Statement:
        number, all_records = self._shelf.number, list(sealed.values())
        times = [_expires(record) for record in all_records]
        if times.count(None) == len(times):
            return Statements.PUT_MANY, (number, version, lock, list(sealed), all_records)
        return Statements.PUT_MANY_UNTIL, (number, version, lock, list(sealed), times, all_records)

    def _write_one(self, statement: _Statement, key: bytes, version: int, record: bytes | None) -> int:
        """Send one statement, which commits by itself; return how many rows it changed."""
        query, parameters = statement
        is_many = query in (Statements.PUT_MANY, Statements.PUT_MANY_UNTIL)
        size = sum(map(len, parameters[-1])) if is_many else len(record or b"")

        def write(connection: Connection) -> int:
            with connection.more_patient(size):
                return connection.execute(query, parameters, prepare=True).rowcount

        return self._once(write, key if record is not None else None, version)

    def _write_all(self, batch: Batch, sealed: dict[bytes, bytes], version: int) -> None:
        """A transaction that locks the shelf: it does the checks, then writes and commits, in two requests at most."""
        statements = list(self._statements(batch, sealed, version))
        size = sum(map(len, sealed.values()))

        def write(connection: Connection) -> int:
            with connection.more_patient(size):
                if batch.checks:
                    self._check(connection, batch)
                try:
                    with connection.pipeline():
                        if not batch.checks:
                            self._begin(connection)
                        for query, parameters in statements:
                            connection.execute(query, parameters)
                        connection.execute(Statements.COMMIT)
                except psycopg.Error as error:
                    if is_lost(error):
                        raise _ReplyLostError from error
                    raise
            return len(statements)

        self._once(write, next(iter(sealed), None), version)

    def _begin(self, connection: Connection) -> None:
        connection.execute(Statements.BEGIN)
        connection.execute(Statements.LOCK, (self._shelf.lock,))

    def _check(self, connection: Connection, batch: Batch) -> None:
        """Lock the shelf, and raise :class:`Conflict` if a check fails."""
        try:
            with connection.pipeline():
                self._begin(connection)
                looked = connection.execute(Statements.VERSIONS, (self._shelf.number, list(batch.checks)), binary=True)
            found = dict(looked.fetchall())
        except psycopg.Error as error:
            if is_lost(error):
                raise _NothingSentError(reason(error)) from error
            raise
        try:
            batch.refuse_conflicts(lambda key: found.get(key, ABSENT))
        except Conflict:
            with suppress(psycopg.Error):
                connection.commit()  # commits nothing; releases the lock
            raise

    def _statements(self, batch: Batch, sealed: dict[bytes, bytes], version: int) -> Iterator[_Statement]:
        number, lock = self._shelf.number, self._shelf.lock
        for start, stop in batch.clears:
            # A row that is put again is not deleted but overwritten: for other sessions it never was missing.
            kept = [key for key in sealed if start <= key < stop]
            yield Statements.CLEAR, (number, start, stop, kept)
        gone = sorted(batch.deletes - sealed.keys())
        if gone:
            yield Statements.DELETE_MANY, (number, gone)
        for chunk in _chunks(sealed):
            yield self._put_many(chunk, version, lock)

    def _once(self, write: Callable[[Connection], int], key: bytes | None, version: int) -> int:
        """Wait for a connection, and write. If the reply is lost, find out the outcome or raise OutcomeUnknown."""

        def attempt() -> int:
            try:
                connection = self._server.acquire()
            except psycopg.Error as error:
                raise _NothingSentError(reason(error)) from error
            try:
                return write(connection)
            except psycopg.errors.ReadOnlySqlTransaction as error:
                connection.close()  # its server has become a standby
                raise _NothingSentError(reason(error)) from error
            except psycopg.Error as error:
                if is_lost(error):
                    raise _ReplyLostError from error
                raise
            finally:
                self._server.release(connection)

        server = self._server
        try:
            return repeated(
                attempt, lambda error: isinstance(error, _NothingSentError), where=self.where, timeout=server.timeout
            )
        except _ReplyLostError as lost:
            if not self._was_committed(key, version):
                self._raise_unknown(lost.__cause__ or lost)
            return 1
        except psycopg.Error as error:
            raise translate(error, self.where, "write", server.timeout) from error

    def _was_committed(self, key: bytes | None, version: int) -> bool:
        """Whether the row of a key shows that a commit happened: no other commit has its version.

        Without that row it is unknown: the server may still be committing, or another commit has replaced the row.
        """
        if key is None:
            return False
        try:
            rows = self._server.rows(Statements.VERSION, (self._shelf.number, key))
        except CoshelfError:
            return False
        return rows == [(version,)]

    def _raise_unknown(self, error: BaseException) -> NoReturn:
        raise OutcomeUnknown(
            f"the connection to {self.where} was lost while a commit was under way: {reason(error)}\n"
            "  it may have happened or not, and is not repeated; look at the entries to find out"
        ) from error

    # --- the rest ----------------------------------------------------------------------------------------------------

    def distrust(self) -> str:
        return f"every user with write access to the database can have written {self.where}"

    def doorbell(self, key: bytes) -> PollingBell:
        return PollingBell(_FIRST_PAUSE, _LONGEST_PAUSE, growth=1.3)

    def sync(self) -> None:
        """Have the server flush acknowledged commits, if its settings let it acknowledge before it flushes."""
        if self._options.flag != "r" and self._shelf.fsync and not self._shelf.waits:
            self._server.read(lambda connection: connection.execute(Statements.FLUSH))

    def rest(self) -> None:
        """Do without threads. As in :meth:`close`, the server is not asked to flush: it may be unreachable."""
        self._server.rest()

    def close(self) -> None:
        self._server.close()

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        if self._address.has_secrets:
            raise TypeError(
                f"{self.where} cannot be pickled: the password in its URL would be in the pickle\n"
                "  hint: keep it in ~/.pgpass, in a service file or in PGPASSWORD"
            )
        return self._address.url, self._options.for_reopening()


def _new_version() -> int:
    """Random, so that it needs no request, and is not used again after a failover or from a restored backup."""
    return secrets.randbits(63)


def _expires(record: bytes) -> int | None:
    """The value of the column ``expires`` for a record."""
    time = time_of(record)
    return None if time is None else min(time, _LATEST)


def _known(version: int) -> int:
    """A version as a number in the table; -1 for a number that no row can have."""
    return version if version < 1 << 63 else -1


def _chunks(sealed: dict[bytes, bytes]) -> Iterator[dict[bytes, bytes]]:
    """The records to put, in parts that fit into a message. The order of keys stays."""
    chunk: dict[bytes, bytes] = {}
    size = 0
    for key, record in sealed.items():
        if chunk and size + len(record) > _CHUNK:
            yield chunk
            chunk, size = {}, 0
        chunk[key] = record
        size += len(record)
    if chunk:
        yield chunk
