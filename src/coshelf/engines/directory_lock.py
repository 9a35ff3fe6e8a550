"""Locks that need no file: ``flock`` on a directory. Old pickleshare processes do not take these locks.

On a network file system, a lock on a directory holds on one machine only. A lock on a file holds on all machines. So
there a file beside the root is locked.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from coshelf.engines.local_lock import LocalLock
from coshelf.errors import NotAShelf, ShelfLocked, TransactionInProgress
from coshelf.system.threads.participants import TaskOwner, current_owner, refuse_abandoned
from coshelf.system.waiting.backoff import Backoff

__all__ = ["DirectoryLock", "Lockable", "LockedDirectory", "LockedFile", "flocked"]

P = ParamSpec("P")
T = TypeVar("T")

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.01
_NO_FILE = {errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV}

# Descriptors that hold a lock now. A forked child closes its copies: a lock ends with the process that took it.
_held: set[int] = set()
# Who locks what, or waits for the lock: device and inode, and the owner. One element for each call.
_holders: list[tuple[tuple[int, int], int | TaskOwner]] = []
_by_directory: weakref.WeakValueDictionary[tuple[int, int], LocalLock] = weakref.WeakValueDictionary()


def _let_go() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()
    _holders.clear()
    _by_directory.clear()


os.register_at_fork(after_in_child=_let_go)


class Lockable(ABC):
    """What can be locked."""

    @abstractmethod
    def open(self, kind: int) -> int:
        """A descriptor for a lock of this kind, LOCK_SH or LOCK_EX. The caller closes it."""


class LockedDirectory(Lockable):
    """Locks a directory. ``opened`` gives a descriptor of it that the caller may close."""

    def __init__(self, opened: Callable[[], int]) -> None:
        self._opened = opened

    def open(self, kind: int) -> int:
        return self._opened()


class LockedFile(Lockable):
    """Locks a file in a directory."""

    def __init__(self, opened: Callable[[], int], name: str) -> None:
        self._opened = opened
        self._name = name

    def open(self, kind: int) -> int:
        directory = self._opened()
        try:
            descriptor = self._open_in(directory, kind)
        except OSError as error:
            if error.errno in _NO_FILE:
                raise self._no_file() from error
            raise
        finally:
            os.close(directory)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._no_file()
        return descriptor

    def _no_file(self) -> NotAShelf:
        return NotAShelf(f"{self._name} in the directory beside the shelf is not a regular file\n  hint: remove it")

    def _open_in(self, directory: int, kind: int) -> int:
        flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # does not wait for the writer of a FIFO
        if kind == fcntl.LOCK_SH:
            return os.open(self._name, os.O_RDONLY | flags, dir_fd=directory)
        # Network file systems lock exclusively only files that are open for writing.
        descriptor = os.open(self._name, os.O_RDWR | os.O_CREAT | flags, 0o600, dir_fd=directory)
        mode = os.fstat(directory).st_mode & 0o666
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != mode:
            os.fchmod(descriptor, mode)  # for every user that may write the root
        return descriptor


@contextmanager
def flocked(target: Lockable, kind: int, timeout: float, where: str, spent: float = 0.0) -> Iterator[None]:
    """Hold a lock. Raises :class:`ShelfLocked` after ``timeout`` seconds, less those that are ``spent`` already."""
    descriptor = target.open(kind)
    found = os.fstat(descriptor)
    holder = ((found.st_dev, found.st_ino), current_owner())
    is_nested = holder in _holders
    _held.add(descriptor)
    _holders.append(holder)
    pid = os.getpid()
    try:
        _take(descriptor, kind, timeout, where, time.monotonic() + timeout - spent, is_nested=is_nested)
        yield
    finally:
        if os.getpid() == pid:
            _holders.remove(holder)
            _held.discard(descriptor)
            os.close(descriptor)


def _take(descriptor: int, kind: int, timeout: float, where: str, until: float, *, is_nested: bool) -> None:
    backoff: Backoff | None = None
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if is_nested:  # in a signal handler or finalizer, which must not wait for the thread that it interrupted
                raise TransactionInProgress(
                    f"this call interrupted this thread in the middle of a call that uses {where}\n"
                    "  hint: in a signal handler or finalizer, only note what is to be written, and write it later"
                ) from None
            refuse_abandoned()
            left = until - time.monotonic()
            if left <= 0:
                raise ShelfLocked(f"shelf is locked: {where}\n  by another process; waited {timeout:g} s") from None
            backoff = backoff or Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
            backoff.sleep(left)
        else:
            return


class DirectoryLock:
    """The lock of writers. One thread of one process holds it, and may use it through any handle."""

    def __init__(self, directory: int, where: str, target: Lockable) -> None:
        self._where = where
        self._target = target
        status = os.fstat(directory)
        identity = (status.st_dev, status.st_ino)
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
            flocked(self._target, fcntl.LOCK_EX, timeout, self._where, time.monotonic() - begun),
        ):
            yield
