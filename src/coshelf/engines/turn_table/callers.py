"""Calls functions when places are called: one thread for all places of an open shelf. It is there for event loops."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from coshelf.system.memory import futex
from coshelf.system.threads.cooperation import ServiceThread, new_reentrant_lock

__all__ = ["Callers"]

_LINGER = 5.0  # seconds
_SLICE = 0.25  # seconds of one sleep while places wait, after which deaths that nobody watches are seen
_PATIENCE_AT_FORK = 1.0
_NAME = "coshelf-turns-called"
_WORD = 0xFFFFFFFF


class _Place(Protocol):
    @property
    def key(self) -> tuple[int, int]: ...

    def tell(self) -> bool: ...


class _Lines(Protocol):
    def waits(self, index: int, number: int, /) -> bool: ...

    def check(self) -> None: ...


class Callers:
    """The functions to call.

    Args:
        memory: the table.
        offset: of the word at which the thread sleeps: it changes whenever one of the places is called.
        lines: the lines.
    """

    def __init__(self, memory: memoryview, offset: int, lines: _Lines) -> None:
        self._memory = memory
        self._words = memory.cast("I")
        self._offset = offset
        self._lines = lines
        self._lock = new_reentrant_lock()
        self._calls: dict[tuple[int, int], list[Callable[[], object]]] = {}
        self._thread: ServiceThread | None = None
        self._is_paused = False

    def add(self, place: _Place, call: Callable[[], object]) -> None:
        """Call a function once when a place does not wait any more. If that is so already, call it at once."""
        key = place.key
        with self._lock:
            self._calls.setdefault(key, []).append(call)
        if not place.tell():
            self._announce(key)
            return
        with self._lock:
            self._start()

    def _start(self) -> None:
        if self._thread is None and self._calls and not self._is_paused:
            self._thread = ServiceThread(_NAME, self._run)
            try:
                self._thread.start()
            except BaseException:
                self._thread = None
                raise

    def _announce(self, key: tuple[int, int]) -> None:
        with self._lock:
            calls = self._calls.pop(key, [])
        for call in calls:
            call()

    def announce_all(self) -> None:
        """Call the functions of all places that do not wait any more."""
        for key in list(self._calls):
            if not self._lines.waits(*key):
                self._announce(key)

    def _run(self) -> None:
        idle_since = time.monotonic()
        while True:
            word = self._words[self._offset // 4]
            if self._calls:
                self._lines.check()
                idle_since = time.monotonic()
            self.announce_all()
            with self._lock:
                if self._is_paused or (not self._calls and time.monotonic() - idle_since >= _LINGER):
                    self._thread = None
                    return
            futex.sleep_while(self._memory, self._offset, word, _SLICE if self._calls else _LINGER)

    def wake(self) -> None:
        """Have the thread look again."""
        if self._thread is not None:
            self._words[self._offset // 4] = self._words[self._offset // 4] + 1 & _WORD
            futex.wake_all(self._memory, self._offset)

    def close(self) -> None:
        """When all places are over: call the functions that are left, and end the thread without waiting for it."""
        with self._lock:
            self._is_paused = True
        self.announce_all()
        self.wake()

    # --- forks -------------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Before a fork: end the thread, which a child would not have."""
        with self._lock:
            self._is_paused = True
            thread = self._thread
        self.wake()
        if thread is not None:
            thread.join(_PATIENCE_AT_FORK)

    def resume(self) -> None:
        """After a fork, in the parent."""
        with self._lock:
            self._is_paused = False
            self._start()

    def abandon(self) -> None:
        """After a fork, in the child: no thread is there."""
        self._lock = new_reentrant_lock()
        self._thread = None
        self._calls = {}
