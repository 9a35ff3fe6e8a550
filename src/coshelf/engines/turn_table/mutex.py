"""The mutex of the table for processes that do not use the module in C for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from coshelf.engines.turn_table.step_lock import KIND, StepLock
from coshelf.errors import StorageError, TransactionInProgress
from coshelf.system.memory import mutexes

__all__ = ["SharedMutex", "fits", "make_mutex", "mutex_kind"]

T = TypeVar("T")


def mutex_kind() -> tuple[int, int]:
    """The size of a mutex, and which C library makes it; :data:`KIND` where no library makes robust ones."""
    return mutexes.kind() or KIND


def make_mutex(memory: memoryview, at: int) -> None:
    """Make the mutex, in zeros of which nobody else knows."""
    if mutexes.kind() is not None:
        mutexes.make(memory, at)


class SharedMutex:
    """Does steps while the mutex is held. A signal handler or finalizer in the middle of one does not wait for itself.

    Args:
        memory: the table.
        at: the place of the mutex.
        repair: makes the table whole, if a step was not finished.
        steps: the lock that takes the place of the mutex where there are no robust ones.
    """

    def __init__(self, memory: memoryview, at: int, repair: Callable[[], object], steps: StepLock | None) -> None:
        self._mutex = mutexes.RobustMutex(memory, at) if steps is None else steps.of(memory, at)
        self._repair = repair
        self._later: deque[Callable[[], object]] = deque()
        self._inside: set[int] = set()  # threads that hold it, or are about to

    def is_mine(self) -> bool:
        """Whether this thread holds it. In another pid namespace a thread may have the same number."""
        thread = threading.get_native_id()
        return thread in self._inside and self._mutex.is_held_by(thread)

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
        try:
            if self._mutex.take():
                self._repair()
                self._mutex.mend()
        except OSError as error:
            raise StorageError(error.errno, "the lock of the table of turns cannot be used any more") from error

    def _unlock(self) -> None:
        thread = threading.get_native_id()
        if thread in self._inside:
            self._mutex.give_back_by(thread)
        self._inside.discard(thread)


def fits(size: int, library: int) -> bool:
    """Whether this process can use a mutex that another one made."""
    return (size, library) == mutex_kind()
