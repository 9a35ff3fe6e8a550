"""psycopg's asynchronous connections, for calls inside a bridge: what the engine uses of them, in synchronous form.

The methods have the names of psycopg's synchronous connection. Each awaits the asynchronous one. A connection belongs
to the loop on which it was made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolTimeout

from coshelf.engines.postgresql.failures import ServerSilentError
from coshelf.system.threads.bridge import awaited, can_await
from coshelf.system.threads.per_loop import soon
from coshelf.system.waiting.backoff import pause
from coshelf.system.waiting.polling import readable

__all__ = ["AsyncConnection", "AwaitedConnection", "LoopConnections"]

_LAST_WORDS = 0.01  # seconds between a server's last message and the end of the connection
_SLOWEST = 1 << 20  # bytes a second


class AsyncConnection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection that is closed if the server is silent for too long, or if a task is cancelled while it waits.

    psycopg would ask the server to cancel the statement, and wait for that for up to ten seconds.
    """

    patience = 60.0

    def __del__(self, *_: Any) -> None:
        """Do nothing, so that a connection that is still open at the interpreter's end causes no warning."""

    async def wait(
        self,
        gen: Any,
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 (psycopg's signature)
    ) -> Any:
        try:
            return await psycopg.waiting.wait_async(
                gen, self.pgconn.socket, interval, self.patience if timeout is None else timeout
            )
        except errors._WaitTimeout:  # noqa: SLF001 (psycopg has no public name for it)
            self.pgconn.finish()
            raise ServerSilentError(f"the server was silent for {self.patience:.1f} s") from None
        except Exception:
            raise
        except BaseException:
            self.pgconn.finish()
            raise


class _Cursor:
    """The result of a statement."""

    def __init__(self, cursor: psycopg.AsyncCursor[tuple[Any, ...]]) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def nextset(self) -> bool | None:
        return self._cursor.nextset()

    def fetchone(self) -> tuple[Any, ...] | None:
        return awaited(self._cursor.fetchone())

    def fetchall(self) -> list[tuple[Any, ...]]:
        return awaited(self._cursor.fetchall())


class _Block:
    """An asynchronous context manager, in synchronous form."""

    def __init__(self, block: Any) -> None:
        self._block = block

    def __enter__(self) -> Any:
        return awaited(self._block.__aenter__())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        is_handled: bool | None = awaited(self._block.__aexit__(kind, error, traceback))
        return is_handled


class AwaitedConnection:
    """A connection in synchronous form. It stands where a :class:`~coshelf.engines.postgresql.server.Connection` does.

    Args:
        connection: the asynchronous connection.
        home: the connections that it is given back to.
    """

    def __init__(self, connection: AsyncConnection, home: LoopConnections) -> None:
        self._connection = connection
        self._home = home
        self.pgconn = connection.pgconn

    @property
    def closed(self) -> bool:
        return self._connection.closed

    def execute(self, query: Any, parameters: Any = None, *, prepare: bool | None = None, binary: bool = False) -> Any:
        return _Cursor(awaited(self._connection.execute(query, parameters, prepare=prepare, binary=binary)))

    def pipeline(self) -> Any:
        return _Block(self._connection.pipeline())

    def transaction(self) -> Any:
        return _Block(self._connection.transaction())

    def commit(self) -> None:
        awaited(self._connection.commit())

    def rollback(self) -> None:
        awaited(self._connection.rollback())

    def fileno(self) -> int:
        return self._connection.fileno()

    def add_notify_handler(self, handler: Callable[[psycopg.Notify], None]) -> None:
        self._connection.add_notify_handler(handler)

    def close(self) -> None:
        """End the session. This waits for nothing."""
        self.pgconn.finish()

    @contextmanager
    def more_patient(self, size: int) -> Iterator[None]:
        """Give the server more time, for ``size`` bytes."""
        usual = self._connection.patience
        self._connection.patience = usual + size / _SLOWEST
        try:
            yield
        finally:
            self._connection.patience = usual

    def is_alive(self) -> bool:
        """False if the connection is known to be lost. A message between two statements may also be a notice."""
        if self.closed:
            return False
        mine = (self.pgconn.socket,)
        for seconds in (0.0, _LAST_WORDS, _LAST_WORDS):
            if seconds and not readable(mine, 0):
                pause(seconds)
            if not readable(mine, 0):
                return True
            try:
                self.pgconn.consume_input()
            except psycopg.Error:
                return False
        return False

    def can_wait(self) -> bool:
        """Whether the caller can use the connection: it is inside a bridge, on the loop of the connection."""
        return can_await() and asyncio.get_running_loop() is self._home.loop

    def give_back(self) -> None:
        """Give the connection back, in any state. Where nothing can be awaited it is closed, if it is in use."""
        try:
            if self.pgconn.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
                if self.can_wait():
                    self.rollback()
                else:
                    self.close()
        except psycopg.Error:
            self.close()
        except BaseException:
            self.close()
            raise
        finally:
            self._home.putconn(self)


class LoopConnections:
    """The connections of one loop. They are lent as by a pool of psycopg; the task that needs a new one makes it.

    Args:
        connect: makes a connection that is ready for use.
        most: the largest number of connections. The next task waits until one is given back.
    """

    def __init__(self, connect: Callable[[], Awaitable[AsyncConnection]], most: int) -> None:
        self._connect = connect
        self._most = most
        self._places = asyncio.Semaphore(most)
        self._kept: list[AwaitedConnection] = []
        self._closed = False
        self.loop = asyncio.get_running_loop()

    def getconn(self, timeout: float) -> AwaitedConnection:
        """A connection. Raises psycopg's errors if none can be made, and ``PoolTimeout`` if none is free in time."""
        return awaited(self._taken(timeout))

    async def _taken(self, seconds: float) -> AwaitedConnection:
        try:
            if self._places.locked():
                async with asyncio.timeout(seconds):
                    await self._places.acquire()
            else:
                await self._places.acquire()
        except TimeoutError:
            raise PoolTimeout(
                f"all {self._most} connections are in use, by snapshots, iterations and other tasks"
            ) from None
        if self._kept:
            return self._kept.pop()
        try:
            return AwaitedConnection(await self._connect(), self)
        except BaseException:
            self._places.release()
            raise

    def putconn(self, connection: AwaitedConnection) -> None:
        """Take a connection back, also outside of the loop."""
        try:
            is_here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            is_here = False
        if is_here:
            self._put(connection)
        else:
            soon(self.loop, lambda: self._put_soon(connection))

    async def _put_soon(self, connection: AwaitedConnection) -> None:
        self._put(connection)

    def _put(self, connection: AwaitedConnection) -> None:
        if self._closed:
            connection.close()
        elif not connection.closed:
            self._kept.append(connection)
        self._places.release()

    async def aclose(self) -> None:
        """Close the connections. Those that are lent are closed when they are given back."""
        self._closed = True
        while self._kept:
            self._kept.pop().close()
