"""The mutex of the table where there are no robust mutexes (macOS): a lock on a file, and a word in the table.

The lock ends with a process that is killed. The word says that a step is under way. So the next process that takes the
lock sees whether the one before it has died in the middle of a step.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from coshelf.system.files.flags import ASIDE
from coshelf.system.locks import whole_file
from coshelf.system.rights.giving import give
from coshelf.system.threads.cooperation import acquire, new_reentrant_lock

__all__ = ["KIND", "StepLock"]

KIND = (0, 3)
"""What a table with this mutex says about it: it has no mutex of a C library."""

_UNDER_WAY = 1  # the word of the mutex


class StepLock:
    """The lock, for one open table.

    Args:
        path: the file.
        mode: its permission bits.
        like: the status of what the shelf lies in, whose owner the file gets.
    """

    def __init__(self, path: str, mode: int, like: os.stat_result) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | ASIDE, 0o600)
        try:
            give(self._descriptor, like, mode)
        except PermissionError:  # another user made it
            pass
        except BaseException:
            os.close(self._descriptor)
            raise
        # It knows its thread, so that one step tells whether this thread has it.
        self._threads: Any = new_reentrant_lock()
        self._words: memoryview | None = None
        self._has_file = False

    def of(self, memory: memoryview, at: int) -> StepLock:
        """Use the word of a table's mutex."""
        self._words = memory[at : at + 64].cast("I")
        return self

    def is_held_by(self, thread: int) -> bool:
        """Whether this thread holds it. ``thread`` is its number."""
        del thread
        return self._has_file and self._is_of_this_thread()

    def _is_of_this_thread(self) -> bool:
        return bool(self._threads._is_owned())  # noqa: SLF001 (one step, and what the lock itself knows)

    def take(self) -> bool:
        """Wait for it, and take it. Return whether a process died in the middle of a step."""
        assert self._words is not None
        acquire(self._threads, threading.TIMEOUT_MAX)
        whole_file.take(self._descriptor, whole_file.EXCLUSIVE)
        self._has_file = True
        died = self._words[_UNDER_WAY] != 0
        self._words[_UNDER_WAY] = 1
        return died

    def mend(self) -> None:
        """Nothing is left to be said: the step that repairs the table goes on."""

    def give_back_by(self, thread: int) -> None:
        """Let go of it if this thread holds it, also if an interrupt ended :meth:`take`. ``thread`` is its number."""
        del thread
        if not self._is_of_this_thread():
            return
        if self._has_file:
            assert self._words is not None
            self._words[_UNDER_WAY] = 0
            self._has_file = False
            whole_file.release(self._descriptor)
        self._threads.release()

    def close(self) -> None:
        """Close the file, also in a forked child."""
        os.close(self._descriptor)
