"""Notices the ends of other processes, whatever ended them.

The kernel tells of an end through a descriptor of the process (pidfd), some 0.2 ms after it, and waiting for that costs
no processor time. Where there are no such descriptors, the process is looked for every 5 ms.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from coshelf.system.processes.forks import at_fork
from coshelf.system.processes.identity import Process
from coshelf.system.threads.cooperation import ServiceThread, new_reentrant_lock
from coshelf.system.threads.living import Living
from coshelf.system.waiting.pipes import pipe
from coshelf.system.waiting.polling import readable

__all__ = ["Deaths", "Watch"]

_LINGER = 5.0  # seconds for which the thread waits for more work, and after which it asks what is still needed
_POLL = 0.005  # seconds between two looks at a process that the kernel does not tell about
_PATIENCE_AT_FORK = 1.0


class Watch:
    """One process that is watched. :meth:`cancel` ends it."""

    __slots__ = ("_calls", "_ended", "_lives", "descriptor", "is_needed", "is_over", "process")

    def __init__(
        self,
        process: Process,
        ended: Callable[[], object],
        is_needed: Callable[[], bool],
        lives: Callable[[], bool | None],
    ) -> None:
        self.process = process
        self.is_needed = is_needed
        self.descriptor: int | None = None
        self.is_over = False
        self._calls = [None]  # empty from the call on
        self._ended = ended
        self._lives = lives

    def cancel(self) -> None:
        """Do not call the function any more, unless that is under way. May be called again."""
        self.is_over = True

    def has_ended(self) -> bool:
        """Whether the process has ended. It counts as alive while that cannot be told."""
        return self._lives() is False

    def open(self) -> None:
        """Have the kernel tell of the end, if it can."""
        # It has ended, or cannot be a process, or this system has no such descriptors.
        with contextlib.suppress(OSError, OverflowError, AttributeError):
            self.descriptor = os.pidfd_open(self.process.pid)

    def close(self) -> None:
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def finish(self) -> None:
        """Call the function, if it was not called before. If it raises, whoever notices the end next calls it again."""
        if self.is_over:
            return
        try:
            self._calls.pop()  # one step: another thread may notice the end at the same time
        except IndexError:
            return
        self.is_over = True
        try:
            self._ended()
        except BaseException:
            self.is_over = False
            self._calls.append(None)
            raise


class Deaths:
    """Calls functions when processes end, from one thread. The thread exists only while there is something to watch.

    Args:
        name: of the thread, for debugging.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = new_reentrant_lock()
        self._watches: list[Watch] = []
        self._thread: ServiceThread | None = None
        self._bell: tuple[int, int] | None = None  # the ends of a pipe; the thread waits at the first
        self._is_paused = False
        self._is_closed = False
        _all.add(self)

    def watch(
        self,
        process: Process,
        ended: Callable[[], object],
        *,
        is_needed: Callable[[], bool] = lambda: True,
        lives: Callable[[], bool | None] | None = None,
    ) -> Watch:
        """Call a function once when a process has ended, from the thread. If it has ended already, call it at once.

        Args:
            process: the process. It may have any parent and user.
            ended: the function. It should be quick: it delays the next one.
            is_needed: asked now and then, with a lock held. If it says no, the watch is cancelled.
            lives: tells whether the process lives, where the number of a process says nothing: in another pid
                namespace. None: it cannot tell.
        """
        watch = Watch(process, ended, is_needed, lives or process.is_alive)
        if lives is None:
            watch.open()
        if watch.has_ended():  # after opening: from here on the descriptor is this very process's
            watch.close()
            watch.finish()
            return watch
        with self._lock:
            self._watches.append(watch)
            self._start()
            self._wake()
        return watch

    def look(self) -> None:
        """Look at once at all processes that are watched. For a caller that waits where no thread can be started."""
        for watch in self._watches.copy():
            if not watch.is_over and watch.has_ended():
                watch.finish()

    @property
    def is_running(self) -> bool:
        """Whether the thread exists."""
        return self._thread is not None

    @property
    def needs_look(self) -> bool:
        """Whether :meth:`look` has to be called now and then: something is watched, and there is no thread."""
        return self._thread is None and bool(self._watches)

    def close(self) -> None:
        """Cancel all watches, and end the thread without waiting for it."""
        with self._lock:
            self._is_closed = True
            for watch in self._watches:
                watch.cancel()
            if self._thread is None:
                self._drop()
            self._wake()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Start the thread, if it does not run and there is work for it. The caller holds the lock."""
        if self._thread is not None or self._is_paused or not self._watches:
            return
        try:
            self._bell = pipe()
        except OSError:  # no descriptor is left; callers look for themselves
            return
        thread = ServiceThread(self._name, self._run)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:  # no more threads can be started
            self._end()
        except BaseException:  # an interrupt (Ctrl-C). If the thread was started, it sees that it is not this one
            self._end()
            raise

    def _wake(self) -> None:
        if self._bell is not None:
            with contextlib.suppress(BlockingIOError):  # it is full: the thread is about to wake
                os.write(self._bell[1], b"\0")

    def _close_bell(self) -> None:
        bell, self._bell = self._bell, None
        for descriptor in bell or ():
            os.close(descriptor)

    def _run(self) -> None:
        """The work of the thread. Only this thread closes descriptors while it runs, as it waits for them."""
        asked = time.monotonic()
        try:
            while True:
                with self._lock:
                    if self._thread is None or not self._thread.is_this:
                        return
                    is_idle = time.monotonic() - asked >= _LINGER
                    if is_idle:
                        asked = time.monotonic()
                        for watch in self._watches:
                            watch.is_over = watch.is_over or not watch.is_needed()
                    self._drop()
                    if self._is_paused or self._is_closed or (is_idle and not self._watches):
                        self._end()
                        return
                    watches = self._watches.copy()
                for watch in self._wait_for(watches):
                    watch.finish()
        except BaseException:  # of a function that was called; the interpreter reports it
            with self._lock:
                if self._thread is not None and self._thread.is_this:
                    self._end()
            raise

    def _end(self) -> None:
        """The last step of the thread, with the lock held. The next watch starts another one."""
        self._thread = None
        self._close_bell()

    def _drop(self) -> None:
        """Forget watches that are over."""
        for watch in self._watches:
            if watch.is_over:
                watch.close()
        self._watches = [watch for watch in self._watches if not watch.is_over]

    def _wait_for(self, watches: list[Watch]) -> list[Watch]:
        """Wait until something happens. Return the watches whose processes have ended."""
        assert self._bell is not None
        by_descriptor = {watch.descriptor: watch for watch in watches if watch.descriptor is not None}
        polled = [watch for watch in watches if watch.descriptor is None]
        told = readable((self._bell[0], *by_descriptor), _POLL if polled else _LINGER, unpatched=True)
        if self._bell[0] in told:
            os.read(self._bell[0], 4096)
        ended = [by_descriptor[descriptor] for descriptor in told if descriptor in by_descriptor]
        return ended + [watch for watch in polled if watch.has_ended()]

    # --- forks -------------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Before a fork: end the thread, which a child would not have."""
        with self._lock:
            self._is_paused = True
            thread = self._thread
            self._wake()
        if thread is not None:
            thread.join(_PATIENCE_AT_FORK)

    def resume(self) -> None:
        """After a fork, in the parent."""
        with self._lock:
            self._is_paused = False
            self._start()

    def abandon(self) -> None:
        """After a fork, in the child: it watches nothing."""
        self._lock = new_reentrant_lock()
        for watch in self._watches:
            watch.close()
        self._watches = []
        self._thread, self._is_paused = None, False
        self._close_bell()


_all: Living[Deaths] = Living()


def _before_fork() -> None:
    for deaths in list(_all):
        deaths.pause()


def _after_fork_in_parent() -> None:
    for deaths in list(_all):
        deaths.resume()


def _after_fork_in_child() -> None:
    for deaths in list(_all):
        deaths.abandon()


at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
