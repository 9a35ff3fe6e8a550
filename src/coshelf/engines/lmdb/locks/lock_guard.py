"""Locks on an LMDB environment's lock file that stay even if other code in the process closes that file.

LMDB tells living processes from dead ones by POSIX locks on its lock file. Every process that has the environment open
holds byte 0 shared. Every process that reads holds the byte with the number of its pid. A process loses both locks when
it closes any descriptor of that file, for example in ``shutil.copytree`` of the folder. Then the next opener would make
a new table of readers and a new writer mutex, which allows two writers. And other processes would take our readers for
dead, and use the pages of our snapshots again.

A lock of an open file description (OFD lock) ends only with that description. LMDB only asks whether a byte is free, so
it sees such locks, too. So each process also holds both bytes by OFD locks, on LMDB's own descriptor.
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

__all__ = ["FLOCK", "LockGuard", "has_namesake", "is_byte_held"]

FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid

_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_OPENERS = 0
_SUPPORTED = sys.platform == "linux" and sys.maxsize > 1 << 32
_NO_SUCH_LOCKS = (errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class LockGuard:
    """Holds the bytes of one environment's lock file for this process, from after its opening until after its close.

    The environment must not be opened while they are held: even if the process is alone, LMDB would not get byte 0 for
    itself. On a system without OFD locks the guard only knows the descriptor. It costs 6 us at opening, and nothing
    later.

    Attributes:
        shows_life: whether the byte of this process is held, so that :func:`is_byte_held` tells that it lives.
    """

    def __init__(self, lock: str) -> None:
        self.path = lock
        self._descriptor: int | None = None
        self._is_own = False  # whether the descriptor is not LMDB's, because that was not found
        self.shows_life = False

    def hold(self, environment: lmdb.Environment) -> None:
        """Hold the bytes for an environment that was just opened."""
        # LMDB takes the pid's byte at its first read and never again, so that lock may be changed from here on.
        environment.begin().abort()
        try:
            self._descriptor = lock_descriptor(self.path)
            if self._descriptor is None:
                self._descriptor, self._is_own = os.open(self.path, _FLAGS), True
            if not _SUPPORTED:
                return
            self._take(fcntl.F_OFD_SETLK, _OPENERS)
            # LMDB's lock on the pid's byte is exclusive and would keep ours out. A shared lock also shows others that
            # this process lives. A POSIX lock changes from one kind to the other in one step.
            self._take(fcntl.F_SETLK, os.getpid())
            self._take(fcntl.F_OFD_SETLK, os.getpid())
            self.shows_life = True
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
        """Before the environment is closed: keep the locks for longer than LMDB keeps its descriptor."""
        if self._descriptor is None or self._is_own:
            return
        lmdb_s, self._descriptor = self._descriptor, None
        try:
            self._descriptor, self._is_own = os.dup(lmdb_s), True
        except OSError:  # no descriptor is left; the lock on the shelf's file still keeps other processes out
            _let_go(lmdb_s)

    def close(self) -> None:
        """Release the bytes after the environment was closed. Closing a descriptor earlier would drop LMDB's locks."""
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
    """Release the locks explicitly, since a forked child may have a copy of the descriptor."""
    if _SUPPORTED:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))


def is_byte_held(descriptor: int, pid: int) -> bool:
    """Whether another process with this pid holds its byte of a lock file. If that cannot be asked, the answer is yes.

    ``descriptor`` is this process's own.
    """
    if not _SUPPORTED:
        return True
    try:
        found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, pid, 1, 0))
    except OSError:
        return True
    return bool(FLOCK.unpack(found)[0] != fcntl.F_UNLCK)


def has_namesake(environment: lmdb.Environment) -> bool:
    """Whether a dead process with this one's pid has left readers in an environment that was just opened.

    LMDB takes these readers for ours and leaves them, and so do other processes for as long as this one lives. So the
    pages that they read stay in use. Closing an environment that has read once removes these readers. (If the other
    process with this pid is alive, in another pid namespace, opening raises ``lmdb.LockError``.)
    """
    pid = str(os.getpid())
    return any(line.split()[:1] == [pid] for line in environment.readers().splitlines())
