"""Locks, waits and threads of the operating system, also if gevent has patched the standard library.

LMDB's calls block, and a greenlet cannot run while its thread blocks. So coshelf's threads must be threads of the
operating system, and so must the locks that they share. The *waiting* caller may be a greenlet, and must let other
greenlets run. So if gevent has patched ``time.sleep``, a wait tries again after short sleeps.
"""

from __future__ import annotations

import _thread
import contextlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from coshelf.system.threads import existing
from coshelf.system.waiting.backoff import Backoff

__all__ = [
    "Gates",
    "ServiceThread",
    "Wakeup",
    "acquire",
    "can_start_threads",
    "is_cooperative",
    "new_lock",
    "new_reentrant_lock",
    "original",
    "start_unwaited",
    "this_thread",
]

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.005
_LONGEST_WAIT = 1.0  # at a gate: a signal handler may run between a change and the opening


def _original(name: str) -> Any:
    """The unpatched attribute of the module ``_thread``. It works even while the interpreter ends."""
    monkey = sys.modules.get("gevent.monkey") if sys.modules else None
    return getattr(_thread, name) if monkey is None else monkey.get_original("_thread", name)


def original(module: str, name: str) -> Any:
    """The unpatched attribute of a module of the standard library, for a service thread."""
    monkey = sys.modules.get("gevent.monkey") if sys.modules else None
    if monkey is None:
        return getattr(sys.modules[module], name)
    return monkey.get_original(module, name)


def is_cooperative(module: str = "time") -> bool:
    """Whether gevent has patched this module of the standard library."""
    monkey = sys.modules.get("gevent.monkey") if sys.modules else None
    return monkey is not None and bool(monkey.is_module_patched(module))


def new_lock() -> threading.Lock:
    """A lock between threads of the operating system."""
    lock: threading.Lock = _original("allocate_lock")()
    return lock


def new_reentrant_lock() -> threading.RLock:
    """As :func:`new_lock`. A signal handler or finalizer in the thread that holds it may take it again."""
    lock: threading.RLock = _original("RLock")()
    return lock


this_thread: Callable[[], int] = _original("get_ident")
"""The number of this thread of the operating system. All greenlets of a thread have the same one."""


def acquire(lock: threading.Lock, timeout: float) -> bool:
    """Take a lock, and wait for it up to ``timeout`` seconds. Return whether it was taken."""
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
    """Threads that wait for a change, each at its own lock.

    Opening needs no lock, unlike ``notify`` of a condition. So a signal handler may open, even if it interrupts an
    opening.

    Attributes:
        waiting: the lock of each thread that waits.
    """

    def __init__(self) -> None:
        self.waiting: list[threading.Lock] = []

    def wait(self, is_over: Callable[[], bool], timeout: float) -> None:
        """Wait until the gates are opened, or for ``timeout`` seconds or less. Return at once if it is over."""
        gate = new_lock()
        gate.acquire()
        self.waiting.append(gate)
        try:
            if not is_over():  # after the line above: open() is called after the change
                acquire(gate, min(timeout, _LONGEST_WAIT))
        finally:
            with contextlib.suppress(ValueError):
                self.waiting.remove(gate)

    def open(self) -> None:
        """Wake all waiting threads, so that they check again."""
        for gate in self.waiting.copy():
            with contextlib.suppress(RuntimeError):  # another thread has opened it
                gate.release()


class Wakeup:
    """One thread sleeps on it. A signal handler may ring it while it interrupts a ring, unlike an event."""

    def __init__(self) -> None:
        self._bell = new_lock()
        self._bell.acquire()

    def ring(self) -> None:
        """Wake the thread, or keep it from falling asleep."""
        with contextlib.suppress(RuntimeError):  # it has been rung
            self._bell.release()

    def wait(self, timeout: float) -> bool:
        """Sleep until it is rung, for up to ``timeout`` seconds. Return whether it was rung, and forget the ring."""
        return self._bell.acquire(timeout=min(max(timeout, 0), threading.TIMEOUT_MAX))

    def clear(self) -> None:
        """Forget that it was rung."""
        self._bell.acquire(blocking=False)


def can_start_threads() -> bool:
    """Whether threads can be started. At the end of the interpreter the main thread counts as ended."""
    return threading.main_thread().is_alive()


class ServiceThread:
    """A thread of the operating system that does work for coshelf, and ends with the process.

    It is not a :class:`threading.Thread`, whose start waits until the thread runs. Before that, the collector may call
    a finalizer in it. If that writes to a shelf, it waits for a lock that the caller of the start may hold.

    Args:
        name: for debugging.
        work: what the thread does.
    """

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self.name = name
        self._work = work
        self._number: int | None = None
        self._native_number: int | None = None
        self._ended = new_lock()
        self._ended.acquire()
        self._is_started = False

    def start(self) -> None:
        """Start the thread, and do not wait for it. RuntimeError if no more threads can be started."""
        if sys.is_finalizing():  # Python 3.11 would start a thread that never runs
            raise RuntimeError("the interpreter is ending")
        _original("start_new_thread")(self._run, ())
        self._is_started = True

    def _run(self) -> None:
        self._number = this_thread()
        self._native_number = threading.get_native_id()
        try:
            self._work()
        finally:
            self._ended.release()

    @property
    def is_this(self) -> bool:
        """Whether the calling thread is this one."""
        return self._number == this_thread()

    def join(self, patience: float | None = None) -> None:
        """Wait for its end, for up to ``patience`` seconds. If it was not started, return at once."""
        if not self._is_started or self.is_this:
            return
        end = None if patience is None else time.monotonic() + patience
        if self._ended.acquire(timeout=-1 if patience is None else patience):
            self._ended.release()
            backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, 1.5)
            while self._exists() and (end is None or time.monotonic() < end):
                backoff.sleep()

    def _exists(self) -> bool:
        """Whether the operating system still lists the thread, which a fork after its end would complain about."""
        return bool(existing.exists(self._native_number))


def start_unwaited(thread: threading.Thread, refused: Callable[[], object]) -> None:
    """Start a thread that runs the user's code. The caller may hold a lock, for the reason given at ServiceThread.

    Args:
        thread: the thread.
        refused: called if no more threads can be started.
    """

    def start() -> None:
        try:
            thread.start()
        except RuntimeError:
            refused()

    if is_cooperative("threading"):
        start()
        return
    try:
        ServiceThread(f"{thread.name}-start", start).start()
    except RuntimeError:
        refused()
