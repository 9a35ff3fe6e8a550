"""A thread that does something once a period, as long as it is needed. It ends during forks."""

from __future__ import annotations

import os
import weakref
from functools import partial

from coshelf.system.processes.forks import at_fork
from coshelf.system.threads.alone import alone
from coshelf.system.threads.cooperation import ServiceThread, Wakeup, new_reentrant_lock

__all__ = ["Periodic"]

_PATIENCE = 1.0  # seconds that a fork waits for the end of the thread


class Periodic:
    """What a subclass does once a period. The thread keeps no reference to it while it waits.

    Args:
        name: that of the thread, for debugging.
        period: seconds.
    """

    def __init__(self, name: str, period: float) -> None:
        self._name = name
        self._period = period
        self._is_guarded = False
        self._begin()

    def _begin(self) -> None:
        """Begin anew, also in a forked child, which has none of its parent's threads."""
        self._lock = new_reentrant_lock()  # held for moments; a finalizer may add something
        self._threads: list[tuple[ServiceThread, Wakeup]] = []
        self._is_paused = self._nudged = False
        self._pid = os.getpid()  # last

    def _is_needed(self) -> bool:
        raise NotImplementedError

    def _step(self) -> None:
        raise NotImplementedError

    def _begin_in_child(self) -> None:
        """Begin anew if this is a forked child. Called before something is added."""
        if self._pid != os.getpid():
            with alone():
                if self._pid != os.getpid():
                    self._begin()

    def _run_while_needed(self) -> None:
        """Have the thread run. Called after something was added."""
        with self._lock:
            if not self._is_guarded:
                self._is_guarded = True
                _guard_at_fork(weakref.ref(self))
            self._start()

    def _start(self) -> None:
        """Start the thread, if there is none. The caller holds the lock."""
        if self._threads or self._is_paused:
            return
        wakeup = Wakeup()
        thread = ServiceThread(self._name, partial(_run, weakref.ref(self), wakeup, self._period))
        self._threads.append((thread, wakeup))
        try:
            thread.start()
        except RuntimeError:  # at the interpreter's end: what is not renewed is kept for long enough
            self._threads.remove((thread, wakeup))

    def goes_on(self) -> bool:
        """Do the step if it is needed. Return whether it is. The thread calls this."""
        with self._lock:  # what is added before this is seen, and what is added after it starts another thread
            if not self._is_needed():
                self._threads.clear()
                return False
        self._step()
        return True

    def nudge(self) -> None:
        """Do the step now. It may be called by a finalizer."""
        self._nudged = True
        for _, wakeup in self._threads.copy():
            wakeup.ring()

    def is_nudged(self) -> bool:
        """Whether the thread was woken for a step, and not to end. The thread calls this."""
        is_nudged, self._nudged = self._nudged and not self._is_paused, False
        return is_nudged

    def pause(self) -> None:
        """Before a fork: end the thread."""
        with self._lock:
            self._is_paused = True
            threads, self._threads = self._threads, []
        for thread, wakeup in threads:
            wakeup.ring()
            thread.join(_PATIENCE)

    def resume(self) -> None:
        """After a fork, in the parent: start the thread again if it is needed."""
        with self._lock:
            self._is_paused = False
            if self._is_needed():
                self._start()


def _run(reference: weakref.ref[Periodic], wakeup: Wakeup, period: float) -> None:
    while True:
        is_woken = wakeup.wait(period)
        periodic = reference()
        if periodic is None or (is_woken and not periodic.is_nudged()) or not periodic.goes_on():
            return
        del periodic


def _guard_at_fork(reference: weakref.ref[Periodic]) -> None:
    """Have no thread at a fork: from Python 3.12 on, that is a warning."""

    def before() -> None:
        periodic = reference()
        if periodic is not None:
            periodic.pause()

    def after() -> None:
        periodic = reference()
        if periodic is not None:
            periodic.resume()

    at_fork(before=before, after_in_parent=after)
