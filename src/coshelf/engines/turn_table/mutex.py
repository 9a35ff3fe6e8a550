"""The mutex of the table for processes without the module in C: the C library's own, called through ctypes."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from coshelf.errors import StorageError, TransactionInProgress, Unsupported

__all__ = ["SharedMutex", "fits", "make_mutex", "mutex_kind"]

T = TypeVar("T")

_SIZES = {"x86_64": 40, "aarch64": 48, "riscv64": 40, "s390x": 40, "ppc64le": 40}
_GLIBC, _OTHER = 1, 2
_LARGEST = 64
_OWNER = 0x3FFFFFFF  # the bits of the mutex's word that are the thread that holds it
_LONGEST_WAIT = 0.05  # seconds; signals are noticed between two waits


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


@functools.cache
def _library() -> Any:
    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def mutex_kind() -> tuple[int, int]:
    """The size of a mutex, and which C library makes it. Raises :class:`Unsupported` where that is not known."""
    size = _SIZES.get(platform.machine())
    if size is None or not hasattr(_library(), "pthread_mutex_consistent"):
        raise Unsupported(
            f"on this machine ({platform.machine()}) locks, queues and the like need coshelf's module in C\n"
            "  hint: install coshelf where there is a compiler for C"
        )
    return size, _GLIBC if hasattr(_library(), "gnu_get_libc_version") else _OTHER


def make_mutex(memory: memoryview, at: int) -> None:
    """Make a robust mutex for several processes, in zeros of which nobody else knows."""
    library = _library()
    attributes = ctypes.create_string_buffer(_LARGEST)
    mutex = ctypes.c_char.from_buffer(memory, at)
    steps = (
        library.pthread_mutexattr_init(attributes)
        or library.pthread_mutexattr_setpshared(attributes, 1)
        or library.pthread_mutexattr_setrobust(attributes, 1)
        or library.pthread_mutex_init(ctypes.byref(mutex), attributes)
    )
    if steps:
        raise StorageError(steps, f"cannot make the lock of the table of turns: {os.strerror(steps)}")


class SharedMutex:
    """Does steps while the mutex is held. A signal handler or finalizer in the middle of one does not wait for itself.

    Args:
        memory: the table.
        at: the place of the mutex.
        repair: makes the table whole, if a step was not finished.
    """

    def __init__(self, memory: memoryview, at: int, repair: Callable[[], object]) -> None:
        self._mutex = ctypes.byref(ctypes.c_char.from_buffer(memory, at))
        words = memory[at : at + _LARGEST].cast("I")
        self._words = words
        self._owner_at = 0 if mutex_kind()[1] == _GLIBC else 1
        self._repair = repair
        self._later: deque[Callable[[], object]] = deque()
        self._inside: set[int] = set()  # threads that hold it, or are about to

    def is_mine(self) -> bool:
        """Whether this thread holds it. In another pid namespace a thread may have the same number."""
        thread = threading.get_native_id()
        return thread in self._inside and self._words[self._owner_at] & _OWNER == thread

    def do(self, step: Callable[[], T]) -> T:
        """Do a step while it is held. Raises :class:`TransactionInProgress` in the middle of another one."""
        if self.is_mine():
            raise TransactionInProgress(
                "this call interrupted this thread in the middle of a call that joins or leaves a line\n"
                "  hint: in a signal handler or finalizer, only note what is to be done, and do it later"
            )
        try:
            return self._do(step)
        finally:
            self._do_later()

    def do_or_later(self, step: Callable[[], object]) -> None:
        """Do a step; in the middle of another one of this thread, after it."""
        self._later.append(step)
        if not self.is_mine():
            self._do_later()

    def _do_later(self) -> None:
        while self._later:
            try:
                step = self._later[0]
            except IndexError:  # another thread did it
                return
            self._do(step)
            try:
                self._later.remove(step)  # last: after an interrupt it is done once more, which does no harm
            except ValueError:
                return

    def _do(self, step: Callable[[], T]) -> T:
        try:
            self._inside.add(threading.get_native_id())
            self._lock()
            return step()
        except BaseException:  # an interrupt (Ctrl-C)
            if self.is_mine():
                self._repair()
            raise
        finally:
            try:
                self._unlock()
            except BaseException:
                self._unlock()
                raise

    def _lock(self) -> None:
        library = _library()
        while (result := library.pthread_mutex_timedlock(self._mutex, ctypes.byref(_soon()))) == errno.ETIMEDOUT:
            pass
        if result == errno.EOWNERDEAD:
            self._repair()
            result = library.pthread_mutex_consistent(self._mutex)
        if result:
            raise StorageError(result, "the lock of the table of turns cannot be used any more")

    def _unlock(self) -> None:
        if self.is_mine():
            _library().pthread_mutex_unlock(self._mutex)
        self._inside.discard(threading.get_native_id())


def fits(size: int, library: int) -> bool:
    """Whether this process can use a mutex that another one made."""
    return (size, library) == mutex_kind()


def _soon() -> _Time:
    end = time.time() + _LONGEST_WAIT
    return _Time(int(end), int(end % 1 * 1e9))
