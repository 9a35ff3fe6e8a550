"""The file of the table: it is made whole, opened by all, and made anew when nobody uses it any more.

Each user locks a byte of the file, by a lock that ends with its open file. By it every other process sees that the user
lives, also from another pid namespace. A process that has no such locks keeps a shared lock on the whole file instead:
others see by it that the table is in use. Whether its users live is then told by the numbers of their processes alone.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from coshelf.engines.turn_table.home import TableHome
from coshelf.engines.turn_table.implementation import fits_lines, make_lines, needs_steps
from coshelf.engines.turn_table.layout import HEADER, MAGIC, ROWS, SIZE
from coshelf.engines.turn_table.step_lock import StepLock
from coshelf.errors import NotAShelf, ShelfLocked, StorageError
from coshelf.system.files.flags import ASIDE
from coshelf.system.files.names import leads_to, link_new
from coshelf.system.files.os_errors import translated
from coshelf.system.files.positions import read_at, write_at
from coshelf.system.locks import ranges, whole_file
from coshelf.system.memory.shared import shared
from coshelf.system.processes.boot import boot_id
from coshelf.system.rights.giving import give
from coshelf.system.waiting.backoff import Backoff

__all__ = ["TableFile", "open_table"]

_FLAGS = os.O_RDWR | ASIDE
_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.01
_PATIENCE_WITH_OPENERS = 2.0  # seconds
_BLOCK_BITS = 40  # tokens of a block, as a binary logarithm


class TableFile:
    """One open table.

    Attributes:
        memory: all of it.
        tells_life: whether the byte of a row tells whether its user lives.
        steps: the lock that takes the place of the table's mutex, where there is none.
    """

    def __init__(self, path: str, descriptor: int, memory: memoryview) -> None:
        self._path = path
        self._descriptor: int | None = descriptor
        self.memory = memory
        self.tells_life = ranges.usable_on(descriptor)
        self.steps: StepLock | None = None

    def claim(self, row: int) -> bool:
        """Lock the byte of a row. False if another user has it."""
        if not self.tells_life:
            return True
        assert self._descriptor is not None
        return ranges.try_to_take(self._descriptor, row)

    def give_up(self, row: int) -> None:
        """Unlock the byte of a row."""
        if self.tells_life and self._descriptor is not None:
            ranges.release(self._descriptor, row, 1)

    def let_others_in(self) -> None:
        """End the lock with which the table was opened, unless it is what shows that the table is in use."""
        if self.tells_life and self._descriptor is not None:
            whole_file.release(self._descriptor)

    def is_claimed(self, row: int) -> bool | None:
        """Whether another user has a row locked; None if that cannot be told."""
        descriptor = self._descriptor
        return None if descriptor is None or not self.tells_life else ranges.is_held(descriptor, row, 1)

    def close(self) -> None:
        """Close the file, and remove it if nobody else uses it. The memory stays until nothing refers to it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            with contextlib.suppress(OSError):  # it stays, for the next one who opens it
                if self.tells_life:
                    ranges.release(descriptor, 0, 0)
                is_alone = whole_file.try_to_take(descriptor, whole_file.EXCLUSIVE)  # nobody opens it meanwhile
                is_used = not is_alone or bool(ranges.is_held(descriptor, 0, ROWS))
                if not is_used and leads_to(self._path, descriptor):
                    if self.steps is not None:
                        os.unlink(_steps_path(self._path))
                    os.unlink(self._path)
                whole_file.release(descriptor)
        finally:
            os.close(descriptor)
            self._close_steps()

    def abandon(self) -> None:
        """In a forked child: close its copies of the descriptors. The locks stay the parent's."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
        self._close_steps()

    def _close_steps(self) -> None:
        steps, self.steps = self.steps, None
        if steps is not None:
            steps.close()


def _steps_path(table: str) -> str:
    return f"{table}-step"


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
                    opened = _made(home, end)
                    continue
                try:
                    opened = _usable(home, descriptor, end)
                finally:
                    if opened is None:
                        os.close(descriptor)
        stack.callback(opened.close)
        yield opened
        opened.let_others_in()
        stack.pop_all()


def _usable(home: TableHome, descriptor: int, end: float) -> TableFile | None:
    """The table in an open file, which is locked then; None if it is not usable and has been removed."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise NotAShelf(f"{home.path} is not a regular file, but {home.where} needs a file of this name beside it")
    home.refuse_exposed(descriptor)
    _lock(home, descriptor, whole_file.SHARED, end)
    if not leads_to(home.path, descriptor):
        return None
    is_whole = _is_whole(home, descriptor, end)
    if not leads_to(home.path, descriptor):
        return None
    if is_whole:
        return _opened(home, descriptor)
    is_used = _is_used_by_others(home, descriptor, end)
    if leads_to(home.path, descriptor):
        if is_used:
            raise StorageError(
                f"{home.path} is used by processes whose version of coshelf, or whose C library, is another one\n"
                "  hint: use one version in all programs, or close the shelf in the others"
            )
        if _boot() is None:  # a new table looks as one of an earlier boot does: it is made anew in place
            _fill(home, descriptor)
            _lock(home, descriptor, whole_file.SHARED, end)
            return _opened(home, descriptor)
        os.unlink(home.path)
    return None


