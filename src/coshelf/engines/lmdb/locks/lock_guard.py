"""Locks that hold an LMDB environment's lock file even when somebody in the process closes that file.

LMDB tells the living from the dead by POSIX locks on its lock file: byte 0, held shared by every process that has the
environment open, and the byte numbered by its pid, held by every process that reads. Any close of any descriptor of
that file in the process drops both: ``shutil.copytree`` over the folder does. The next process to open would then make
the table of readers and the writers' mutex anew (two writers), and any process would take our readers for dead and
use the pages of our snapshots again.

Locks of an open file description (OFD locks) go only with that description, and LMDB, which only asks whether a byte
is free, sees them. So each process also holds both bytes by such locks, on LMDB's own descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import sys

import lmdb

from coshelf.engines.lmdb.files.descriptors import lock_descriptor
from coshelf.errors import StorageError

__all__ = ["FLOCK", "LockGuard", "has_namesake"]

FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid

_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_OPENERS = 0
_SUPPORTED = sys.platform == "linux" and sys.maxsize > 1 << 32
_NO_SUCH_LOCKS = (errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class LockGuard:
    """Holds the bytes of one environment's lock file for this process, from after its opening until after its close.

    The environment must not be opened while they are held: LMDB would not get byte 0 for itself even when it is alone.
    Where there are no such locks the guard only knows the descriptor. It costs 6 us at opening, and nothing later.
    """

    def __init__(self, lock: str) -> None:
        self.path = lock
        self._descriptor: int | None = None
        self._is_own = False  # not LMDB's: where that cannot be found

    def hold(self, environment: lmdb.Environment) -> None:
        """Hold the bytes for an environment that was just opened."""
        # LMDB takes the pid's byte at the first read of all and never again, so from here on it may be changed.
        environment.begin().abort()
        try:
            self._descriptor = lock_descriptor(self.path)
            if self._descriptor is None:
                self._descriptor, self._is_own = os.open(self.path, _FLAGS), True
            if not _SUPPORTED:
                return
            self._take(fcntl.F_OFD_SETLK, _OPENERS)
            # LMDB's lock on the pid's byte is exclusive and would keep ours out. A shared one tells others as well
            # that we live, and POSIX locks of one process change from one kind to the other in one step.
            self._take(fcntl.F_SETLK, os.getpid())
            self._take(fcntl.F_OFD_SETLK, os.getpid())
        except OSError as error:
            if error.errno not in _NO_SUCH_LOCKS:
                raise StorageError(error.errno, f"cannot lock the lock file: {error.strerror}", self.path) from error

    def _take(self, command: int, start: int) -> None:
        assert self._descriptor is not None
        fcntl.fcntl(self._descriptor, command, FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, start, 1, 0))

    @property
    def descriptor(self) -> int | None:
        """The descriptor of the lock file: LMDB's, or the guard's own."""
        return self._descriptor

    def keep(self) -> None:
        """Before the environment is closed: hold the bytes for longer than LMDB keeps its descriptor."""
        if self._descriptor is None or self._is_own:
            return
        lmdb_s, self._descriptor = self._descriptor, None
        try:
            self._descriptor, self._is_own = os.dup(lmdb_s), True
        except OSError:  # no descriptor left: what comes in between is kept out by the lock on the shelf's file
            _let_go(lmdb_s)

    def close(self) -> None:
        """Let the bytes go, after the environment was closed: closing a descriptor earlier would drop LMDB's locks."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None and self._is_own:
            _let_go(descriptor)
            os.close(descriptor)

    def abandon(self) -> None:
        """In a forked child: close its copy of the descriptor and nothing else; the locks stay the parent's."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _let_go(descriptor: int) -> None:
    """Explicitly, since a forked child may have a copy of the descriptor."""
    if _SUPPORTED:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))


def has_namesake(environment: lmdb.Environment) -> bool:
    """Whether a dead process with this one's pid has left readers in an environment that was just opened.

    LMDB takes them for ours and leaves them, and so do others for as long as we live, with the pages that they pin.
    Closing an environment that has read once clears them. (With a living namesake, opening is a ``lmdb.LockError``.)
    """
    pid = str(os.getpid())
    return any(line.split()[:1] == [pid] for line in environment.readers().splitlines())
