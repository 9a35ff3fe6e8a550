"""Keeps LMDB's semaphores from staying taken. LMDB uses semaphores where there are no robust mutexes (macOS).

LMDB takes one for each write transaction, and another one for an instant when a reader takes a place in the table of
readers. Neither ends with a process that is killed. So all processes take a lock on a file, which does end with a
process, before they take the writers' semaphore. If a process has the lock and the semaphore is not free, then its
holder has died, and the process gives it back.

For readers there is no such lock, because each read would be slower. If a process is killed in that instant, the next
openers report it. The semaphores are new when the shelf is opened after all processes have closed it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import lmdb

from coshelf.errors import StorageError
from coshelf.system.files.flags import ASIDE
from coshelf.system.files.positions import read_at
from coshelf.system.locks import whole_file
from coshelf.system.memory.semaphores import Semaphore
from coshelf.system.memory.shared import PAGE_SIZE, shared
from coshelf.system.rights.giving import give
from coshelf.system.threads.cooperation import acquire, new_reentrant_lock
from coshelf.system.waiting.backoff import Backoff

__all__ = ["GuardedTransaction", "WriterTurn", "await_readers", "names"]

# Where LMDB 0.9 has the names in its lock file, and the number of the last transaction: struct MDB_txninfo of mdb.c.
_READERS_AT, _LAST_AT, _WRITERS_AT = 8, 40, 64
_LONGEST_NAME = 32
_READERS, _WRITERS = b"/MDBr", b"/MDBw"

_PATIENCE = 5.0  # seconds, for an instant's work of another process, which may be stopped
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02


def names(lock: int) -> tuple[bytes, bytes] | None:
    """The semaphores of readers and writers that an open lock file names; None if LMDB uses mutexes."""
    head = read_at(lock, _WRITERS_AT + _LONGEST_NAME, 0)
    if not head.startswith(_READERS, _READERS_AT) or not head.startswith(_WRITERS, _WRITERS_AT):
        return None
    readers, writers = (head[at : at + _LONGEST_NAME].partition(b"\0")[0] for at in (_READERS_AT, _WRITERS_AT))
    return readers, writers


def await_readers(name: bytes, path: str) -> None:
    """Wait until the readers' semaphore is free. LMDB would wait for ever. ``path`` is the lock file.

    Raises :class:`StorageError` if a process that is gone, or stopped, has it.
    """
    semaphore = Semaphore(name)
    try:
        end = time.monotonic() + _PATIENCE
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        while not semaphore.try_to_take():
            if time.monotonic() > end:
                raise StorageError(
                    f"{path} cannot be opened: a process was killed, or stopped, just when LMDB gave it a place among "
                    f"the readers; waited {_PATIENCE:g} s\n"
                    "  hint: close the shelf in all processes, or end them, and open it again"
                )
            backoff.sleep()
        semaphore.give_back()
    finally:
        semaphore.close()


class WriterTurn:
    """The lock that a process takes before LMDB's semaphore of writers. A thread may take it several times.

    Args:
        path: the file that is locked.
        descriptor: of LMDB's lock file.
        name: of the semaphore.
        newest: tells the number of the newest transaction in the file.
    """

    def __init__(self, path: str, descriptor: int, name: bytes, newest: Callable[[], int]) -> None:
        self._newest = newest
        self._threads = new_reentrant_lock()
        self._depth = 0
        try:
            self._semaphore = Semaphore(name)
            self._page = shared(descriptor, PAGE_SIZE, writable=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | ASIDE, 0o600)
            give(self._descriptor, os.fstat(descriptor))
        except OSError as error:
            raise StorageError(error.errno, f"cannot open the lock of writers: {error.strerror}", path) from error

    def take(self) -> None:
        """Wait for the lock. Signal handlers run meanwhile; one that writes does not wait for what it interrupted."""
        acquire(self._threads, threading.TIMEOUT_MAX)  # type: ignore[arg-type]  # a lock that knows its thread
        self._depth += 1
        try:
            if self._depth == 1:
                whole_file.take(self._descriptor, whole_file.EXCLUSIVE)
                self._mend()
        except BaseException:
            self.give_back()
            raise

    def _mend(self) -> None:
        """Give the semaphore back if a process has died with it, as LMDB does for a mutex whose holder has died."""
        if not self._semaphore.try_to_take():
            self._page.cast("Q")[_LAST_AT // 8] = self._newest()  # else the next commit could use pages that are in use
        self._semaphore.give_back()

    def give_back(self) -> None:
        """Let the next one take it. Once for each time that this thread has taken it."""
        self._depth -= 1
        if not self._depth:
            whole_file.release(self._descriptor)
        self._threads.release()

    def begin(self, begin: Callable[[], lmdb.Transaction[bytes]]) -> GuardedTransaction:
        """A write transaction that is guarded by the lock."""
        self.take()
        try:
            return GuardedTransaction(begin(), self)
        except BaseException:
            self.give_back()
            raise

    def close(self) -> None:
        """Close it. LMDB is closed."""
        os.close(self._descriptor)
        self._semaphore.close()
        self._page.release()

    def abandon(self) -> None:
        """In a forked child: close its copies. The lock stays the parent's."""
        os.close(self._descriptor)


class GuardedTransaction:
    """LMDB's write transaction, and the lock, which is given back when the transaction ends."""

    __slots__ = ("_turn", "raw")

    def __init__(self, raw: lmdb.Transaction[bytes], turn: WriterTurn) -> None:
        self.raw = raw
        self._turn: WriterTurn | None = turn

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def commit(self) -> None:
        """As LMDB's."""
        try:
            self.raw.commit()
        finally:
            self._end()

    def abort(self) -> None:
        """As LMDB's."""
        try:
            self.raw.abort()
        finally:
            self._end()

    def _end(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.give_back()