def _opened(home: TableHome, descriptor: int) -> TableFile:
    opened = TableFile(home.path, descriptor, shared(descriptor, SIZE, writable=True))
    if needs_steps():
        like = home.like()
        opened.steps = StepLock(_steps_path(home.path), stat.S_IMODE(like.st_mode) & 0o666, like)
    return opened


def _is_used_by_others(home: TableHome, descriptor: int, end: float) -> bool:
    """Whether another user has the table open. If not, it is locked exclusively now. Other openers may come and go."""
    try:
        _lock(home, descriptor, whole_file.EXCLUSIVE, min(end, time.monotonic() + _PATIENCE_WITH_OPENERS))
    except ShelfLocked:
        return True  # by a process without locks of open files, which keeps its shared lock
    return bool(ranges.is_held(descriptor, 0, ROWS))


def _is_whole(home: TableHome, descriptor: int, end: float) -> bool:
    """Whether it is a table of this boot and this version. Where boots cannot be told apart: one that is in use.

    The file has a shared lock before and after, and may have been removed meanwhile.
    """
    head = read_at(descriptor, HEADER.size, 0)
    if len(head) < HEADER.size or os.fstat(descriptor).st_size != SIZE:
        return False
    magic, mutex_size, library, boot = HEADER.unpack(head)
    if magic != MAGIC or not fits_lines(mutex_size, library):
        return False
    here = _boot()
    if here is not None:
        return bool(boot == here)
    if ranges.is_held(descriptor, 0, ROWS):
        return True
    is_used = not whole_file.try_to_take(descriptor, whole_file.EXCLUSIVE)
    _lock(home, descriptor, whole_file.SHARED, end)
    return is_used


def _boot() -> bytes | None:
    """The id of this boot; None if boots cannot be told apart."""
    try:
        return boot_id()
    except OSError:
        return None


def _lock(home: TableHome, descriptor: int, kind: whole_file.Kind, end: float) -> None:
    backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
    while True:
        if whole_file.try_to_take(descriptor, kind):
            return
        if time.monotonic() > end:
            raise ShelfLocked(
                f"shelf is locked: {home.where}\n  another process has been making its table of turns for "
                f"{home.timeout:g} s"
            )
        backoff.sleep()


def _made(home: TableHome, end: float) -> TableFile | None:
    """Make a table under another name, and link it to its own when it is whole. One process does it at a time.

    The table is locked then: where boots cannot be told apart, a table that nobody uses counts as left. None if another
    process has made it, or has removed it already.
    """
    name = f"{home.path}-new"
    descriptor = os.open(name, _FLAGS | os.O_CREAT, 0o600)
    opened: TableFile | None = None
    try:
        _lock(home, descriptor, whole_file.EXCLUSIVE, end)
        if not leads_to(name, descriptor):  # another process has just made it
            return None
        try:
            if home.exists():
                return None
            like = home.like()
            give(descriptor, like, stat.S_IMODE(like.st_mode) & 0o666)
            _fill(home, descriptor)
            link_new(name, home.path)
        finally:
            with contextlib.suppress(FileNotFoundError):  # where a new name is given by a rename
                os.unlink(name)
        if not ranges.usable_on(descriptor):
            _lock(home, descriptor, whole_file.SHARED, end)
            if not leads_to(home.path, descriptor):
                return None
        opened = _opened(home, descriptor)
        return opened
    finally:
        if opened is None:
            os.close(descriptor)


def _fill(home: TableHome, descriptor: int) -> None:
    # Written, so that its space is taken: in a map, a full disk would be a SIGBUS.
    os.ftruncate(descriptor, 0)
    rest = memoryview(bytes(SIZE))
    while rest:
        rest = rest[write_at(descriptor, rest, SIZE - len(rest)) :]
    token = home.next_block() << _BLOCK_BITS
    make_lines(shared(descriptor, SIZE, writable=True), _boot() or bytes(16), token)
