"""Robust mutexes of the C library in shared memory: if a process dies with one, the next one that takes it is told.

Linux has them, with glibc and with musl, and FreeBSD has. macOS has no robust mutexes, and its C library's mutexes
between processes stay locked for ever after such a death.
"""

from __future__ import annotations

import errno
import functools
import os
import time
from typing import Any

from coshelf.errors import StorageError
from coshelf.system.memory.c_library import c_library, mutex_layout

__all__ = ["HOLDER", "RobustMutex", "kind", "make"]

_LARGEST = 64
_TRIED = 16  # bytes before the mutex that is made to see whether that is possible
_LONGEST_WAIT = 0.05  # seconds; signals are noticed between two waits

HOLDER = 0x3FFFFFFF
"""The bits of a mutex's word that are the number of the thread that holds it."""


@functools.cache
def _library() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def _moment() -> Any:
    import ctypes

    class Moment(ctypes.Structure):
        _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))

    return Moment


@functools.cache
def kind() -> tuple[int, int] | None:
    """The size of a robust mutex, and a number for the C library that makes it; None if there is none here."""
    layout = mutex_layout()
    try:
        if layout is None or not hasattr(_library(), "pthread_mutex_consistent"):
            return None
        make(memoryview(bytearray(_TRIED + _LARGEST)), _TRIED)
    except (ImportError, OSError, AttributeError, TypeError):  # no ctypes, or a call that is missing or refused
        return None
    return layout.size, c_library()


def make(memory: memoryview, at: int) -> None:
    """Make a robust mutex for several processes, in zeros of which nobody else knows. Raises :class:`StorageError`."""
    import ctypes

    library = _library()
    attributes = ctypes.create_string_buffer(_LARGEST)
    mutex = ctypes.c_char.from_buffer(memory, at)
    refused = (
        library.pthread_mutexattr_init(attributes)
        or library.pthread_mutexattr_setpshared(attributes, 1)
        or library.pthread_mutexattr_setrobust(attributes, 1)
        or library.pthread_mutex_init(ctypes.byref(mutex), attributes)
    )
    if refused:
        raise StorageError(refused, f"cannot make a lock in shared memory: {os.strerror(refused)}")


class RobustMutex:
    """A mutex that some process made.

    Args:
        memory: what it lies in. As long as this object exists, the memory cannot be released.
        at: its place.
    """

    def __init__(self, memory: memoryview, at: int) -> None:
        import ctypes

        library = _library()
        self._mutex: Any = ctypes.byref(ctypes.c_char.from_buffer(memory, at))
        self._byref = ctypes.byref
        self._lock = library.pthread_mutex_timedlock
        self._unlock = library.pthread_mutex_unlock
        self._mend = library.pthread_mutex_consistent
        self._words = memory[at : at + _LARGEST].cast("I")
        layout = mutex_layout()
        self._holder_at = 0 if layout is None else layout.word_at // 4

    def is_held_by(self, thread: int) -> bool:
        """Whether the thread with a number of the kernel holds it. In another pid namespace it is another thread."""
        return self._words[self._holder_at] & HOLDER == thread

    def take(self) -> bool:
        """Wait for it, and take it. Returns whether a process died with it: then :meth:`mend` it before giving it back.

        Signal handlers run meanwhile. Raises OSError if it cannot be used any more.
        """
        while (result := self._lock(self._mutex, self._byref(_soon()))) == errno.ETIMEDOUT:
            pass
        if result == errno.EOWNERDEAD:
            return True
        if result:
            raise OSError(result, os.strerror(result))
        return False

    def mend(self) -> None:
        """Say that what it guards is whole again. Raises OSError."""
        result = self._mend(self._mutex)
        if result:
            raise OSError(result, os.strerror(result))

    def give_back(self) -> None:
        """Let go of it. Only for the thread that took it."""
        self._unlock(self._mutex)

    def give_back_by(self, thread: int) -> None:
        """Let go of it if this thread holds it. ``thread`` is its number."""
        if self.is_held_by(thread):
            self._unlock(self._mutex)


def _soon() -> Any:
    end = time.time() + _LONGEST_WAIT
    return _moment()(int(end), int(end % 1 * 1e9))
