"""The connections of a process to the server: pooled, with a limit for every wait, replaced after a fork or failure."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, TypeVar, cast

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from coshelf.engines.connections import repeated
from coshelf.engines.postgresql.address import Address
from coshelf.engines.postgresql.awaited import AsyncConnection, AwaitedConnection, LoopConnections
from coshelf.engines.postgresql.failures import ServerSilentError, hopeless, is_lost, reason, translate
from coshelf.engines.postgresql.lone_connections import LoneConnections
from coshelf.system.threads.alone import alone
from coshelf.system.threads.bridge import is_bridged
from coshelf.system.threads.cooperation import can_start_threads, new_reentrant_lock
from coshelf.system.threads.per_loop import PerLoop
from coshelf.system.waiting.polling import readable

__all__ = ["Connection", "Server", "of_parents", "rows_of"]

_T = TypeVar("_T")
_Pool: TypeAlias = "ConnectionPool[Connection] | LoneConnections[Connection]"

_ATTEMPT = 0.3  # seconds to wait for a connection before the cause of its failure is examined
_LAST_WORDS = 0.01  # seconds between a server's last message and the end of the connection
_SLOWEST = 1 << 20  # bytes a second
_NAME = "coshelf-"
_numbers = itertools.count(1)

# These settings hold whatever the statistics say: each of coshelf's statements uses the primary key.
_SETTINGS = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "idle_in_transaction_session_timeout": "0",
}

_CONFIGURE = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS t(name, value)"

# Pools and connections of the process that this one was forked from. To close one would end the parent's session.
of_parents: list[Any] = []


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is closed if the server is silent for too long."""

    patience = 60.0

    def __del__(self, *_: Any) -> None:
        """Do nothing, so that a connection that is still open at the interpreter's end causes no warning."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except errors._WaitTimeout:  # noqa: SLF001 (psycopg has no public name for it)
            self.pgconn.finish()
            raise ServerSilentError(f"the server was silent for {self.patience:.1f} s") from None

    @contextmanager
    def more_patient(self, size: int) -> Iterator[None]:
        """Give the server more time, for ``size`` bytes."""
        usual = self.patience
        self.patience = usual + size / _SLOWEST
        try:
            yield
        finally:
            self.patience = usual

    def is_alive(self) -> bool:
        """False if the connection is known to be lost. A message between two statements may also be a notice."""
        if self.closed:
            return False
        for seconds in (0.0, _LAST_WORDS, _LAST_WORDS):
            if not readable((self.pgconn.socket,), seconds):
                return True
            try:
                self.pgconn.consume_input()
            except psycopg.Error:
                return False
        return False


class Server:
    """The server at an address, and the connections to it."""

    def __init__(self, address: Address, timeout: float, settings: dict[str, str]) -> None:
        self.address = address
        self.where = address.where
        self.timeout = timeout
        self._settings = _SETTINGS | settings
        self._making = new_reentrant_lock()
        self._pid = os.getpid()
        self._pool: _Pool | None = None
        self._last_failure: psycopg.Error | None = None
        self._grace = min(5.0, 0.5 + timeout / 4)  # seconds in which the server itself should end a late statement
        self._closed = False
        self._rests = False
        self._on_loops = PerLoop(
            lambda: LoopConnections(self._connected, self.address.most_connections), lambda made: made.aclose()
        )

    # --- connections -------------------------------------------------------------------------------------------------

    def _open_pool(self) -> _Pool:
        pool = self._pool
        if pool is not None and self._pid == os.getpid():
            return pool
        if self._pid != os.getpid():
            with alone():
                if self._pid != os.getpid():
                    self._making = new_reentrant_lock()  # a thread that only the parent has may hold the parent's lock
                    if self._pool is not None:
                        of_parents.append(self._pool)
                        self._pool = None
                    self._pid = os.getpid()
        with self._making:
            if self._pool is None:
                self._pool = self._new_pool()
                if self._closed:
                    self._pool.close()
            return self._pool

    def _new_pool(self) -> _Pool:
        noted = self._noted()
        parameters = {**self.address.parameters, "autocommit": True}
        if self._rests or not can_start_threads():

            def connect() -> Connection:
                connection: Connection = noted.connect(**parameters)
                self._configure(connection)
                return connection

            return LoneConnections(connect)
        logging.getLogger("psycopg.pool").addFilter(_is_not_of_ours)  # the same function is added once
        return ConnectionPool(
            name=f"{_NAME}{next(_numbers)}",
            connection_class=noted,
            kwargs=parameters,
            configure=self._configure,
            min_size=0,
            max_size=self.address.most_connections,
            reconnect_timeout=0,
            num_workers=1,
            open=True,
        )

    def _noted(self) -> type[Connection]:
        server = self

        class Noted(Connection):
            """Remembers why a connection could not be made: the pool does not tell."""

            @classmethod
            def connect(cls, conninfo: str = "", **options: Any) -> Any:
                try:
                    made = super().connect(conninfo, **options)
                except psycopg.Error as error:
                    server._last_failure = error
                    raise
                made.patience = server.timeout + server._grace
                return made

        return cast("type[Connection]", Noted)

    def _configure(self, connection: Connection) -> None:
        """Set up a session."""
        try:
            connection.execute(_CONFIGURE, self._configuration())
        except psycopg.Error as error:
            self._last_failure = error
            raise
        self._last_failure = None

    def _configuration(self) -> tuple[list[str], list[str]]:
        """The settings of a session. The server's time limits are a little shorter than the client's."""
        milliseconds = max(1, int(self.timeout * 1000))
        settings = self._settings | {
            "lock_timeout": str(milliseconds),
            "statement_timeout": str(milliseconds + int(self._grace * 500)),
        }
        return list(settings), list(settings.values())

    async def _connected(self) -> AsyncConnection:
        """A connection of the running loop, ready for use."""
        connection = await AsyncConnection.connect(**self.address.parameters, autocommit=True)
        try:
            connection.patience = self.timeout + self._grace
            await connection.execute(_CONFIGURE, self._configuration())
        except BaseException:
            connection.pgconn.finish()
            raise
        return connection

    def connect_apart(self) -> Connection:
        """A new connection, which is not one of the pool's. The caller closes it. Raises psycopg.Error."""
        connection: Connection = Connection.connect(**self.address.parameters, autocommit=True)
        try:
            connection.patience = self.timeout + self._grace
            connection.execute(_CONFIGURE, self._configuration())
        except BaseException:
            connection.close()
            raise
        return connection

    def acquire(self) -> Connection:
        """A connection that is not known to be lost. The server is not asked for that."""
        if is_bridged():
            return cast("Connection", self._acquire_on_loop())
        while True:
            pool = self._open_pool()
            try:
                connection = pool.getconn(min(_ATTEMPT, max(self.timeout, 0.05)))
            except PoolTimeout:
                raise self._why_none(pool) from None
            except PoolClosed:
                if self._open_pool() is pool:
                    raise
                continue  # the interpreter ends, and connections without threads have replaced the pool
            if connection.is_alive():
                return connection
            self.discard(connection)

    def _acquire_on_loop(self) -> AwaitedConnection:
        while True:
            if self._closed:
                raise PoolClosed("the connections have been closed")
            try:
                connection = self._on_loops.here().getconn(max(self.timeout, 0.05))
            except psycopg.Error as error:
                raise hopeless(error, self.where) or error from None
            try:
                if connection.is_alive():
                    return connection
            except BaseException:
                self.discard(cast("Connection", connection))
                raise
            self.discard(cast("Connection", connection))

    def _why_none(self, pool: _Pool) -> Exception:
        failure = self._last_failure
        if failure is not None:
            return hopeless(failure, self.where) or psycopg.OperationalError(reason(failure))
        number = self.address.most_connections
        if pool.get_stats().get("pool_size", 0) >= number:
            return PoolTimeout(f"all {number} connections are in use, by snapshots, iterations and other threads")
        return PoolTimeout("no connection could be made in time")

    def release(self, connection: Connection) -> None:
        """Give a connection back, in any state."""
        if isinstance(connection, AwaitedConnection):
            connection.give_back()
            return
        try:
            if connection.pgconn.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
                connection.rollback()
        except psycopg.Error:
            connection.close()
        finally:
            self._open_pool().putconn(connection)

    def release_reader(self, connection: Connection) -> None:
        """Give back a connection whose transaction has only read.

        It commits, because psycopg prepares all statements again after a ROLLBACK.
        """
        try:
            if connection.pgconn.transaction_status == TransactionStatus.INTRANS:
                with suppress(psycopg.Error):
                    connection.commit()
        finally:
            self.release(connection)

    def discard(self, connection: Connection) -> None:
        """Close a connection, and give it back to the pool."""
        connection.close()
        if isinstance(connection, AwaitedConnection):
            connection.give_back()
        else:
            self._open_pool().putconn(connection)

    @contextmanager
    def _lent(self) -> Iterator[Connection]:
        connection = self.acquire()
        try:
            yield connection
        finally:
            self.release(connection)

    # --- work on connections -----------------------------------------------------------------------------------------

    def read_and_keep(self, work: Callable[[Connection], object]) -> Connection:
        """A connection on which repeatable work was done. The caller gives it back by :meth:`release`."""

        def once() -> Connection:
            connection = self.acquire()
            try:
                work(connection)
            except BaseException:
                self.release(connection)
                raise
            return connection

        return self._repeated(once)

    def read(self, work: Callable[[Connection], _T]) -> _T:
        """The result of repeatable work. It is repeated if the connection is lost. Raises :class:`Unavailable`."""

        def once() -> _T:
            with self._lent() as connection:
                return work(connection)

        return self._repeated(once)

    def _repeated(self, once: Callable[[], _T]) -> _T:
        try:
            return repeated(once, is_lost, where=self.where, timeout=self.timeout)
        except psycopg.Error as error:
            raise translate(error, self.where, "read", self.timeout) from error

    def rows(self, query: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The rows of one query."""
        return self.read(lambda connection: rows_of(connection, query, parameters))

    def rest(self) -> None:
        """Prepare for the interpreter's end: from now on, use connections without a pool's threads."""
        self._rests = True
        if self._pool is None or self._pid != os.getpid():
            return
        with self._making:
            pool, self._pool = self._pool, self._new_pool()
        with suppress(psycopg.Error):
            pool.close(timeout=_ATTEMPT)

    def close(self) -> None:
        self._closed = True
        self._on_loops.close()
        if self._pool is not None and self._pid == os.getpid():
            with suppress(psycopg.Error):
                self._pool.close(timeout=_ATTEMPT)


def rows_of(connection: Connection, query: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The rows of one query on a connection."""
    return connection.execute(query, parameters, prepare=True, binary=True).fetchall()


def _is_not_of_ours(record: logging.LogRecord) -> bool:
    """A filter without the warnings of coshelf's pools: coshelf's own errors say the same."""
    first = record.args[0] if isinstance(record.args, tuple) and record.args else None
    of_ours = isinstance(first, Connection) or (isinstance(first, str) and first.startswith(_NAME))
    return record.levelno != logging.WARNING or not of_ours
