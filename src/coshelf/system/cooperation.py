"""Locks, waits and threads that stay what they are when gevent patches the standard library, before or after.

A lock of ours may be shared with a thread of ours, which must be one of the operating system: LMDB's calls block, and a
greenlet that waits for such a call never runs. So locks and threads are the original ones. Who *waits* may be a
greenlet, though, and must let the others run: where gevent has patched ``time.sleep``, waiting is looking again.
"""

from __future__ import annotations

import _thread
import contextlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from coshelf.system.backoff import Backoff

__all__ = [
    "Gates",
    "ServiceThread",
    "Wakeup",
    "acquire",
    "can_start_threads",
    "is_cooperative",
    "new_lock",
    "new_reentrant_lock",
    "this_thread",
]

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.005
_LONGEST_WAIT = 1.0  # at a gate; it is opened at once, but an interrupt may come between a change and the opening


def _original(name: str) -> Any:
    """What the module ``_thread`` itself has under this name. To be found even while the interpreter ends."""
    monkey = sys.modules.get("gevent.monkey") if sys.modules else None
    return getattr(_thread, name) if monkey is None else monkey.get_original("_thread", name)


def is_cooperative(module: str = "time") -> bool:
    """Whether greenlets have taken the place of what this module of the standard library offers."""
    monkey = sys.modules.get("gevent.monkey") if sys.modules else None
    return monkey is not None and bool(monkey.is_module_patched(module))


def new_lock() -> threading.Lock:
    """A lock between threads of the operating system."""
    lock: threading.Lock = _original("allocate_lock")()
    return lock


def new_reentrant_lock() -> threading.RLock:
    """As :func:`new_lock`; a signal handler or finalizer that comes in between may take it once more."""
    lock: threading.RLock = _original("RLock")()
    return lock


this_thread: Callable[[], int] = _original("get_ident")
"""The number of this thread of the operating system, whatever greenlet runs in it."""


def acquire(lock: threading.Lock, timeout: float) -> bool:
    """Take a lock, waiting for up to ``timeout`` seconds; whether that worked."""
    if not is_cooperative():
        return lock.acquire(timeout=min(timeout, threading.TIMEOUT_MAX))
    end = time.monotonic() + timeout
    backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, 1.5)
    while not lock.acquire(blocking=False):
        left = end - time.monotonic()
        if left <= 0:
            return False
        backoff.sleep(left)
    return True


class Gates:
    """Those who wait for a change, each at a lock of its own.

    Unlike a condition it needs no lock to be opened: who opens may be a signal handler that interrupted who opens.
    """

    def __init__(self) -> None:
        self._waiting: list[threading.Lock] = []

    def wait(self, is_over: Callable[[], bool], timeout: float) -> None:
        """Wait until the gates are opened, for up to ``timeout`` seconds or less; not if it is over."""
        gate = new_lock()
        gate.acquire()
        self._waiting.append(gate)
        try:
            if not is_over():  # looked at after the line above, as who opens does the reverse
                acquire(gate, min(timeout, _LONGEST_WAIT))
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(gate)

    def open(self) -> None:
        """Let all who wait look."""
        for gate in self._waiting.copy():
            with contextlib.suppress(RuntimeError):  # somebody else has opened it
                gate.release()


class Wakeup:
    """What one thread sleeps on. Unlike an event it may be rung by a signal handler that interrupts who rings it."""

    def __init__(self) -> None:
        self._bell = new_lock()
        self._bell.acquire()

    def ring(self) -> None:
        """Wake the thread, or let it not fall asleep."""
        with contextlib.suppress(RuntimeError):  # it has been rung
            self._bell.release()

    def wait(self, timeout: float) -> bool:
        """Sleep until it is rung, which is then forgotten, for up to ``timeout`` seconds; whether it was rung."""
        return self._bell.acquire(timeout=min(max(timeout, 0), threading.TIMEOUT_MAX))

    def clear(self) -> None:
        """Forget that it was rung."""
        self._bell.acquire(blocking=False)


def can_start_threads() -> bool:
    """Whether the interpreter goes on. At its end the main thread counts as ended, and none can be started."""
    return threading.main_thread().is_alive()


class ServiceThread:
    """A thread of ours: one of the operating system, which ends with the process."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self._name = name
        self._work = work
        self._number: int | None = None
        self._ended = new_lock()
        self._ended.acquire()
        self._thread: threading.Thread | None = None
        self._is_started = False

    def start(self) -> None:
        """Start it. No lock may be held by the caller. RuntimeError if there can be no more threads."""
        if sys.is_finalizing():  # Python 3.11 would wait for it for ever
            raise RuntimeError("the interpreter is ending")
        if is_cooperative("threading"):
            _original("start_new_thread")(self._run, ())
        else:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._is_started = True

    def _run(self) -> None:
        self._number = this_thread()
        try:
            self._work()
        finally:
            self._ended.release()

    @property
    def is_this(self) -> bool:
        """Whether it is the one that asks."""
        return self._number == this_thread()

    def join(self, patience: float | None = None) -> None:
        """Wait for its end, for up to so many seconds. A thread that has not begun is not waited for."""
        if not self._is_started or self.is_this:
            return
        if self._ended.acquire(timeout=-1 if patience is None else patience):
            self._ended.release()
            if self._thread is not None:
                self._thread.join(patience)
