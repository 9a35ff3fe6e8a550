"""The state page: a small file that all processes with the shelf open map shared. docs/format.md has its layout.

It names the file that it belongs to, and the process that holds the exclusive lock. It also holds the words of that
lock, and the doorbell. Its numbers are in the machine's own byte order: it never leaves the machine.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from coshelf.contract import Doorbell
from coshelf.engines.lmdb.delta.state import DeltaState
from coshelf.engines.lmdb.locks.process_lock import CLAIM, EXCLUSIVE, HOLDER, Holder, LockBetweenProcesses
from coshelf.engines.lmdb.watching.watch_state import WatchState
from coshelf.system.files.positions import read_at
from coshelf.system.memory import futex
from coshelf.system.memory.c_library import c_library
from coshelf.system.memory.shared import shared
from coshelf.system.processes.namespaces import pid_namespace

__all__ = ["BELL", "CLAIM", "FULL", "TIMES", "USES", "WAITERS", "Bell", "StatePage"]

SIZE = 4096
_IDENTITY = struct.Struct("=8sQQ")
_NUMBER = struct.Struct("=Q")
_WORD = struct.Struct("=I")
_MAGIC = b"coshelf\1"
_NAMESPACE = 24
_DAMAGE = 32
_TIMES = 36
_LIBRARY = 40
_USES = 56
_FULL = 60
_BELL = 128
_DELTA = 256

# Indexes of words of the page. Writing one entry looks at these words, which needs no call.
BELL = _BELL // 4
WAITERS = BELL + 1
TIMES = _TIMES // 4
USES = _USES // 4
FULL = _FULL // 4


class StatePage:
    """One process's view of the state page. It uses the descriptor only to map the page, and closes it."""

    def __init__(self, descriptor: int) -> None:
        self._lock: LockBetweenProcesses | None = None
        try:
            self._page = shared(descriptor, SIZE, writable=True)
            information = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        self._words = self._page.cast("I")
        self.delta = DeltaState(self._page)
        self.watch = WatchState(self._page)
        self.identity = (information.st_dev, information.st_ino)
        self.information = information

    @staticmethod
    def new(device: int, inode: int) -> bytes:
        """The content of a new state page. Only for the process that has the shelf's file locked exclusively."""
        page = bytearray(_IDENTITY.pack(_MAGIC, device, inode) + _NUMBER.pack(pid_namespace()))
        page = page.ljust(SIZE, b"\0")
        _WORD.pack_into(page, _LIBRARY, c_library())
        WatchState.new(page)
        return bytes(page)

    @staticmethod
    def is_one(descriptor: int) -> bool:
        """Whether this is a state page, of this or another file."""
        return read_at(descriptor, len(_MAGIC), 0) == _MAGIC

    @staticmethod
    def names(descriptor: int, device: int, inode: int) -> bool:
        """Whether this is the state page of the file with that device and inode."""
        page = read_at(descriptor, SIZE, 0)
        return len(page) == SIZE and _IDENTITY.unpack_from(page) == (_MAGIC, device, inode)

    def is_of_this_namespace(self) -> bool:
        """Whether its maker, like all processes with the shelf open, is in the same pid namespace as this process."""
        theirs, ours = _NUMBER.unpack_from(self._page, _NAMESPACE)[0], pid_namespace()
        return theirs == ours or not theirs or not ours

    def other_library(self) -> int:
        """The number of the C library of those who have the shelf open; 0 if it is this process's, or not known."""
        theirs: int = _WORD.unpack_from(self._page, _LIBRARY)[0]
        return 0 if theirs == c_library() else theirs

    @property
    def has_damage(self) -> bool:
        """Whether the first opener found damaged records."""
        return bool(self._page[_DAMAGE])

    def note_findings(self, *, has_damage: bool, has_times: bool) -> None:
        """Note what the first opener found in the base. A left delta may have rows of the index, too."""
        self._page[_DAMAGE] = int(has_damage)
        if has_times or not self.delta.is_clean():
            self.note_times()

    def note_times(self) -> None:
        """Note, before it is committed, that the index of times may have a row. It is never noted that it has none."""
        self._words[TIMES] = 1

    @property
    def uses(self) -> int:
        """Other than 0 if there is a table of uses."""
        return self._words[USES]

    def note_uses(self, *, exist: bool) -> None:
        """Note whether there is a table of uses. From then on all processes use it."""
        self._words[USES] = int(exist)

    @property
    def is_full(self) -> bool:
        """Whether the shelf is at its limits, so that writes are refused."""
        return self._words[FULL] != 0

    def note_full(self, *, is_full: bool) -> None:
        """Note whether the shelf is at its limits, in a way that refuses writes."""
        if self.is_full != is_full:
            self._words[FULL] = int(is_full)

    @property
    def last_number(self) -> int:
        """The lower bits of the number of the last commit."""
        return self._words[BELL]

    @property
    def memory(self) -> memoryview:
        """The bytes of the page."""
        return self._page

    def abandon(self) -> None:
        """Close the map and nothing else."""
        self.delta.release()
        self._words.release()
        if self._lock is not None:
            self._lock.abandon()
        with contextlib.suppress(BufferError):  # inherited while a thread of the parent was waiting at the bell
            self._page.release()

    def forget_processes(self) -> None:
        """Clear all but the part about the delta. The caller is alone with a page that dead processes left."""
        _NUMBER.pack_into(self._page, _NAMESPACE, pid_namespace())
        _WORD.pack_into(self._page, _LIBRARY, c_library())
        self._page[EXCLUSIVE:_DELTA] = bytes(_DELTA - EXCLUSIVE)
        self.watch.forget_processes()
        if not 0 <= self.delta.last_flush <= time.monotonic():  # a time in the future, or NaN, would delay all flushes
            self.delta.last_flush = 0.0

    # --- the exclusive lock ------------------------------------------------------------------------------------------

    def lock_by(self, descriptor: int, *, shows_life: bool) -> None:
        """Use this descriptor of the lock file for the exclusive lock. Every process has one of its own.

        ``shows_life``: whether other processes can see there that this one lives.
        """
        # Without the number of the namespace it is not known whether pids name the same processes everywhere.
        is_same = shows_life and _NUMBER.unpack_from(self._page, _NAMESPACE)[0] == pid_namespace() != 0
        self._lock = LockBetweenProcesses(self._page, descriptor, may_swap=is_same)

    @property
    def lock(self) -> LockBetweenProcesses:
        """The exclusive lock between processes."""
        assert self._lock is not None
        return self._lock

    def unlock(self) -> None:
        """Release the exclusive lock if this process has it."""
        if self._lock is not None:
            self._lock.release()

    def is_claimed(self) -> bool:
        """Whether a process holds the exclusive lock, or died with it."""
        return self._words[CLAIM] != 0

    def holder(self) -> Holder | None:
        """The process that set the flag; None if it is not set."""
        flag, pid, since, command = HOLDER.unpack_from(self._page, EXCLUSIVE)
        return Holder(pid, since, command.rstrip(b"\0").decode("utf-8", "replace")) if flag else None

    # --- the bell ----------------------------------------------------------------------------------------------------

    def ring(self, sequence: int) -> None:
        """Announce a commit. Each number is rung once, so no two commits can cancel each other out."""
        self._words[BELL] = sequence & 0xFFFFFFFF
        if self._words[WAITERS]:
            futex.wake_all(self._page, _BELL)

    def wake(self) -> None:
        """Wake the threads that wait, without a commit."""
        if self._words[WAITERS]:
            futex.wake_all(self._page, _BELL)

    def sequence(self) -> int:
        """The bell's sequence number. From here on commits wake the threads that wait."""
        if not self._words[WAITERS]:
            self._words[WAITERS] = 1
        return self._words[BELL]

    def wait(self, sequence: int, timeout: float | None) -> None:
        """Sleep until the bell has another sequence number."""
        futex.sleep_while(self._page, _BELL, sequence, timeout)


class Bell(Doorbell):
    """The bell of the current state page. ``inside`` keeps the page open for a block, or raises if it is closed."""

    def __init__(self, page: Callable[[], StatePage], inside: Callable[[], AbstractContextManager[None]]) -> None:
        self._page = page
        self._inside = inside

    def sequence(self) -> int:
        with self._inside():
            return self._page().sequence()

    def wait(self, sequence: int, timeout: float | None) -> None:
        with self._inside():
            self._page().wait(sequence, timeout)
