"""The state page: a small file that all who have a shelf open map shared. docs/format.md has its layout.

It names the file it belongs to, says who holds the exclusive lock (the flock of the lock file), and holds the bell. Its
numbers are in the machine's own byte order: it never leaves the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from coshelf.contract import Doorbell
from coshelf.engines.lmdb.delta.state import DeltaState
from coshelf.engines.lmdb.files.shared_memory import shared
from coshelf.engines.lmdb.locks import futex

__all__ = ["BELL", "CLAIM", "WAITERS", "Bell", "Holder", "StatePage"]

SIZE = 4096
_IDENTITY = struct.Struct("=8sQQ")
_NUMBER = struct.Struct("=Q")
_MAGIC = b"coshelf\1"
_NAMESPACE = 24
_DAMAGE = 32
_EXCLUSIVE = 64
_HOLDER = struct.Struct("=IId48s")  # flag, pid, since, command
_BELL = 128
_DELTA = 256

# Words of the page, by which one entry is written without a call.
CLAIM = _EXCLUSIVE // 4
BELL = _BELL // 4
WAITERS = BELL + 1


class Holder(NamedTuple):
    """Who holds the exclusive lock: process, since when (seconds since 1970), command line."""

    pid: int
    since: float
    command: str


class StatePage:
    """One opener's view of the state page. It needs the descriptor only to map it, and closes it."""

    def __init__(self, descriptor: int) -> None:
        self._claimed = False
        self._lock: int | None = None
        try:
            self._page = shared(descriptor, SIZE, writable=True)
            information = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        self._words = self._page.cast("I")
        self.delta = DeltaState(self._page)
        self.identity = (information.st_dev, information.st_ino)
        self.information = information

    @staticmethod
    def new(device: int, inode: int) -> bytes:
        """The content of a new one. Only for the process that has the shelf's file locked exclusively."""
        page = _IDENTITY.pack(_MAGIC, device, inode) + _NUMBER.pack(pid_namespace())
        return page.ljust(SIZE, b"\0")

    @staticmethod
    def is_one(descriptor: int) -> bool:
        """Whether this is a state page, of whichever file."""
        return os.pread(descriptor, len(_MAGIC), 0) == _MAGIC

    @staticmethod
    def names(descriptor: int, device: int, inode: int) -> bool:
        """Whether this is the state page of the file with that device and inode."""
        page = os.pread(descriptor, SIZE, 0)
        return len(page) == SIZE and _IDENTITY.unpack_from(page) == (_MAGIC, device, inode)

    def is_of_this_namespace(self) -> bool:
        """Whether its maker, and so all who have the shelf open, see processes under the same numbers as this one."""
        theirs, ours = _NUMBER.unpack_from(self._page, _NAMESPACE)[0], pid_namespace()
        return theirs == ours or not theirs or not ours

    @property
    def has_damage(self) -> bool:
        """Whether the first opener found damaged records."""
        return bool(self._page[_DAMAGE])

    @has_damage.setter
    def has_damage(self, found: bool) -> None:
        self._page[_DAMAGE] = int(found)

    @property
    def memory(self) -> memoryview:
        """The bytes of the page."""
        return self._page

    def abandon(self) -> None:
        """Give up the map and nothing else."""
        self.delta.release()
        self._words.release()
        with contextlib.suppress(BufferError):  # inherited while a thread of the parent was waiting at the bell
            self._page.release()

    def forget_processes(self) -> None:
        """Clear all but the part about the delta. Only for the process that is alone with a page that others left."""
        _NUMBER.pack_into(self._page, _NAMESPACE, pid_namespace())
        self._page[_EXCLUSIVE:_DELTA] = bytes(_DELTA - _EXCLUSIVE)
        if not 0 <= self.delta.last_flush <= time.monotonic():  # a later one, or none, would put off every other
            self.delta.last_flush = 0.0

    # --- the exclusive lock ------------------------------------------------------------------------------------------

    def lock_by(self, descriptor: int) -> None:
        """Take the lock by this descriptor of the lock file from here on, which others open for themselves."""
        self._lock = descriptor

    def try_lock(self) -> bool:
        """Take the flock if nobody has it."""
        assert self._lock is not None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Clear the flag if it is ours, then give up the flock, if it is.

        Explicitly, also before closing: a forked child may have a copy of the descriptor.
        """
        if self._claimed:
            self._words[CLAIM] = 0
            self._claimed = False
        if self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def claim(self) -> None:
        """Set the flag, and name this process as the holder. Only for the holder of the flock.

        Until :meth:`confirm` giving up the lock leaves the flag, as if we had died.
        """
        command = _command()
        self._page[_EXCLUSIVE : _EXCLUSIVE + _HOLDER.size] = _HOLDER.pack(1, os.getpid(), time.time(), command)

    def confirm(self) -> None:
        """What a new holder has to do is done."""
        self._claimed = True

    def is_claimed(self) -> bool:
        """Whether somebody holds the exclusive lock, or died with it."""
        return self._words[CLAIM] != 0

    def holder(self) -> Holder | None:
        """Who set the flag."""
        flag, pid, since, command = _HOLDER.unpack_from(self._page, _EXCLUSIVE)
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
        """Sleep until the bell says something else."""
        futex.sleep_while(self._page, _BELL, sequence, timeout)


class Bell(Doorbell):
    """The bell of the state page that there is. ``inside`` keeps it open for a block, or raises once it is closed."""

    def __init__(self, page: Callable[[], StatePage], inside: Callable[[], AbstractContextManager[None]]) -> None:
        self._page = page
        self._inside = inside

    def sequence(self) -> int:
        with self._inside():
            return self._page().sequence()

    def wait(self, sequence: int, timeout: float | None) -> None:
        with self._inside():
            self._page().wait(sequence, timeout)


def pid_namespace() -> int:
    """The number of this process's pid namespace, or 0 where nothing tells."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _command() -> bytes:
    """What this process would call itself, cut to fit at a character's end."""
    words = getattr(sys, "orig_argv", None) or sys.argv or [sys.executable or "python"]
    shown = " ".join(" ".join([os.path.basename(words[0]), *words[1:]]).split())  # on one line
    return shown.encode("utf-8", "replace")[:48].decode("utf-8", "ignore").encode()
