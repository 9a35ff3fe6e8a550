"""The engine: reads are single queries, commits single statements or one transaction. docs/design.md, "Servers"."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, NoReturn

import psycopg

from coshelf.contract import (
    ABSENT,
    QUEUES,
    TURNS,
    Batch,
    Capabilities,
    Changes,
    Doorbell,
    OpenOptions,
    PollingBell,
    Position,
)
from coshelf.engines.connections import repeated
from coshelf.engines.leases.lines import HasLines
from coshelf.engines.postgresql.address import parse
from coshelf.engines.postgresql.changes import PostgresqlChanges
from coshelf.engines.postgresql.failures import is_lost, reason, translate
from coshelf.engines.postgresql.histories import Watching, channel_of
from coshelf.engines.postgresql.reading import ROWS_AT_FIRST, PostgresqlSnapshot, RowReader, has_large
from coshelf.engines.postgresql.server import Connection, Server, rows_of
from coshelf.engines.postgresql.tables import LATEST, Statements, Telling, find_or_make, next_number, ringing
from coshelf.engines.postgresql.turn_bells import TurnBell, TurnBells, channel_of_turns, lock_of_turns, ring_of
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
_PARTS = 1 << 40  # changes of one statement
_STEP = 1_000  # rows that one statement removes
_TOLD = 30.0  # seconds for which commits are told from the start, after one that somebody watched

_FIRST_BYTES = (TURNS[0], QUEUES[0])  # of the rows that somebody may wait for

_Page = list[tuple[Any, ...]]
_Statement = tuple[str, tuple[Any, ...]]


class _NothingSentError(Exception):
    """The connection was lost before anything was sent that could have been committed."""


class _ReplyLostError(Exception):
    """The connection was lost when the commit had been sent."""


class PostgresqlEngine(RowReader, HasLines):
    """One handle on a shelf in a database."""

    name = "postgresql"
    can_be_awaited = True
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
        self._watching = Watching(self._server, self._shelf)
        self._bells = TurnBells(self._server, self._shelf)
        self._told_until = 0.0
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
            turns=None if shelf.standby else "lease",
            changes=None if shelf.standby else "all",
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

    def number(self) -> int:
        return self._server.read(next_number)

    def remove_expired(self, most: int | None) -> int:
        if most is not None:
            return self._remove(most)
        total = removed = self._remove(_STEP)
        while removed == _STEP:
            removed = self._remove(_STEP)
            total += removed
        return total

    def _remove(self, most: int) -> int:
        number = self._shelf.number

        is_watched = False

        def remove(connection: Connection) -> int:
            nonlocal is_watched
            parameters = (self._shelf.lock, number, number, most, number, number)
            ((removed, is_watched),) = rows_of(connection, Statements.REMOVE_EXPIRED, parameters)
            return int(removed)

        removed = self._once(remove, None, 0)
        if removed or not is_watched or not self._server.rows(Statements.HAS_EXPIRED, (number,))[0][0]:
            return removed
        version = _new_version()
        return self._transact(None, [(Telling.REMOVE_EXPIRED, (number, number, most, 0, number, version))], version)

    # --- writing -----------------------------------------------------------------------------------------------------

    def commit(self, batch: Batch) -> int | str:
        return super().commit(without_rows(batch))

    def _apply(self, batch: Batch) -> int:
        version = _new_version()
        sealed = dict(sorted(batch.sealed(version)))  # so that all commits lock rows in the same order
        if not (batch.puts or batch.deletes or batch.checks or batch.clears):
            return version
        if time.monotonic() >= self._told_until and self._applied_at_once(batch, sealed, version):
            return version
        self._write_all(batch, sealed, version)
        return version

    def _applied_at_once(self, batch: Batch, sealed: dict[bytes, bytes], version: int) -> bool:
        """Commit a batch by one statement, if that can be done and nobody watches. Return whether it is done."""
        rings = _rings_of(batch)
        if len(rings) > 1:
            return False
        single = self._single(batch, sealed, version)
        if single is not None:
            key, statement, record = single
            if self._write_one(self._ringing(statement, rings), key, version, record, len(record or b"")):
                return True
            if self._was_watched():
                return False
            if batch.checks:
                raise Conflict("1 of 1 entries changed in the meantime", (key,))
            return True
        size = sum(map(len, sealed.values()))
        if not (batch.checks or batch.clears or batch.deletes) and size <= _CHUNK:
            statement = self._ringing(self._put_many(sealed, version), rings)
            return bool(self._write_one(statement, next(iter(sealed)), version, next(iter(sealed.values())), size))
        return False

    def _ringing(self, statement: _Statement, rings: set[str]) -> _Statement:
        """A statement that also wakes those that wait for what it changes."""
        if not rings:
            return statement
        query, parameters = statement
        (ring,) = rings
        return ringing(query), (*parameters, lock_of_turns(self._shelf), channel_of_turns(self._shelf), ring)

    def _was_watched(self) -> bool:
        """Whether somebody may watch, so that statements which do not tell what they do change nothing."""
        answer: bool = self._server.rows(Statements.WAS_WATCHED, (self._shelf.number,))[0][0]
        return answer

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
                return key, (Statements.DELETE, (lock, number, key, number)), None
            return key, (Statements.PUT, (*self._row(key, version, record), lock, number)), record
        expected = batch.checks[key]
        if record is None:
            if not isinstance(expected, int):
                return None
            return key, (Statements.DELETE_IF, (lock, number, key, number, _known(expected))), None
        if expected is ABSENT:
            return key, (Statements.PUT_IF_ABSENT, (*self._row(key, version, record), lock, number)), record
        if not isinstance(expected, int):
            return None
        parameters = (version, _expires(record), record, lock, number, key, _known(expected), number)
        return key, (Statements.PUT_IF, parameters), record

    def _put_many(self, sealed: dict[bytes, bytes], version: int) -> _Statement:
        """The statement for several records, for a shelf that nobody watches."""
        number, lock = self._shelf.number, self._shelf.lock
        times, columns = _columns(sealed)
        statement = Statements.PUT_MANY_UNTIL if times else Statements.PUT_MANY
        return statement, (number, version, lock, *columns, number)

    def _write_one(self, statement: _Statement, key: bytes, version: int, record: bytes | None, size: int) -> int:
        """Send one statement with ``size`` bytes, which commits by itself; return how many rows it changed."""
        query, parameters = statement

        def write(connection: Connection) -> int:
            with connection.more_patient(size):
                return connection.execute(query, parameters, prepare=True).rowcount

        return self._once(write, key if record is not None else None, version)

    def _write_all(self, batch: Batch, sealed: dict[bytes, bytes], version: int) -> None:
        """A transaction that locks the shelf: it does the checks, then writes and commits, in two requests at most."""
        statements = list(self._statements(batch, sealed, version))
        self._transact(batch, statements, version, next(iter(sealed), None), sum(map(len, sealed.values())))

    def _transact(
        self, batch: Batch | None, statements: list[_Statement], version: int, key: bytes | None = None, size: int = 0
    ) -> int:
        """Do the checks of a batch, and then statements; return how many rows the first one of them told.

        If somebody watches, the commit is told and announced.
        """
        number = self._shelf.number
        checks = batch is not None and bool(batch.checks)
        rings = [] if batch is None else sorted(_rings_of(batch))

        def write(connection: Connection) -> int:
            with connection.more_patient(size):
                if batch is not None and checks:
                    self._check(connection, batch)
                try:
                    with connection.pipeline():
                        if not checks:
                            self._begin(connection)
                        connection.execute(Telling.BEGIN, (version, number), prepare=True)
                        done = [connection.execute(query, parameters) for query, parameters in statements]
                        if rings:
                            ring = (lock_of_turns(self._shelf), channel_of_turns(self._shelf), rings)
                            connection.execute(Statements.RING_ALL, ring)
                        rung = connection.execute(
                            Telling.RING, (channel_of(self._shelf), number, version), prepare=True
                        )
                        connection.execute(Statements.COMMIT)
                except psycopg.Error as error:
                    if is_lost(error):
                        raise _ReplyLostError from error
                    raise
            self._told_until = time.monotonic() + _TOLD if rung.rowcount else 0.0
            return done[0].rowcount if done else 0

        return self._once(write, key, version)

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
        number, part = self._shelf.number, count(0, _PARTS)
        for start, stop in batch.clears:
            # A row that is put again is not deleted but overwritten: for other sessions it never was missing.
            kept = [key for key in sealed if start <= key < stop]
            yield Telling.CLEAR, (number, start, stop, kept, next(part), number, version)
        gone = sorted(batch.deletes - sealed.keys())
        if gone:
            yield Telling.DELETE_MANY, (number, gone, next(part), number, version)
        for chunk in _chunks(sealed):
            times, columns = _columns(chunk)
            statement = Telling.PUT_MANY_UNTIL if times else Telling.PUT_MANY
            yield statement, (number, version, *columns, next(part), number, version)

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

    # --- changes -----------------------------------------------------------------------------------------------------

    def position(self) -> Position:
        """The end of the history, which is kept from now on for two minutes."""
        return str(self._watching.place())

    def changes(self, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> Changes:
        return PostgresqlChanges(self._watching, ranges, since)

    # --- the rest ----------------------------------------------------------------------------------------------------

    def distrust(self) -> str:
        return f"every user with write access to the database can have written {self.where}"

    def doorbell(self, key: bytes) -> Doorbell:
        ring = ring_of(key)
        if ring is not None and not self._shelf.standby:
            return TurnBell(self._bells, ring)
        return PollingBell(_FIRST_PAUSE, _LONGEST_PAUSE, growth=1.3)

    def sync(self) -> None:
        """Have the server flush acknowledged commits, if its settings let it acknowledge before it flushes."""
        if self._options.flag != "r" and self._shelf.fsync and not self._shelf.waits:
            self._server.read(lambda connection: connection.execute(Statements.FLUSH))

    def rest(self) -> None:
        """Do without threads. As in :meth:`close`, the server is not asked to flush: it may be unreachable."""
        self.rest_lines()
        self._bells.close()
        self._server.rest()

    def close(self) -> None:
        self.close_lines()
        self._watching.close()
        self._bells.close()
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


def _rings_of(batch: Batch) -> set[str]:
    """What a batch announces. Most announce nothing, and learn that from the first bytes of their keys."""
    parts = (batch.puts, batch.deletes, (start for start, _ in batch.clears))
    keys = (key for part in parts for key in part if key[:1] in _FIRST_BYTES)
    return {ring for key in keys if (ring := ring_of(key)) is not None}


def _expires(record: bytes) -> int | None:
    """The value of the column ``expires`` for a record."""
    time = time_of(record)
    return None if time is None else min(time, _LATEST)


def _columns(sealed: dict[bytes, bytes]) -> tuple[bool, tuple[list[Any], ...]]:
    """Whether records have times, and the keys, the times if there are some, and the records."""
    all_records = list(sealed.values())
    times = [_expires(record) for record in all_records]
    if times.count(None) == len(times):
        return False, (list(sealed), all_records)
    return True, (list(sealed), times, all_records)


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
