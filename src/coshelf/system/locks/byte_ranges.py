"""Locks on whole files by ``msvcrt.locking``, where there is no ``flock`` (Windows).

It locks bytes for one open file, and knows no shared locks. So 64 bytes stand for the file: a shared lock takes one of
them, and an exclusive lock takes all. They lie far beyond the end of every lock file, since
locked bytes cannot be read.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Any

from coshelf.system.locks.kinds import EXCLUSIVE, Kind

_msvcrt: Any
try:
    import msvcrt as _msvcrt
except ImportError:  # this system has flock
    _msvcrt = None

__all__ = ["close", "release", "take", "try_to_take"]

_BEGIN = 1 << 30  # the C library counts positions with 31 bits
_PLACES = 64
_PAUSE = 0.005  # seconds
_HELD = frozenset((errno.EACCES, errno.EAGAIN, errno.EDEADLK))


def take(descriptor: int, kind: Kind) -> None:
    """Wait for the lock. Another lock of this open file is let go first."""
    while not try_to_take(descriptor, kind):
        time.sleep(_PAUSE)


def try_to_take(descriptor: int, kind: Kind) -> bool:
    """Take the lock if that needs no wait. Return whether it was taken. Raises OSError for other failures.

    Another lock of this open file is let go first.
    """
    if kind == EXCLUSIVE:  # as a rule nothing is held, and to find that out takes a call for each place
        return _lock(descriptor, _BEGIN, _PLACES) or (_let_go(descriptor) and _lock(descriptor, _BEGIN, _PLACES))
    _let_go(descriptor)
    # Each process begins at another place, so that most find theirs at once.
    first = os.getpid() % _PLACES
    return any(_lock(descriptor, _BEGIN + (first + step) % _PLACES, 1) for step in range(_PLACES))


def release(descriptor: int) -> None:
    """Let go of the lock."""
    _let_go(descriptor)


def _let_go(descriptor: int) -> bool:
    """Let go of the lock. Return whether there was one."""
    first = os.getpid() % _PLACES
    return _unlock(descriptor, _BEGIN, _PLACES) or any(
        _unlock(descriptor, _BEGIN + (first + step) % _PLACES, 1) for step in range(_PLACES)
    )


def close(descriptor: int) -> None:
    """Let go of the lock, and close the descriptor. Windows by itself would end the lock some time later."""
    try:
        release(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, position: int, length: int) -> bool:
    try:
        _locking(descriptor, _msvcrt.LK_NBLCK, position, length)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        return False
    return True


def _unlock(descriptor: int, position: int, length: int) -> bool:
    try:
        _locking(descriptor, _msvcrt.LK_UNLCK, position, length)
    except OSError:  # this open file has no such lock
        return False
    return True


def _locking(descriptor: int, what: int, position: int, length: int) -> None:
    os.lseek(descriptor, position, os.SEEK_SET)
    _msvcrt.locking(descriptor, what, length)
