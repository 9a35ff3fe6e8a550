"""The file of the table: it is made whole, opened by all, and made anew when nobody uses it any more.

Each user locks a byte of the file, by a lock that ends with its descriptor (an OFD lock). By it every other process
sees that the user lives, also from another pid namespace.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from coshelf.engines.turn_table.home import TableHome
from coshelf.engines.turn_table.implementation import fits_lines, make_lines
from coshelf.engines.turn_table.layout import HEADER, MAGIC, ROWS, SIZE
from coshelf.errors import NotAShelf, ShelfLocked, StorageError
from coshelf.system.files.giving import give
from coshelf.system.files.os_errors import translated
from coshelf.system.memory.shared import shared
from coshelf.system.processes.identity import this_process
from coshelf.system.waiting.backoff import Backoff

__all__ = ["TableFile", "open_table"]

_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.01
_LOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid
_HAS_LOCKS = sys.platform == "linux" and sys.maxsize > 1 << 32
_BLOCK_BITS = 40  # tokens of a block, as a binary logarithm


class TableFile:
    """One open table.

    Attributes:
        memory: all of it.
    """

    def __init__(self, path: str, descriptor: int, memory: memoryview) -> None:
        self._path = path
        self._descriptor: int | None = descriptor
        self.memory = memory

    def claim(self, row: int) -> bool:
        """Lock the byte of a row. False if another user has it."""
        if not _HAS_LOCKS:
            return True
        assert self._descriptor is not None
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, row, 1, 0))
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise
        return True

    def give_up(self, row: int) -> None:
        """Unlock the byte of a row."""
        if _HAS_LOCKS and self._descriptor is not None:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, row, 1, 0))

    def is_claimed(self, row: int) -> bool | None:
        """Whether another user has a row locked; None if that cannot be told."""
        descriptor = self._descriptor
        return None if descriptor is None else _is_locked(descriptor, row, 1)

    def close(self) -> None:
        """Close the file, and remove it if nobody else uses it. The memory stays until nothing refers to it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            with contextlib.suppress(OSError):  # it stays, for the next one who opens it
                if _HAS_LOCKS:
                    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _LOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody opens it meanwhile
                if _is_locked(descriptor, 0, ROWS) is False and _leads_to(self._path, descriptor):
                    os.unlink(self._path)
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def abandon(self) -> None:
        """In a forked child: close its copy of the descriptor. The locks stay the parent's."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _is_locked(descriptor: int, start: int, length: int) -> bool | None:
    if not _HAS_LOCKS:
        return None
    asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    return bool(_LOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK)


@contextmanager
def open_table(home: TableHome) -> Iterator[TableFile]:
    """Open the table, or make it. In the block the caller claims a row: nobody replaces the table meanwhile.

    If the block raises, the table is closed.
    """
    end = time.monotonic() + home.timeout
    with contextlib.ExitStack() as stack:
        with translated("open", "the table of turns", home.path):
            opened = None
            while opened is None:
                try:
                    descriptor = os.open(home.path, _FLAGS)
                except FileNotFoundError:
                    _make(home, end)
                    continue
                try:
                    opened = _usable(home, descriptor, end)
                finally:
                    if opened is None:
                        os.close(descriptor)
        stack.callback(opened.close)
        yield opened
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        stack.pop_all()


def _usable(home: TableHome, descriptor: int, end: float) -> TableFile | None:
    """The table in an open file, which is locked then; None if it is not usable and has been removed."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise NotAShelf(f"{home.path} is not a regular file, but {home.where} needs a file of this name beside it")
    home.refuse_exposed(descriptor)
    _lock(home, descriptor, fcntl.LOCK_SH, end)
    if not _leads_to(home.path, descriptor):
        return None
    if _is_whole(descriptor):
        return TableFile(home.path, descriptor, shared(descriptor, SIZE, writable=True))
    _lock(home, descriptor, fcntl.LOCK_EX, end)
    if _leads_to(home.path, descriptor):
        if _is_locked(descriptor, 0, ROWS):
            raise StorageError(
                f"{home.path} is used by processes whose version of coshelf, or whose C library, is another one\n"
                "  hint: use one version in all programs, or close the shelf in the others"
            )
        os.unlink(home.path)
    return None


def _is_whole(descriptor: int) -> bool:
    """Whether it is a table of this boot and this version. Where boots cannot be told apart: one that is in use."""
    head = os.pread(descriptor, HEADER.size, 0)
    if len(head) < HEADER.size or os.fstat(descriptor).st_size != SIZE:
        return False
    magic, mutex_size, library, boot = HEADER.unpack(head)
    here = _boot()
    is_of_this_boot = bool(_is_locked(descriptor, 0, ROWS)) if here is None else boot == here
    return magic == MAGIC and is_of_this_boot and fits_lines(mutex_size, library)


def _boot() -> bytes | None:
    """The id of this boot; None if boots cannot be told apart."""
    try:
        found = bytes.fromhex(this_process().boot.replace("-", ""))
    except ValueError:
        return None
    return found if len(found) == 16 else None


def _leads_to(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _lock(home: TableHome, descriptor: int, kind: int, end: float) -> None:
    backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise ShelfLocked(
                    f"shelf is locked: {home.where}\n  another process has been making its table of turns for "
                    f"{home.timeout:g} s"
                ) from None
            backoff.sleep()
        else:
            return


def _make(home: TableHome, end: float) -> None:
    """Make a table under another name, and link it to its own when it is whole. One process does it at a time."""
    name = f"{home.path}-new"
    descriptor = os.open(name, _FLAGS | os.O_CREAT, 0o600)
    try:
        _lock(home, descriptor, fcntl.LOCK_EX, end)
        if not _leads_to(name, descriptor):  # another process has just made it
            return
        try:
            if not home.exists():
                like = home.like()
                give(descriptor, like, stat.S_IMODE(like.st_mode) & 0o666)
                _fill(home, descriptor)
                os.link(name, home.path)
        finally:
            os.unlink(name)
    finally:
        os.close(descriptor)


def _fill(home: TableHome, descriptor: int) -> None:
    # Written, so that its space is taken: in a map, a full disk would be a SIGBUS.
    os.ftruncate(descriptor, 0)
    rest = memoryview(bytes(SIZE))
    while rest:
        rest = rest[os.pwrite(descriptor, rest, SIZE - len(rest)) :]
    token = home.next_block() << _BLOCK_BITS
    make_lines(shared(descriptor, SIZE, writable=True), _boot() or bytes(16), token)
