"""What engines without other processes share: one lock for their threads, and a bell.

Writers of one engine take turns on a lock that the holder may take again; a transaction keeps it for its length.
Waiting for it is bounded and can be interrupted.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from coshelf.engines.contract import Doorbell
from coshelf.errors import ShelfLocked

__all__ = ["LocalBell", "LocalLock"]


class LocalLock:
    """Two locks between threads: one that writers hold for as long as they like, and one for single moments.

    A forked child, whose entries are a copy, has locks of its own: the parent's threads are not there to release them.
    A fork waits for a moment to end, so that the copy is whole.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._renew()
        _guard_at_fork(weakref.ref(self))

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._moment = threading.Lock()
        self._writers = threading.Lock()
        self._owner: int | None = None
        self._since = 0.0

    @property
    def moment(self) -> threading.Lock:
        """Held for the moment in which entries are changed or read; never while waiting."""
        if self._pid != os.getpid():
            self._renew()
        return self._moment

    def is_mine(self) -> bool:
        """Whether this thread holds the lock of writers."""
        return self._owner == threading.get_ident() and self._pid == os.getpid()

    @contextmanager
    def hold(self, timeout: float) -> Iterator[None]:
        """Keep other writers out; at once if this thread does. Raises :class:`ShelfLocked` after ``timeout`` s."""
        if self.is_mine():
            yield
            return
        if self._pid != os.getpid():
            self._renew()
        writers = self._writers
        if not writers.acquire(timeout=timeout):
            raise ShelfLocked(
                f"shelf is locked: {self._where}\n  held by another thread of this process for "
                f"{time.time() - self._since:.1f} s; waited {timeout:g} s",
                pid=self._pid,
                since=self._since,
            )
        try:
            self._owner = threading.get_ident()
            self._since = time.time()
            yield
        finally:
            if writers is self._writers:
                self._owner = None
            writers.release()


def _guard_at_fork(reference: weakref.ref[LocalLock]) -> None:
    held: list[threading.Lock] = []

    def before() -> None:
        lock = reference()
        if lock is not None:
            held.append(lock.moment)
            held[-1].acquire()

    def after() -> None:
        if held:
            held.pop().release()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)


class LocalBell(Doorbell):
    """Rings for the threads of this process."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._fresh = threading.Condition()
        self._tone = 0

    @property
    def _condition(self) -> threading.Condition:
        if self._pid != os.getpid():  # the parent's threads are not there to let go of theirs
            self._pid = os.getpid()
            self._fresh = threading.Condition()
        return self._fresh

    def ring(self) -> None:
        with self._condition:
            self._tone += 1
            self._condition.notify_all()

    def tone(self) -> int:
        return self._tone

    def wait(self, tone: int, timeout: float | None) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._tone != tone, timeout)
