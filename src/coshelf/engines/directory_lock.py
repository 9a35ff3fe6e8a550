"""The lock of writers: a lock of the operating system on a file or directory, and one between the threads."""

from __future__ import annotations

import errno
import os
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from coshelf.engines.local_lock import LocalLock
from coshelf.errors import ShelfLocked, TransactionInProgress, Unsupported
from coshelf.system.files.os_errors import translate
from coshelf.system.locks.whole_file import EXCLUSIVE, Kind, close, try_to_take
from coshelf.system.processes.forks import at_fork
from coshelf.system.threads.alone import alone
from coshelf.system.threads.participants import TaskOwner, current_owner, refuse_abandoned
from coshelf.system.waiting.backoff import Backoff

__all__ = ["DirectoryLock", "Lockable", "flocked"]

P = ParamSpec("P")
T = TypeVar("T")

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.01
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}

# Who locks what, or waits for the lock, by the descriptor: device and inode, and the owner. A forked child closes its
# copies of the descriptors: a lock ends with the process that took it.
_holders: dict[int, tuple[tuple[int, int], int | TaskOwner]] = {}
_by_directory: weakref.WeakValueDictionary[tuple[int, int], LocalLock] = weakref.WeakValueDictionary()


def _let_go() -> None:
    for descriptor in _holders:
        os.close(descriptor)
    _holders.clear()
    _by_directory.clear()


at_fork(after_in_child=_let_go)


class Lockable(ABC):
    """What can be locked."""

    @abstractmethod
    def open(self, kind: Kind) -> int:
        """A descriptor for a lock of this kind. The caller closes it."""


@contextmanager
def flocked(target: Lockable, kind: Kind, timeout: float, where: str, spent: float = 0.0) -> Iterator[None]:
    """Hold a lock. Raises :class:`ShelfLocked` after ``timeout`` seconds, less those that are ``spent`` already.

    Raises :class:`Unsupported` on a file system without such locks.
    """
    descriptor = target.open(kind)
    found = os.fstat(descriptor)
    holder = ((found.st_dev, found.st_ino), current_owner())
    is_nested = holder in list(_holders.values())
    _holders[descriptor] = holder
    pid = os.getpid()
    try:
        _take(descriptor, kind, timeout, where, time.monotonic() + timeout - spent, is_nested=is_nested)
        yield
    finally:
        if os.getpid() == pid:
            _holders.pop(descriptor, None)
            close(descriptor)


def _take(descriptor: int, kind: Kind, timeout: float, where: str, until: float, *, is_nested: bool) -> None:
    backoff: Backoff | None = None
    while not _taken(descriptor, kind, where):
        if is_nested:  # in a signal handler or finalizer, which must not wait for the thread that it interrupted
            raise TransactionInProgress(
                f"this call interrupted this thread in the middle of a call that uses {where}\n"
                "  hint: in a signal handler or finalizer, only note what is to be written, and write it later"
            )
        refuse_abandoned()
        left = until - time.monotonic()
        if left <= 0:
            raise ShelfLocked(f"shelf is locked: {where}\n  by another process; waited {timeout:g} s")
        backoff = backoff or Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        backoff.sleep(left)


def _taken(descriptor: int, kind: Kind, where: str) -> bool:
    try:
        return try_to_take(descriptor, kind)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise Unsupported(
                f"{where} cannot be locked ({error.strerror}), so its processes cannot keep each other out\n"
                "  hint: keep the shelf on a local disk, or on a server (postgresql:, redis:)"
            ) from error
        raise translate(error, "lock", "the shelf", where) from error


class DirectoryLock:
    """The lock of writers. One thread of one process holds it, and may use it through any handle."""

    def __init__(self, directory: int, where: str, target: Lockable) -> None:
        self._where = where
        self._target = target
        status = os.fstat(directory)
        identity = (status.st_dev, status.st_ino)
        with alone():  # so that two threads that open the same shelf get the same lock
            self._threads = _by_directory.get(identity) or LocalLock(where)
            _by_directory[identity] = self._threads

    def is_mine(self) -> bool:
        return self._threads.is_mine()

    def committing(self, commit: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As :meth:`LocalLock.committing`."""
        return self._threads.committing(commit, *args, **kwargs)

    @contextmanager
    def hold(self, timeout: float) -> Iterator[None]:
        """Keep other writers out. If this thread holds the lock already, there is no wait."""
        if self.is_mine():
            with self._threads.hold(timeout):
                yield
            return
        begun = time.monotonic()
        with (
            self._threads.hold(timeout),
            flocked(self._target, EXCLUSIVE, timeout, self._where, time.monotonic() - begun),
        ):
            yield
