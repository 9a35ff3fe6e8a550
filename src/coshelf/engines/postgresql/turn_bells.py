"""Wakes those that wait for a turn or for an item of a queue: the server tells what commits changed (LISTEN, NOTIFY).

Each process that waits has one session more for each handle, and a thread that listens there. The session also holds
an advisory lock of the shelf, shared. A commit that changes a row of a line or of a queue asks for that lock
exclusively, and does not wait for it. If it gets it, nobody waits, and the commit announces nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg
from psycopg import sql

from coshelf.contract import QUEUES, Doorbell, PollingBell
from coshelf.engines.leases.rows import LINES
from coshelf.engines.postgresql.server import Connection, Server, of_parents
from coshelf.engines.postgresql.tables import Shelf
from coshelf.engines.wakeable import WakeableWait
from coshelf.errors import DamagedRecord
from coshelf.keys import decode_element
from coshelf.system.threads.alone import alone
from coshelf.system.threads.bridge import awaited, is_bridged
from coshelf.system.threads.cooperation import (
    Gates,
    ServiceThread,
    can_start_threads,
    is_cooperative,
    new_reentrant_lock,
)
from coshelf.system.threads.living import Living
from coshelf.system.waiting.backoff import Backoff

__all__ = ["TurnBell", "TurnBells", "channel_of_turns", "lock_of_turns", "ring_of"]

_FIRST_PAUSE = 0.005  # seconds between two looks of a caller that nobody wakes
_LONGEST_PAUSE = 0.1
_LINGER = 10.0  # seconds for which the session stays when nobody waits
_FIRST_RETRY = 0.05  # seconds after which a lost session is made again
_LONGEST_RETRY = 30.0
_LONGEST_WAIT = 3600.0
_PATIENCE = 1.0  # seconds that closing waits for the end of the thread


class _PooledError(Exception):
    """A pooler is in between. It may give the session to others, and the announcements with it."""


def ring_of(key: bytes) -> str | None:
    """What a commit that changes a row announces: the line or the queue. None if the row belongs to neither."""
    if LINES[0] <= key < LINES[1]:
        return key.hex()
    if QUEUES[0] <= key < QUEUES[1]:
        try:
            return key[: decode_element(key, 1)[1]].hex()
        except DamagedRecord:  # no row of this version
            return None
    return None


def channel_of_turns(shelf: Shelf) -> str:
    """The channel on which changes of lines and queues are announced, while somebody waits."""
    return f"coshelf_turns_{shelf.store_id.hex()}"


def lock_of_turns(shelf: Shelf) -> int:
    """The number of the advisory lock that those hold who wait."""
    return int.from_bytes(shelf.store_id[8:16], "little", signed=True)


class TurnBell(Doorbell):
    """The bell of one line or queue. As long as nothing listens for it, each wait is a pause, as for any other key.

    Args:
        bells: those of the handle.
        ring: what is announced for it.
    """

    def __init__(self, bells: TurnBells, ring: str) -> None:
        self._pausing = PollingBell(_FIRST_PAUSE, _LONGEST_PAUSE, growth=1.3)
        self.name = ring
        self._bells = bells
        self._rings = 0
        self._gates = Gates()
        self._calls: list[Callable[[], object]] = []

    def sequence(self) -> int:
        self._bells.know(self)
        return self._rings

    def ring(self) -> None:
        """Wake those that wait at it."""
        self._rings += 1
        self._gates.open()
        for call in self._calls.copy():
            call()

    def wait(self, sequence: int, timeout: float | None) -> None:
        with self._bells.waiting(self):
            if not self._bells.is_listening:
                self._pausing.wait(sequence, timeout)
            elif is_bridged():
                self._await(sequence, timeout)
            else:
                self._block(sequence, timeout)

    def _is_over(self, sequence: int) -> bool:
        return self._rings != sequence or not self._bells.is_listening

    def _block(self, sequence: int, timeout: float | None) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        while not self._is_over(sequence):
            left = _LONGEST_WAIT if end is None else end - time.monotonic()
            if left <= 0:
                return
            self._gates.wait(lambda: self._is_over(sequence), left)

    def _await(self, sequence: int, timeout: float | None) -> None:
        import asyncio  # here: programs without an event loop do without it

        loop, rung = asyncio.get_running_loop(), asyncio.Event()

        async def until_rung() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await rung.wait()

        def call() -> None:
            with suppress(RuntimeError):  # the loop has ended, and its tasks are gone
                loop.call_soon_threadsafe(rung.set)

        self._calls.append(call)
        try:
            if not self._is_over(sequence):
                awaited(until_rung())
        finally:
            self._calls.remove(call)


class TurnBells:
    """The bells of a handle, and the thread that listens for them while somebody waits.

    Attributes:
        is_listening: whether the bells ring. When that begins or ends, all of them ring once.
    """

    def __init__(self, server: Server, shelf: Shelf) -> None:
        self._server = server
        self._shelf = shelf
        self._is_closed = False
        self._connection: Connection | None = None
        self._begin()

    def _begin(self) -> None:
        self._lock = new_reentrant_lock()
        self.is_listening = False
        self._bells: Living[TurnBell] = Living()
        self._waiting: list[TurnBell] = []
        self._needed_at = 0.0
        self._thread: ServiceThread | None = None
        self._wait: WakeableWait | None = None
        self._backoff = Backoff(_FIRST_RETRY, _LONGEST_RETRY, spread=0.5)
        self._retry_at = 0.0
        self._pid = os.getpid()  # last

    # --- those that wait ---------------------------------------------------------------------------------------------

    def know(self, bell: TurnBell) -> None:
        """From now on, ring a bell."""
        if self._pid != os.getpid():
            with alone():
                if self._pid != os.getpid():
                    if self._connection is not None:
                        of_parents.append(self._connection)  # the parent listens there
                        self._connection = None
                    self._begin()
        with self._lock:
            self._bells.add(bell)

    def waiting(self, bell: TurnBell) -> _Waiting:
        """For a block, listen for a bell."""
        self.know(bell)
        return _Waiting(self, bell)

    def enter(self, bell: TurnBell) -> None:
        """Somebody waits at a bell."""
        self._waiting.append(bell)
        self._needed_at = time.monotonic()
        # With greenlets the caller must not block its thread, and a bell that does not listen pauses.
        if self._thread is None and not self._is_closed and can_start_threads() and not is_cooperative():
            self._start()

    def leave(self, bell: TurnBell) -> None:
        """Somebody waits no more."""
        self._needed_at = time.monotonic()
        with suppress(ValueError):  # a forked child
            self._waiting.remove(bell)

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._wait = WakeableWait()
            self._thread = ServiceThread("coshelf-bells", partial(self._listen, self._wait))
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter ends
                self._thread = None

    def close(self) -> None:
        """End the thread. Those that wait return."""
        self._is_closed = True
        thread = self._thread
        if self._pid == os.getpid() and thread is not None and self._wait is not None:
            self._wait.wake()
            thread.join(_PATIENCE)

    # --- the thread --------------------------------------------------------------------------------------------------

    def _ring_all(self) -> None:
        for bell in self._known():
            bell.ring()

    def _known(self) -> list[TurnBell]:
        with self._lock:
            return list(self._bells)

    def _is_needed(self) -> bool:
        return not self._is_closed and (bool(self._waiting) or time.monotonic() - self._needed_at < _LINGER)

    def _ends(self) -> bool:
        """Whether the thread ends, because nobody needs it. One that is needed from then on is another one."""
        with self._lock:
            if self._is_needed():
                return False
            self._thread = None
            return True

    def _listen(self, wait: WakeableWait) -> None:
        try:
            while not self._ends():
                pause = self._retry_at - time.monotonic()
                if pause > 0:
                    wait.wait((), min(pause, _LINGER))
                    continue
                try:
                    self._listen_by(self._connected(), wait)
                except (psycopg.Error, _PooledError, OSError):  # whatever the cause is, callers look after pauses
                    self._retry_at = time.monotonic() + self._backoff.pause
                    self._backoff.lengthen()
                finally:
                    self._disconnect()
        except BaseException:
            self._thread = None
            raise
        finally:
            wait.close()

    def _connected(self) -> Connection:
        """A session of its own, to which changes are announced from now on."""
        connection = self._connection = self._server.connect_apart()
        ((pid,),) = connection.execute("SELECT pg_backend_pid()").fetchall()
        if pid != connection.info.backend_pid:
            raise _PooledError
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel_of_turns(self._shelf))))
        # Commits that asked for the lock before are seen by all that look after this; later ones are announced.
        connection.execute("SELECT pg_advisory_lock_shared(%s::bigint)", (lock_of_turns(self._shelf),))
        return connection

    def _listen_by(self, connection: Connection, wait: WakeableWait) -> None:
        """Ring bells, until nobody needs that."""
        self._backoff = Backoff(_FIRST_RETRY, _LONGEST_RETRY, spread=0.5)
        self._ring_all()  # so that all look, which may have looked before the session listened
        self.is_listening = True
        while self._is_needed():
            wait.wait((connection.fileno(),), _LINGER)
            rung = self._announced(connection)
            if rung:
                for bell in self._known():
                    if bell.name in rung:
                        bell.ring()

    @staticmethod
    def _announced(connection: Connection) -> set[str]:
        """What has been announced. Raises psycopg.Error if the connection is lost."""
        connection.pgconn.consume_input()
        found: Any
        rung: set[str] = set()
        while (found := connection.pgconn.notifies()) is not None:
            rung.add(found.extra.decode("ascii", "replace"))
        return rung

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if self.is_listening:
            self.is_listening = False
            self._ring_all()


class _Waiting:
    """A block in which somebody waits at a bell."""

    __slots__ = ("_bell", "_bells")

    def __init__(self, bells: TurnBells, bell: TurnBell) -> None:
        self._bells = bells
        self._bell = bell

    def __enter__(self) -> None:
        self._bells.enter(self._bell)

    def __exit__(self, *_: object) -> None:
        self._bells.leave(self._bell)
