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
import os

import lmdb

from coshelf.engines.lmdb.files.descriptors import lock_descriptor
from coshelf.engines.lmdb.locks.semaphores import await_readers, names
from coshelf.errors import StorageError
from coshelf.system.files.flags import ASIDE
from coshelf.system.locks import ranges

__all__ = ["LockGuard", "has_namesake", "is_byte_held"]

_FLAGS = os.O_RDWR | ASIDE
_OPENERS = 0


class LockGuard:
    """Holds the bytes of one environment's lock file for this process, from after its opening until after its close.

    The environment must not be opened while they are held: even if the process is alone, LMDB would not get byte 0 for
    itself. On a system without OFD locks the guard only knows the descriptor. It costs 6 us at opening, and nothing
    later.

    Attributes:
        shows_life: whether the byte of this process is held, so that :func:`is_byte_held` tells that it lives.
        semaphores: the names of LMDB's semaphores, of readers and of writers; None if it uses mutexes.
    """

    def __init__(self, lock: str) -> None:
        self.path = lock
        self._descriptor: int | None = None
        self._is_own = False  # whether the descriptor is not LMDB's, because that was not found
        self.shows_life = False
        self.semaphores: tuple[bytes, bytes] | None = None

    def hold(self, environment: lmdb.Environment) -> None:
        """Hold the bytes for an environment that was just opened."""
        try:
            self._descriptor = lock_descriptor(self.path)
            if self._descriptor is None:
                self._descriptor, self._is_own = os.open(self.path, _FLAGS), True
            self.semaphores = names(self._descriptor)
            if self.semaphores is not None:
                await_readers(self.semaphores[0], self.path)
            # LMDB takes the pid's byte at its first read and never again, so that lock may be changed from here on.
            environment.begin().abort()
            if not ranges.have_open_file_locks:
                return
            ranges.hold_shared(self._descriptor, _OPENERS)
            # LMDB's lock on the pid's byte is exclusive and would keep ours out. A shared lock also shows others that
            # this process lives. A POSIX lock changes from one kind to the other in one step.
            ranges.weaken_lock_of_process(self._descriptor, os.getpid())
            ranges.hold_shared(self._descriptor, os.getpid())
            self.shows_life = True
        except StorageError:
            raise
        except OSError as error:
            if error.errno not in ranges.REFUSED:
                raise StorageError(error.errno, f"cannot lock the lock file: {error.strerror}", self.path) from error

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
    if ranges.have_open_file_locks:
        with contextlib.suppress(OSError):
            ranges.release(descriptor, 0, 0)


def is_byte_held(descriptor: int, pid: int) -> bool:
    """Whether another process with this pid holds its byte of a lock file. If that cannot be asked, the answer is yes.

    ``descriptor`` is this process's own.
    """
    return ranges.is_held(descriptor, pid, 1) is not False


def has_namesake(environment: lmdb.Environment) -> bool:
    """Whether a dead process with this one's pid has left readers in an environment that was just opened.

    LMDB takes these readers for ours and leaves them, and so do other processes for as long as this one lives. So the
    pages that they read stay in use. Closing an environment that has read once removes these readers. (If the other
    process with this pid is alive, in another pid namespace, opening raises ``lmdb.LockError``.)
    """
    pid = str(os.getpid())
    return any(line.split()[:1] == [pid] for line in environment.readers().splitlines())
