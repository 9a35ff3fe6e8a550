"""The lock between processes alone, on a page and a lock file of a test, for programs that need many rounds of it."""

from __future__ import annotations

import mmap
import os
import time

from coshelf.engines.lmdb.locks.process_lock import LockBetweenProcesses
from coshelf.system.locks import ranges

__all__ = ["NEXT", "USES_FLOCK", "WORD", "hold", "new_page", "numbers", "opened"]

SLEEPERS = 1 << 31  # a bit of the word, which may stay when it is free
WORD, NEXT, USES_FLOCK = 192 // 4, 200 // 4, 204 // 4  # docs/format.md, "The state page"


def new_page() -> memoryview:
    """A page that all children share."""
    return memoryview(mmap.mmap(-1, mmap.PAGESIZE))


def numbers() -> memoryview:
    """Numbers that all children share. An assignment is one step, which no kill cuts in two."""
    return new_page().cast("q")


def opened(page: memoryview, file: str) -> LockBetweenProcesses:
    """The lock, for this process, which shows by its byte of the file that it lives."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    ranges.hold_shared(descriptor, os.getpid())
    return LockBetweenProcesses(page, descriptor, may_swap=True)


def hold(lock: LockBetweenProcesses) -> bool:
    """Take the lock. Return whether a holder died with it."""
    while (after_death := lock.take(0.05)) is None:
        if not lock.can_wait:
            time.sleep(0.0002)
    lock.is_confirmed = True
    return after_death
