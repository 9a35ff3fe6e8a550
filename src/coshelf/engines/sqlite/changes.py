"""A reader of changes. It looks at the number of the last commit again and again, after short pauses."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from coshelf.contract import Change, Changes, Position
from coshelf.engines.sqlite import history
from coshelf.engines.sqlite.connections import Connections
from coshelf.engines.sqlite.failures import translated
from coshelf.errors import ShelfClosed, ShelfLocked, StorageError
from coshelf.system.threads.cooperation import Gates

__all__ = ["SqliteChanges"]

_FIRST_PAUSE = 0.0005  # seconds between two looks, after a change
_LONGEST_PAUSE = 0.005
_GROWTH = 1.2
_RENEW_AGAIN = 60.0  # seconds after which it is tried again

Renew = Callable[[float], tuple[int, history.Watched]]


class SqliteChanges(Changes):
    """Reads the rows of changes.

    Args:
        connections: those of the engine.
        renew: calls :func:`history.renew` in a write transaction, for which it waits so many seconds.
        ranges: the ranges of keys.
        since: the position from which to read.
        gates: opened at each commit of this process.
    """

    def __init__(
        self,
        connections: Connections,
        renew: Renew,
        ranges: Sequence[tuple[bytes, bytes]],
        since: Position,
        gates: Gates,
    ) -> None:
        self._connections = connections
        self._renew = renew
        self._ranges = tuple(ranges)
        self._gates = gates
        self._is_woken = False
        self._is_closed = False
        if type(since) is not int:
            raise ValueError(f"{since!r} is no position of {connections.path}: they are numbers of commits")
        number, _ = renew(connections.timeout)
        if not 0 <= since <= number:
            raise ValueError(f"{since} is no position of {connections.path}: the last commit has number {number}")
        self._at = since
        self._has_looked = False
        self._next_renewal = time.monotonic() + _RENEW_AGAIN

    def read(self, timeout: float | None) -> list[Change]:
        end = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_PAUSE
        while True:
            if self._is_closed:
                raise ShelfClosed("the reader of changes has been closed")
            found = self._look()
            left = pause if end is None else end - time.monotonic()
            if found or self._is_woken or left <= 0:
                self._is_woken = False
                return found
            self._gates.wait(lambda: self._is_woken or self._is_closed, min(pause, left))
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    def _look(self) -> list[Change]:
        """What commits have done since the last look."""
        with (
            self._connections.lent() as connection,
            translated(self._connections.path, "read", self._connections.timeout),
        ):
            ((number,),) = connection.execute("SELECT number FROM shelf").fetchall()
            if self._has_looked and number == self._at and time.monotonic() < self._next_renewal:
                return []
            found, watched = self._read(connection)
        if watched is None or watched.is_due():
            self._try_to_renew()
        return found

    def _read(self, connection: sqlite3.Connection) -> tuple[list[Change], history.Watched | None]:
        connection.execute("BEGIN").close()
        try:
            found, self._at, watched = history.read(connection, self._ranges, self._at)
        finally:
            connection.execute("ROLLBACK").close()
        self._has_looked = True
        return found, watched

    def _try_to_renew(self) -> None:
        """Renew the row, unless another thread or process holds the lock of writers now."""
        self._next_renewal = time.monotonic() + _RENEW_AGAIN
        with suppress(ShelfLocked, StorageError):  # it is tried again; if it never succeeds, there is a gap
            self._renew(0)

    def wake(self) -> None:
        self._is_woken = True
        self._gates.open()

    def close(self) -> None:
        self._is_closed = True
        self._gates.open()
