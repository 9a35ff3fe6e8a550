"""The exclusive lock: one transaction at a time among all threads and processes. Waiting for it has a time limit.

It is not an open LMDB write transaction: waiting for that could not be interrupted, and it would bind the holder to
its thread. Between processes it is the flock of the lock file, between threads a lock of Python. A plain commit that
finds the flag in the state page gives up its own transaction and takes this lock.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType

from coshelf.engines.lmdb.files.state_page import StatePage
from coshelf.errors import ShelfClosed, ShelfLocked, TransactionInProgress
from coshelf.system.backoff import Backoff
from coshelf.system.cooperation import Gates, new_reentrant_lock

__all__ = ["ExclusiveLock"]

_FIRST_PAUSE = 0.0002
_LONGEST_PAUSE = 0.01


class ExclusiveLock:
    """One per environment and process.

    ``inside`` keeps the state page open for a block. ``barrier`` waits for the end of every commit that had not seen
    the flag. It is told whether the last holder died with the lock.
    """

    def __init__(
        self,
        path: str,
        page: StatePage,
        inside: Callable[[], AbstractContextManager[None]],
        barrier: Callable[..., None],
    ) -> None:
        self._path = path
        self._page = page
        self._inside = inside
        self._barrier = barrier
        self._mutex = new_reentrant_lock()  # guards the hold, for moments only; a garbage-collected hold may interrupt
        self._freed = Gates()
        self._hold: _Hold | None = None

    def renew(self, page: StatePage) -> None:
        """Use another state page from here on. Only for the holder, while no other thread can use the shelf."""
        self._page = page

    def is_mine(self) -> bool:
        """Whether this thread took the lock and it is still held."""
        hold = self._hold
        return hold is not None and hold.thread == threading.get_ident()

    def is_others(self) -> bool:
        """Whether another thread or process holds the lock, or died with it. Asked inside a commit."""
        return self._page.is_claimed() and not self.is_mine()

    def hold(self, timeout: float) -> AbstractContextManager[None]:
        """Hold the lock for a block. Raises :class:`ShelfLocked` after ``timeout`` seconds; can be interrupted."""
        return _Hold(self, timeout)

    def take(self, hold: _Hold, timeout: float) -> None:
        start = time.monotonic()
        # Once this succeeds, this thread is the holder, and so are the signal handlers that interrupt it.
        while not self._lock_threads(hold):
            left = start + timeout - time.monotonic()
            if left <= 0:
                raise self._locked(timeout)
            self._freed.wait(self._is_free, left)
        self._lock_processes(start, timeout)
        with self._inside():
            after_death = self._page.is_claimed()
            self._page.claim()
            self._barrier(after_death=after_death)
            self._page.confirm()  # if an error comes before this, the next holder does the same steps again

    def _lock_threads(self, hold: _Hold) -> bool:
        with self._mutex:
            if self._hold is None:
                self._hold = hold
        if self._hold is hold:
            return True
        if self.is_mine():
            raise TransactionInProgress(
                f"this thread is inside a transaction, an edit or a large commit of {self._path}, or about to be"
            )
        return False

    def _is_free(self) -> bool:
        return self._hold is None

    def give_back(self, hold: _Hold) -> None:
        """Release the lock if this hold has it. Any thread may call this. A forked child leaves it to its parent."""
        if self._hold is not hold or os.getpid() != hold.pid:
            return
        try:
            with suppress(ShelfClosed), self._inside():
                self._page.unlock()
        finally:
            with self._mutex:
                self._hold = None
            self._freed.open()

    def _lock_processes(self, start: float, timeout: float) -> None:
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, 1.5, spread=0.5)
        while True:
            with self._inside():
                if self._page.try_lock():
                    return
                if time.monotonic() - start > timeout:
                    raise self._locked(timeout)
            backoff.sleep()  # this polls, since flock has no timeout

    def _locked(self, waited: float) -> ShelfLocked:
        with self._inside():
            holder = self._page.holder()
        if holder is None:
            return ShelfLocked(f"shelf is locked: {self._path}\n  waited {waited:g} s")
        held = time.time() - holder.since
        who = "another thread of this process" if holder.pid == os.getpid() else f"pid {holder.pid} ({holder.command})"
        return ShelfLocked(
            f"shelf is locked: {self._path}\n  held by {who} for {held:.1f} s; waited {waited:g} s\n"
            "  hint: wait longer with timeout=",
            pid=holder.pid,
            since=holder.since,
        )


class _Hold:
    """The lock, held for a ``with`` block, which may be left by another thread than the one that entered it.

    A Ctrl-C may come anywhere, also between two statements of an ``except`` or ``finally``. So giving the lock back is
    harmless if this does not have it, is tried again if interrupted, and happens at the latest when this is collected.
    """

    _lock: ExclusiveLock | None = None  # a default, since even __init__ may be interrupted

    def __init__(self, lock: ExclusiveLock, timeout: float) -> None:
        self.thread = threading.get_ident()
        self.pid = os.getpid()
        self._lock = lock
        self._timeout = timeout

    def __enter__(self) -> None:
        assert self._lock is not None
        try:
            self._lock.take(self, self._timeout)
        except BaseException:
            self._give_back()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._give_back()

    def _give_back(self) -> None:
        assert self._lock is not None
        try:
            self._lock.give_back(self)
        except BaseException:
            self._lock.give_back(self)
            raise

    def __del__(self) -> None:
        if self._lock is not None:
            self._lock.give_back(self)
