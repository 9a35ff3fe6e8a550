"""Tells changes: reads the history of a shelf by a connection on which commits are announced."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final, Literal

import psycopg
from psycopg import sql

from coshelf.contract import Change, Changes, Position
from coshelf.engines.connections import pauses
from coshelf.engines.postgresql.failures import is_lost, reason, translate
from coshelf.engines.postgresql.histories import Place, Reading, Watching, channel_of
from coshelf.engines.postgresql.server import Connection, of_parents, rows_of
from coshelf.engines.wakeable import WakeableWait, read_aside
from coshelf.errors import ShelfClosed, Unavailable
from coshelf.system.threads.bridge import awaited, is_bridged
from coshelf.system.threads.cooperation import new_reentrant_lock

__all__ = ["PostgresqlChanges"]

_TOGETHER = 1_000  # rows of one reply
_LOOK = 10.0  # seconds after which a waiting reader asks, so that it notices that the server is not there any more
_KINDS: Final[dict[str, Literal["set", "deleted", "expired"]]] = {"s": "set", "d": "deleted", "x": "expired"}

_Row = tuple[Any, ...]


class _HoleError(Exception):
    """The history does not have what comes next any more."""


class PostgresqlChanges(Changes):
    """A reader of changes. A position is the number and token of a commit."""

    def __init__(self, watching: Watching, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> None:
        self._watching = watching
        self._server = watching.server
        self._ranges = tuple(ranges)
        self._place = Place.of(since, self._server.where)
        self._rows: list[_Row] = []  # of a commit of which the rest was not read yet
        self._connection: Connection | None = None
        self._is_rung = False
        self._wait = WakeableWait()
        self._lock = new_reentrant_lock()  # a signal handler that interrupts a read may close the reader
        self._is_closed = False
        self._pid = os.getpid()
        watching.keeper.add(self)

    # --- the contract ------------------------------------------------------------------------------------------------

    def read(self, timeout: float | None) -> list[Change]:
        if is_bridged():
            return awaited(read_aside(self, timeout))
        end = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            if self._pid != os.getpid():
                self._belong_to_child()
            try:
                return self._read(end)
            except psycopg.Error as error:
                raise translate(error, self._server.where, "watch", self._server.timeout) from error

    def wake(self) -> None:
        self._wait.wake()

    def close(self) -> None:
        self._is_closed = True
        self._watching.keeper.remove(self)
        self._wait.wake()
        with self._lock:
            if self._pid == os.getpid():
                self._disconnect()
            self._wait.close()

    # --- connections -------------------------------------------------------------------------------------------------

    def _refuse_closed(self) -> None:
        if self._is_closed or self._watching.is_closed:
            what = "this reader of the changes of" if self._is_closed else "the shelf"
            raise ShelfClosed(f"{what} {self._server.where} has been closed")

    def _belong_to_child(self) -> None:
        self._pid = os.getpid()
        if self._connection is not None:
            of_parents.append(self._connection)
            self._connection = None
        self._rows.clear()
        self._watching.keeper.add(self)

    def _connected(self) -> tuple[Connection, bool]:
        """The connection on which commits are announced; whether the history has all that comes next."""
        if self._connection is not None:
            return self._connection, True
        self._connection = connection = self._server.acquire()
        connection.add_notify_handler(self._ring)
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel_of(self._watching.shelf))))
        end = self._watching.place_by(connection)
        shelf, place = self._watching.shelf.number, self._place
        ((is_known,),) = rows_of(connection, Reading.KNOWN, (shelf, place.number, place.token))
        if not is_known:
            self._place = end
        return connection, is_known

    def _ring(self, _: psycopg.Notify) -> None:
        self._is_rung = True

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._rows.clear()
        if connection is not None:
            self._server.discard(connection)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read(self, end: float | None) -> list[Change]:
        """Read, and wait while the server cannot be reached."""
        began, backoff = time.monotonic(), pauses()
        while True:
            self._refuse_closed()
            place = self._place
            try:
                return self._told(end)
            except BaseException as error:  # what has been read of this attempt is read again
                self._disconnect()
                self._place = place
                if not isinstance(error, psycopg.Error) or not is_lost(error):
                    raise
                waited = time.monotonic() - began
                if waited + backoff.pause > self._server.timeout:
                    raise Unavailable(
                        f"cannot reach {self._server.where}: {reason(error)}; tried for {waited:.1f} s (timeout "
                        f"{self._server.timeout:g} s)\n  hint: read on, or watch again since the last position"
                    ) from error
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return []
            if self._wait.wait((), backoff.pause if left is None else min(backoff.pause, left)) is None:
                return []
            backoff.lengthen()

    def _told(self, end: float | None) -> list[Change]:
        """What the history has, or has next."""
        connection, is_known = self._connected()
        changes = [] if is_known else [self._gap()]
        while True:
            self._is_rung = False
            try:
                changes += self._next(connection)
            except _HoleError:
                self._rows.clear()
                self._place = self._watching.place_by(connection)
                changes.append(self._gap())
            if changes or not self._awaited(connection, end):
                return changes

    def _next(self, connection: Connection) -> list[Change]:
        """The selected changes of the next commits. The first of these is read as a whole, whatever its size."""
        changes: list[Change] = []
        while True:
            number, part = self._rows[-1][:2] if self._rows else (self._place.number + 1, -1)
            rows = rows_of(connection, Reading.NEXT, (self._watching.shelf.number, number, part, _TOGETHER))
            is_all = len(rows) < _TOGETHER
            commits = [list(some) for _, some in groupby([*self._rows, *rows], key=lambda row: row[0])]
            self._rows = [] if is_all or not commits else commits.pop()
            for commit in commits:
                changes += self._taken(commit)
            if is_all or changes:
                return changes

    def _taken(self, commit: list[_Row]) -> Iterable[Change]:
        """The selected changes of one commit. Raises :class:`_HoleError`."""
        number, part, token, kind = commit[0][:4]
        if number != self._place.number + 1 or part != 0 or kind != "c":
            raise _HoleError
        self._place = Place(number, token)
        position = str(self._place)
        return [
            Change(key, _KINDS[kind], position, record)
            for _, _, _, kind, key, record in commit[1:]
            if any(start <= key < stop for start, stop in self._ranges)
        ]

    def _awaited(self, connection: Connection, end: float | None) -> bool:
        """Wait until a commit is announced, or until it is time to ask. Return False if the caller has to return."""
        connection.pgconn.consume_input()
        while (found := connection.pgconn.notifies()) is not None:
            self._is_rung = self._is_rung or bool(found.relname)
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            return False
        if self._is_rung:
            return True
        ready = self._wait.wait((connection.fileno(),), _LOOK if left is None else min(left, _LOOK))
        return ready is not None

    def _gap(self) -> Change:
        return Change(b"", "gap", str(self._place))
