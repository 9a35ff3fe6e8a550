"""Shared by engines without other processes: one lock for their threads, and a bell.

Writers of one engine take turns on a lock, and the holder may take it again. A transaction keeps it until it ends. A
wait for it has a time limit and can be interrupted.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from coshelf.contract import Doorbell
from coshelf.errors import ShelfLocked, TransactionInProgress
from coshelf.system.processes.forks import at_fork
from coshelf.system.threads.alone import alone
from coshelf.system.threads.cooperation import Gates, acquire, new_lock, new_reentrant_lock
from coshelf.system.threads.participants import TaskOwner, current_owner, longest_wait, refuse_abandoned

__all__ = ["LocalBell", "LocalLock"]

P = ParamSpec("P")
T = TypeVar("T")

_LOOK_AGAIN = 1.0  # seconds


class LocalLock:
    """Two locks between threads: one that writers hold for any time, and one that is held for moments.

    A forked child has a copy of the entries, and new locks: the parent's threads are not there to release the old ones.
    A fork waits until the moment's lock is free, so that the copy is whole.

    A signal handler or finalizer may run between any two steps. It never waits for the thread that it interrupted. If
    a call cannot be made at that point, it raises :class:`TransactionInProgress`.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._renew()
        _guard_at_fork(weakref.ref(self))

    def _renew(self) -> None:
        self._moment = new_reentrant_lock()
        self._reading = 0  # calls of this thread, while it has the moment
        self._is_changing = False
        self._writers = new_lock()
        self._claims: set[int | TaskOwner] = set()  # owners that hold the lock of writers, or are about to
        self._owner: int | TaskOwner | None = None
        self._is_committing = False
        self._since = 0.0
        self._pid = os.getpid()  # last

    def _renew_in_child(self) -> None:
        with alone():
            if self._pid != os.getpid():
                self._renew()

    @property
    def moment(self) -> threading.RLock:
        """Held for the moment in which entries are changed or read; never while waiting."""
        if self._pid != os.getpid():
            self._renew_in_child()
        return self._moment

    def reading(self, read: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function returns that reads entries, while no other thread changes them."""
        with self.moment:
            if self._is_changing:
                raise self._interrupting()
            self._reading += 1
            try:
                return read(*args, **kwargs)
            finally:
                self._reading -= 1

    def changing(self, change: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function returns that changes entries, while no other thread reads them."""
        with self.moment:
            if self._is_changing or self._reading:
                raise self._interrupting()
            self._is_changing = True
            try:
                return change(*args, **kwargs)
            finally:
                self._is_changing = False

    def committing(self, commit: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function returns that commits, called by the holder of the lock of writers: one commit at a time."""
        if self._is_committing:
            raise self._interrupting()
        self._is_committing = True
        try:
            return commit(*args, **kwargs)
        finally:
            self._is_committing = False

    def is_mine(self) -> bool:
        """Whether this thread or task holds the lock of writers."""
        return self._owner == current_owner() and self._pid == os.getpid()

    @contextmanager
    def hold(self, timeout: float) -> Iterator[None]:
        """Keep other writers out, without a wait if this thread holds the lock already.

        Raises :class:`ShelfLocked` after ``timeout`` seconds.
        """
        if self._pid != os.getpid():
            self._renew_in_child()
        owner, claims = current_owner(), self._claims
        if owner in claims:
            if self._is_committing or not self.is_mine():
                raise self._interrupting()
            yield
            return
        claims.add(owner)
        writers = self._writers  # after a fork in the block there are others
        try:
            self._take(writers, timeout)
            try:
                self._owner = owner
                self._since = time.time()
                yield
            finally:
                if writers is self._writers:
                    self._owner = None
                writers.release()
        finally:
            claims.discard(owner)

    def _take(self, writers: threading.Lock, timeout: float) -> None:
        end = time.monotonic() + timeout
        while not acquire(writers, longest_wait(max(0.0, end - time.monotonic()))):
            refuse_abandoned()
            if time.monotonic() >= end:
                raise self._locked(timeout)

    def _locked(self, waited: float) -> ShelfLocked:
        return ShelfLocked(
            f"shelf is locked: {self._where}\n  held by another thread of this process for "
            f"{time.time() - self._since:.1f} s; waited {waited:g} s",
            pid=self._pid,
            since=self._since,
        )

    def _interrupting(self) -> TransactionInProgress:
        return TransactionInProgress(
            f"this call interrupted this thread in the middle of a call that uses {self._where}\n"
            "  hint: in a signal handler or finalizer, only note what is to be written, and write it later"
        )


def _guard_at_fork(reference: weakref.ref[LocalLock]) -> None:
    held: list[threading.RLock] = []

    def before() -> None:
        lock = reference()
        if lock is not None:
            held.append(lock.moment)
            held[-1].acquire()

    def after() -> None:
        if held:
            held.pop().release()

    at_fork(before=before, after_in_parent=after, after_in_child=after)


class LocalBell(Doorbell):
    """Rings for the threads of this process."""

    def __init__(self) -> None:
        self._gates = Gates()
        self._numbers = itertools.count(1)
        self._sequence = 0

    def ring(self) -> None:
        self._sequence = next(self._numbers)  # if two threads ring at once, either may assign last
        self._gates.open()

    def sequence(self) -> int:
        return self._sequence

    def wait(self, sequence: int, timeout: float | None) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        while self._sequence == sequence:
            left = _LOOK_AGAIN if end is None else end - time.monotonic()
            if left <= 0:
                return
            self._gates.wait(lambda: self._sequence != sequence, left)
