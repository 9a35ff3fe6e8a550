"""Locks on ranges of bytes of a file, by ``fcntl``.

There are two kinds. A lock of an *open file* (``F_OFD_SETLK``, Linux) ends with its last descriptor. A
lock of a *process* (``F_SETLK``, every POSIX system) ends when the process closes any descriptor of the file, also one
of other code. Python knows the first kind where the headers of the C library do.
"""

from __future__ import annotations

import errno
import struct
import sys
from typing import Any

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "REFUSED",
    "have_open_file_locks",
    "hold_shared",
    "is_held",
    "is_held_by_process",
    "release",
    "try_to_take",
    "usable_on",
    "weaken_lock_of_process",
]

_LINUX = struct.Struct("hhqqi4x")  # type, whence, start, length, pid; 64-bit Linux, asm-generic/fcntl.h
_MACOS = struct.Struct("qqihh")  # start, length, pid, type, whence; macOS, sys/fcntl.h
_SET: int | None = getattr(fcntl, "F_OFD_SETLK", None)
_GET: int | None = getattr(fcntl, "F_OFD_GETLK", None)
_HAS_FLOCK = sys.maxsize > 1 << 32 and fcntl is not None and (sys.platform == "darwin" or sys.platform == "linux")
_FROM_START = 0  # SEEK_SET
_NOT_USED = (1 << 62) - 1  # a byte that nobody locks

have_open_file_locks: bool = _HAS_FLOCK and _SET is not None and _GET is not None
"""Whether there are locks of open files. A sandbox may still refuse them: see :data:`REFUSED`."""

REFUSED = frozenset((errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM))
"""The numbers of errors that mean: there are no such locks here."""

_HELD = frozenset((errno.EACCES, errno.EAGAIN))


def _packed(kind: int, start: int, length: int) -> bytes:
    if sys.platform == "darwin":
        return _MACOS.pack(start, length, 0, kind, _FROM_START)
    return _LINUX.pack(kind, _FROM_START, start, length, 0)


def _kind_in(answer: bytes) -> int:
    return int(_MACOS.unpack(answer)[3] if sys.platform == "darwin" else _LINUX.unpack(answer)[0])


def usable_on(descriptor: int) -> bool:
    """Whether an open file can have such locks, and processes can ask for them. A sandbox may refuse either."""
    if is_held(descriptor, _NOT_USED, 1) is None:
        return False
    try:
        release(descriptor, _NOT_USED, 1)
    except OSError:
        return False
    return True


def hold_shared(descriptor: int, start: int) -> None:
    """Take a shared lock of the open file on one byte. Raises OSError, also if another one has it exclusively."""
    fcntl.fcntl(descriptor, _command(_SET), _packed(fcntl.F_RDLCK, start, 1))


def try_to_take(descriptor: int, start: int) -> bool:
    """Take an exclusive lock of the open file on one byte. False if another one has it locked. Raises OSError."""
    try:
        fcntl.fcntl(descriptor, _command(_SET), _packed(fcntl.F_WRLCK, start, 1))
    except OSError as error:
        if error.errno not in _HELD:
            raise
        return False
    return True


def release(descriptor: int, start: int, length: int) -> None:
    """Let go of the open file's locks in a range. The length 0 stands for all from ``start`` on. Raises OSError."""
    fcntl.fcntl(descriptor, _command(_SET), _packed(fcntl.F_UNLCK, start, length))


def is_held(descriptor: int, start: int, length: int) -> bool | None:
    """Whether a process, or another open file of this one, has a lock in a range; None if that cannot be told."""
    if not have_open_file_locks:
        return None
    try:
        answer = fcntl.fcntl(descriptor, _command(_GET), _packed(fcntl.F_WRLCK, start, length))
    except OSError:
        return None
    return _kind_in(answer) != fcntl.F_UNLCK


def _command(number: int | None) -> int:
    if number is None:
        raise OSError(errno.ENOSYS, "this system has no locks of open files")
    return number


def weaken_lock_of_process(descriptor: int, start: int) -> None:
    """Turn the process's own exclusive lock on a byte into a shared one, in one step. Raises OSError."""
    fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, start)


def is_held_by_process(descriptor: int, start: int) -> bool:
    """Whether another process has a lock of its own on a byte. Raises OSError.

    The descriptor is open for reading and, where the answer needs the lock itself, for writing, too.
    """
    if _HAS_FLOCK:
        answer: Any = fcntl.fcntl(descriptor, fcntl.F_GETLK, _packed(fcntl.F_WRLCK, start, 1))
        return _kind_in(answer) != fcntl.F_UNLCK
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, start)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        return True
    fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, start)
    return False
