"""The exclusive lock: one transaction at a time among all threads and processes. Waiting for it has a time limit.

It is not an open LMDB write transaction: waiting for that could not be interrupted, and it would bind the holder to
its thread. Between processes it is a word of the state page or a flock (:mod:`process_lock`), between threads an entry
of a dict. A plain commit that finds the flag in the state page gives up its own transaction and takes this lock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, overload

from coshelf import native
from coshelf.engines.lmdb.files.state_page import StatePage
from coshelf.errors import ShelfClosed, ShelfLocked, TransactionInProgress
from coshelf.system.threads.cooperation import Gates, is_cooperative
from coshelf.system.threads.participants import Party, current_owner, current_party, longest_wait, refuse_abandoned
from coshelf.system.waiting.backoff import Backoff

if TYPE_CHECKING:
    from coshelf._native import Log

__all__ = ["ExclusiveLock"]

T = TypeVar("T")
_FIRST_PAUSE = 0.0002
_LONGEST_PAUSE = 0.01
_LONGEST_WAIT = 0.05  # seconds inside the files: another thread may want to close them
_POLLS = 16  # of greenlets, the last of which waits for _LOOK seconds
_LOOK = 0.01


class Files(Protocol):
    """The open files, which a thread keeps open between ``enter`` and ``leave``."""

    def enter(self) -> object: ...

    def leave(self) -> None: ...

    def make_way(self) -> None:
        """End what this thread has begun to write, if it can do that again."""

    def is_quiet(self) -> bool:
        """Whether every commit that had not seen the flag has ended. The flag is visible to all processors."""

    def barrier(self, *, after_death: bool) -> None:
        """Wait for the end of every commit that had not seen the flag. ``after_death``: of the last holder."""


class ExclusiveLock:
    """One per environment and process."""

    def __init__(self, path: str, page: StatePage, files: Files) -> None:
        self._path = path
        self._files = files
        # The party that has the lock, under the key 0. Each hold makes one, which is compared by identity. One step of
        # a dict needs no lock, and no handler interrupts it.
        self._owner: dict[int, Party] = {}
        self._freed = Gates()
        self.renew(page)

    def renew(self, page: StatePage) -> None:
        """Use another state page from here on. Only for the holder, while no other thread can use the shelf."""
        self._page = page
        self._between = page.lock

    def is_mine(self) -> bool:
        """Whether this thread or task took the lock and it is still held."""
        owner = self._owner.get(0)
        return owner is not None and owner[1] == current_owner()

    def is_others(self) -> bool:
        """Whether another thread or process holds the lock, or died with it. Asked inside a commit."""
        return self._page.is_claimed() and not self.is_mine()

    @overload
    def hold(self, timeout: float) -> AbstractContextManager[None]: ...
    @overload
    def hold(self, timeout: float, given: T) -> AbstractContextManager[T]: ...
    def hold(self, timeout: float, given: object = None) -> AbstractContextManager[object]:
        """Hold the lock for a block, which gets what is ``given``.

        Raises :class:`ShelfLocked` after ``timeout`` seconds. The wait can be interrupted.
        """
        return _Hold(self, timeout, given)

    def quick_hold(self, log: Log) -> Callable[[Party], AbstractContextManager[bool]] | None:
        """A function that makes context managers. They hold the lock if nothing is unusual, by one call of C.

        Args:
            log: the delta, to which all processes commit.

        Returns None without the module in C, and where this process cannot swap the word.
        """
        swapping = self._between.swapped()
        if swapping is None:
            return None
        return native.hold(swapping, log, self._owner, self._freed.waiting, self._freed.open)

    def take(self, owner: Party, timeout: float) -> None:
        # Once the first step succeeds, this thread is the holder, and so are the signal handlers that interrupt it.
        if self._owner.setdefault(0, owner) is owner:
            if self._attempt(0.0):
                return
            end = time.monotonic() + timeout
            self._files.make_way()
        else:
            end = time.monotonic() + timeout
            self._wait_for_threads(owner, end, timeout)
        self._wait_for_processes(end, timeout)

    def _attempt(self, patience: float) -> bool:
        """Try to take the lock between processes, for up to ``patience`` seconds if it can wait."""
        files, between = self._files, self._between
        files.enter()
        try:
            after_death = between.take(patience)
            if after_death is None:
                return False
            if after_death or not between.is_fenced or not files.is_quiet():
                files.barrier(after_death=after_death)
            between.is_confirmed = True  # if an error comes before this, the next holder does the same steps again
            return True
        finally:
            files.leave()

    def _wait_for_threads(self, owner: Party, end: float, timeout: float) -> None:
        while self._owner.setdefault(0, owner) is not owner:
            if self.is_mine():
                raise TransactionInProgress(
                    f"this thread is inside a transaction, an edit or a large commit of {self._path}, or about to be"
                )
            left = end - time.monotonic()
            if left <= 0:
                raise self._locked(timeout)
            self._files.make_way()  # a finalizer may wait here in the middle of a flush, and the holder for its locks
            refuse_abandoned()
            self._freed.wait(self._is_free, longest_wait(left))

    def _is_free(self) -> bool:
        return not self._owner

    def _wait_for_processes(self, end: float, timeout: float) -> None:
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, 1.5, spread=0.5)
        for turn in count(1):
            if not self._can_wait():
                patience = 0.0  # this polls, since flock has no timeout
            elif is_cooperative():  # greenlets cannot run during a wait, but only a wait notices the death of a holder
                patience = 0.0 if turn % _POLLS else _LOOK
            else:
                patience = max(0.0, min(end - time.monotonic(), _LONGEST_WAIT))
            if self._attempt(patience):
                return
            refuse_abandoned()
            left = end - time.monotonic()
            if left <= 0:
                raise self._locked(timeout)
            if patience < _LONGEST_WAIT:
                backoff.sleep(left)

    def _can_wait(self) -> bool:
        self._files.enter()
        try:
            return self._between.can_wait
        finally:
            self._files.leave()

    def give_back(self, owner: Party) -> None:
        """Release the lock if this owner has it. Any thread may call this. A forked child leaves it to its parent.

        If it is interrupted, it can be called again.
        """
        if self._owner.get(0) is owner and os.getpid() == owner[0]:
            try:  # not contextlib.suppress, which takes longer than the rest
                self._release()
            except ShelfClosed:
                pass
            self._owner.pop(0, None)
            self._freed.open()

    def _release(self) -> None:
        files = self._files
        files.enter()
        try:
            self._between.release()
        finally:
            files.leave()

    def _locked(self, waited: float) -> ShelfLocked:
        self._files.enter()
        try:
            holder = self._page.holder()
        finally:
            self._files.leave()
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


class _Hold(Generic[T]):
    """The lock, held for a ``with`` block, which may be left by another thread than the one that entered it.

    A Ctrl-C may come anywhere, also between two statements of an ``except`` or ``finally``. So giving the lock back is
    harmless if this does not have it, is tried again if interrupted, and happens at the latest when this is collected.
    """

    _lock: ExclusiveLock | None = None  # a default, since even __init__ may be interrupted

    def __init__(self, lock: ExclusiveLock, timeout: float, given: T) -> None:
        # Not this object itself, which the lock would then keep from being collected.
        self._owner: Party = current_party()
        self._timeout = timeout
        self._given = given
        self._lock = lock

    def __enter__(self) -> T:
        assert self._lock is not None
        try:
            self._lock.take(self._owner, self._timeout)
        except BaseException:
            self._give_back()
            raise
        return self._given

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._give_back()

    def _give_back(self) -> None:
        assert self._lock is not None
        try:
            self._lock.give_back(self._owner)
        except BaseException:
            self._lock.give_back(self._owner)
            raise

    def __del__(self) -> None:
        if self._lock is not None:
            self._lock.give_back(self._owner)
