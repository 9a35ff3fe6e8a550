"""Locks that need no file: ``flock`` on a directory. Old pickleshare processes know nothing of them.

On a network file system a lock on a directory holds on one machine only, and one on a file on all. So there a file
beside the root is locked.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from coshelf.engines.local_lock import LocalLock
from coshelf.errors import ShelfLocked, TransactionInProgress

__all__ = ["DirectoryLock", "LockedDirectory", "LockedFile", "flocked"]

P = ParamSpec("P")
T = TypeVar("T")

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.01

# Descriptors that hold a lock now. A forked child closes its copies: a lock ends with the process that took it.
_held: set[int] = set()
# What is locked by which thread, or about to be: an element for each time.
_holders: list[tuple[str, int]] = []
_by_directory: weakref.WeakValueDictionary[tuple[int, int], LocalLock] = weakref.WeakValueDictionary()


def _let_go() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()
    _holders.clear()
    _by_directory.clear()


os.register_at_fork(after_in_child=_let_go)


class LockedDirectory:
    """A directory as what is locked."""

    def __init__(self, path: str) -> None:
        self.path = path

    def open(self, kind: int) -> int:
        return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


class LockedFile(LockedDirectory):
    """A file as what is locked, in a directory that exists."""

    def open(self, kind: int) -> int:
        flags = os.O_NOFOLLOW | os.O_CLOEXEC
        if kind == fcntl.LOCK_SH:
            return os.open(self.path, os.O_RDONLY | flags)
        # Network file systems lock exclusively only what is open for writing.
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | flags, 0o600)
        mode = os.stat(os.path.dirname(self.path)).st_mode & 0o666
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != mode:
            os.fchmod(descriptor, mode)  # for those who may write the root
        return descriptor


@contextmanager
def flocked(target: LockedDirectory, kind: int, timeout: float, where: str, spent: float = 0.0) -> Iterator[None]:
    """Hold a lock. Raises :class:`ShelfLocked` after ``timeout`` seconds, of which some are ``spent`` already."""
    holder = (target.path, threading.get_ident())
    is_nested = holder in _holders
    descriptor = target.open(kind)
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
    pause = _FIRST_PAUSE
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if is_nested:  # in a signal handler or finalizer, which must not wait for the thread that it interrupted
                raise TransactionInProgress(
                    f"this call interrupted this thread in the middle of a call that uses {where}\n"
                    "  hint: in a signal handler or finalizer, only note what is to be written, and write it later"
                ) from None
            left = until - time.monotonic()
            if left <= 0:
                raise ShelfLocked(f"shelf is locked: {where}\n  by another process; waited {timeout:g} s") from None
            time.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return


class DirectoryLock:
    """The lock of writers: one thread of one process, through any handle."""

    def __init__(self, directory: int, where: str, target: LockedDirectory) -> None:
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
        """Keep other writers out; at once if this thread does."""
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
