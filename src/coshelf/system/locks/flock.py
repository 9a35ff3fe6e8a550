"""Locks on whole files by ``flock``, as Linux, macOS and the BSDs have them."""

from __future__ import annotations

import errno
import fcntl
import os

from coshelf.system.locks.kinds import EXCLUSIVE, SHARED, Kind

__all__ = ["close", "release", "take", "try_to_take"]

_NUMBERS = {SHARED: fcntl.LOCK_SH, EXCLUSIVE: fcntl.LOCK_EX}


def take(descriptor: int, kind: Kind) -> None:
    """Wait for the lock. Another lock of this open file is converted, and may be let go meanwhile."""
    fcntl.flock(descriptor, _NUMBERS[kind])


def try_to_take(descriptor: int, kind: Kind) -> bool:
    """Take the lock if that needs no wait. Return whether it was taken. Raises OSError for other failures."""
    try:
        fcntl.flock(descriptor, _NUMBERS[kind] | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno != errno.EWOULDBLOCK:
            raise
        return False
    return True


def release(descriptor: int) -> None:
    """Let go of the lock, for every process that shares this open file."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def close(descriptor: int) -> None:
    """Close a descriptor. With the last one of its open file the lock ends."""
    os.close(descriptor)
