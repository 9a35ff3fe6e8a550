"""The exclusive lock between processes: a word of the state page that is swapped, or the flock of the lock file.

The module in C swaps the word (``native/lock.c`` says how). A process that cannot swap uses the flock. It says so in
the state page, and from then on all processes use the flock, until the shelf is closed by all of them.
"""

from __future__ import annotations

import functools
import os
import platform
import struct
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from coshelf import native
from coshelf.engines.lmdb.locks.lock_guard import is_byte_held
from coshelf.system.locks import whole_file
from coshelf.system.memory import futex

if TYPE_CHECKING:
    from coshelf._native import ProcessLock

__all__ = ["CLAIM", "EXCLUSIVE", "HOLDER", "Holder", "LockBetweenProcesses"]

EXCLUSIVE = 64
HOLDER = struct.Struct("=IId48s")  # flag, pid, since, command
_COMMAND_SIZE = 48
_WORD_AT = 192
_LOCKING_IS_A_BARRIER = platform.machine() in ("x86_64", "AMD64")
_PID = 0x7FFFFFFF  # the bits of the lock word that are the holder's pid

# Indexes of words of the page. Writing one entry looks at the flag, which needs no call.
CLAIM = EXCLUSIVE // 4
_WORD = _WORD_AT // 4
_FLOCK = 204 // 4

_AFTER_DEATH, _NOT_TAKEN, _BY_FLOCK = 1, 2, 3  # results of the module in C; 0: it was taken


class Holder(NamedTuple):
    """The holder of the exclusive lock: process, since when (seconds since 1970), command line."""

    pid: int
    since: float
    command: str


class LockBetweenProcesses:
    """One process's use of the lock.

    Args:
        page: the state page.
        descriptor: of the lock file. Every process has one of its own.
        may_swap: whether other processes can see that this one lives: its byte of the lock file is locked.

    Attributes:
        is_confirmed: whether the new holder has done its first steps. Until then, releasing the lock leaves the flag
            set, as if this process had died.
    """

    def __init__(self, page: memoryview, descriptor: int, *, may_swap: bool) -> None:
        self._page = page
        self._words = page.cast("I")
        self._descriptor = descriptor
        self._may_swap = may_swap
        self._swapping: ProcessLock | None = None
        self._made: dict[int, ProcessLock] = {}
        self.is_confirmed = False
        self._may_have_flock = False
        if self._words[_WORD] & _PID == os.getpid():
            self._forget_namesake()

    def _forget_namesake(self) -> None:
        """Clear the word that a dead process with this one's pid left. The flag stays, and tells of the death."""
        swapping = self.swapped()
        if swapping is not None:
            swapping.forget_namesake()
            return
        # After the announcement no process holds the lock by the word, so nothing can be overwritten but a word that
        # is about to be given back.
        self._announce_flock()
        self._words[_WORD] = 0

    def swapped(self) -> ProcessLock | None:
        """The lock by compare-and-swap, made for the first use; None if this process cannot use it."""
        if self._swapping is None and self._may_swap:
            made = native.process_lock(self._page, self._descriptor, _command())
            # In one step, because only the object that took the lock gives it back: another thread may make one, too.
            self._swapping = None if made is None else self._made.setdefault(0, made)
            self._may_swap = made is not None
        return self._swapping

    def _announce_flock(self) -> None:
        """Have all processes use the flock. The system call is a full barrier between this store and later reads."""
        if not self._words[_FLOCK]:
            self._words[_FLOCK] = 1
            futex.wake_all(self._page, _WORD_AT)

    # --- taking it ---------------------------------------------------------------------------------------------------

    @property
    def can_wait(self) -> bool:
        """Whether :meth:`take` waits. Otherwise the caller has to pause between attempts."""
        return self._swapping is not None and not self._words[_FLOCK]

    @property
    def is_fenced(self) -> bool:
        """Whether the flag was visible to all processors when :meth:`take` returned, and threads that lock a mutex
        see it from then on. On other machines locking a mutex is not a full barrier.
        """
        return _LOCKING_IS_A_BARRIER and not self._may_have_flock

    def take(self, patience: float) -> bool | None:
        """Take the lock, and name this process as the holder. None if it was not taken within ``patience`` seconds.

        Otherwise the result says whether a holder died with the lock.
        """
        self.is_confirmed = False
        swapping = self._swapping or self.swapped()
        if swapping is not None:
            outcome = swapping.take(patience)
            if outcome != _BY_FLOCK:
                return None if outcome == _NOT_TAKEN else outcome == _AFTER_DEATH
        return self._take_flock()

    def _take_flock(self) -> bool | None:
        self._announce_flock()
        self._may_have_flock = True
        if not whole_file.try_to_take(self._descriptor, whole_file.EXCLUSIVE):
            return None
        holder = self._words[_WORD] & _PID
        if holder and is_byte_held(self._descriptor, holder):  # it took the lock before the announcement
            whole_file.release(self._descriptor)
            return None
        after_death = self._words[CLAIM] != 0
        # Not by pack_into, which writes zeros first: the flag of a dead holder must stay whatever happens.
        self._page[EXCLUSIVE : EXCLUSIVE + HOLDER.size] = HOLDER.pack(1, os.getpid(), time.time(), _command())
        return after_death

    def release(self) -> None:
        """Clear the flag if this process set it, then release the lock. If this process does not have it, do nothing.

        Done explicitly, also before closing: a forked child may have a copy of the descriptor.
        """
        swapping = self._swapping
        if swapping is not None and swapping.give_back(self.is_confirmed):
            self.is_confirmed = False
        elif self._may_have_flock:
            if self.is_confirmed:
                self._words[CLAIM] = 0
                self.is_confirmed = False
            whole_file.release(self._descriptor)
            self._may_have_flock = False

    def abandon(self) -> None:
        """Give up the page, and leave the lock as it is."""
        self._words.release()
        if self._swapping is not None:
            self._swapping.close()


@functools.cache
def _command() -> bytes:
    """The command line of this process, cut at the end of a character so that it fits."""
    words = getattr(sys, "orig_argv", None) or sys.argv or [sys.executable or "python"]
    shown = " ".join(" ".join([os.path.basename(words[0]), *words[1:]]).split())  # on one line
    return shown.encode("utf-8", "replace")[:_COMMAND_SIZE].decode("utf-8", "ignore").encode()
