"""An open LMDB file: begins its transactions with the necessary checks, and translates its errors."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import lmdb

from coshelf import native
from coshelf.engines.lmdb.delta.state import DIRTY
from coshelf.engines.lmdb.failures import translate, translated
from coshelf.engines.lmdb.files.descriptors import Descriptors, find_descriptors
from coshelf.engines.lmdb.files.sidecar_directory import base_path, name_for_lmdb, refuse_another
from coshelf.engines.lmdb.files.sidecar_files import lock_path, places_of_readers, turn_path
from coshelf.engines.lmdb.locks.lock_guard import LockGuard, has_namesake
from coshelf.engines.lmdb.locks.semaphores import WriterTurn
from coshelf.engines.lmdb.locks.turns import Overtaken, WriteTurns
from coshelf.engines.lmdb.locks.writer_mutex import WriterMutex
from coshelf.engines.lmdb.pages.header import missing_bytes, newest_transaction, read_metas
from coshelf.errors import DamagedShelf, ReadOnlyShelf, SnapshotLost, StorageError
from coshelf.system.file_systems import space
from coshelf.system.file_systems.durable import sync_content
from coshelf.system.threads.cooperation import this_thread

if TYPE_CHECKING:
    from coshelf._native import BaseReader
    from coshelf.engines.lmdb.files.state_page import StatePage

__all__ = ["BaseFile", "LmdbFile", "with_largest_map"]

_T = TypeVar("_T")

_SPARE_TRANSACTIONS = 8
# Dead readers keep old pages in use until a process checks for them. Without this check, a test that kept killing
# readers made a file grow a thousandfold.
_READER_CHECK_EVERY = 128
# The size of the map in bytes. The map takes address space, not disk, and is so large that no user fills it. A process
# has 128 TB of address space, so if many shelves are open the next ones get less: a thousand shelves take 80 TB, four
# thousand 112 TB. If the address space is limited (ulimit -v), smaller maps are tried.
_MAP = 1 << 38
_MANY = 128
_SMALLEST_MAP = 1 << 26


class LmdbFile:
    """An open LMDB environment. ``path`` is its file, ``shelf`` the shelf's path, for messages.

    ``opened`` is the name by which LMDB opens the file, if that differs from ``path``. ``guarded`` is the lock file, if
    that does not lie beside the file. ``descriptor`` is the file's, once it is open.
    """

    descriptor: int

    def __init__(
        self, path: str, shelf: str, map_size: int, *, opened: str = "", guarded: str = "", **flags: Any
    ) -> None:
        self.path = path
        self._opened = opened or path
        self.shelf = shelf
        self._commits = 0
        self._guard = LockGuard(guarded or lock_path(path))
        self.writer_mutex = WriterMutex(None)
        self._turn: WriterTurn | None = None
        self.descriptors = Descriptors(None, None)
        self._use(self._open(map_size, **flags))
        if not flags.get("lock", True):
            return
        if has_namesake(self.lmdb):
            with contextlib.closing(self.lmdb), translated(shelf, "open"):
                self.lmdb.begin().abort()
            self._use(self._open(map_size, **flags))
        try:
            with translated(shelf, "open"):
                self._guard.hold(self.lmdb)
                self.lmdb.reader_check()
            if self._guard.semaphores is not None:
                self._guard_writers(self._guard.semaphores[1])
            self.writer_mutex = WriterMutex(self._guard.descriptor)
            self.descriptors = find_descriptors(path, self.lock_descriptor, has_header=not flags.get("writemap", False))
        except BaseException:
            LmdbFile.close(self)
            raise

    def _open(self, map_size: int, **flags: Any) -> lmdb.Environment:
        with translated(self.shelf, "open"):
            return lmdb.open(
                os.fsencode(self._opened),
                map_size=map_size,
                subdir=False,
                create=False,
                max_readers=places_of_readers(self._guard.path),
                max_spare_txns=_SPARE_TRANSACTIONS,
                lib_version=0,
                **flags,
            )

    def _use(self, opened: lmdb.Environment) -> None:
        self.lmdb = opened
        self.turns = WriteTurns(self.shelf, functools.partial(opened.begin, None, None, True))

    def _guard_writers(self, name: bytes) -> None:
        """Where LMDB has semaphores: take another lock before each write transaction."""
        begin = functools.partial(self.lmdb.begin, None, None, True)
        path = turn_path(self._guard.path.removesuffix(lock_path("")))
        turn = WriterTurn(path, self.lock_descriptor, name, lambda: newest_transaction(self.descriptor, self.path))
        self._turn = turn
        self.turns = WriteTurns(self.shelf, lambda: cast("lmdb.Transaction[bytes]", turn.begin(begin)))

    @property
    def paths(self) -> tuple[str, str]:
        """The names of the two files that it maps: data file and lock file."""
        return self.path, self._guard.path

    @property
    def lock_descriptor(self) -> int:
        """The descriptor of the lock file. Only for an environment that was opened with a lock file."""
        descriptor = self._guard.descriptor
        assert descriptor is not None
        return descriptor

    @property
    def shows_life(self) -> bool:
        """Whether other processes can see in the lock file that this one lives."""
        return self._guard.shows_life

    def begin(self) -> lmdb.Transaction[bytes]:
        """A read transaction."""
        try:
            return self.lmdb.begin()
        except lmdb.ReadersFullError:
            self.lmdb.reader_check()
            with translated(self.shelf, "read"):
                return self.lmdb.begin()
        except lmdb.Error as error:
            raise translate(error, self.shelf, "read") from error

    def begin_write(self) -> lmdb.Transaction[bytes]:
        """A write transaction, which this thread must end soon. Waits for LMDB's writer mutex.

        A signal handler that interrupts this thread may end the transaction, in order to write. See
        :mod:`coshelf.engines.lmdb.locks.turns`.
        """
        self._commits += 1
        if self._commits % _READER_CHECK_EVERY == 0:
            self.lmdb.reader_check()
        try:
            thread, own = this_thread(), self.turns.own
            if self.writer_mutex.word[0] or thread in own:
                return self._begin_patiently(thread)
            return own[thread]
        except lmdb.Error as error:
            raise translate(error, self.shelf, "write") from error

    def _begin_patiently(self, thread: int) -> lmdb.Transaction[bytes]:
        turns = self.turns
        turns.make_way(thread)
        holder = self.writer_mutex.holder()
        if holder:
            turns.refuse_hopeless(holder)
        try:
            with self.writer_mutex.watched():
                return turns.own[thread]
        except BaseException:  # an interrupt that came when it had begun
            turns.end_left(None)
            raise

    def writing(self) -> AbstractContextManager[lmdb.Transaction[bytes]]:
        """A write transaction for a ``with`` block that commits it. Raises ``Overtaken`` if a handler wrote in between.

        The transaction begins with this call, so call it in the ``with`` statement itself.
        """
        return self.turns.ending(self.begin_write())

    def main_database(self, transaction: lmdb.Transaction[bytes]) -> Any:
        """LMDB's handle of the main database, which has all rows."""
        return self.lmdb.open_db(None, getattr(transaction, "raw", transaction))

    def close(self) -> None:
        self._guard.keep()
        self.lmdb.close()
        self.writer_mutex.close()
        if self._turn is not None:
            self._turn.close()
        self._guard.close()

    def abandon(self) -> object:
        """In a forked child: close the descriptors, and return LMDB's environment, which the caller keeps for ever.

        The parent's locks belong to its descriptors. They would stay for as long as the child has copies of those.
        """
        self.writer_mutex.abandon()
        if self._turn is not None:
            self._turn.abandon()
        self._guard.abandon()
        found, self.descriptors = self.descriptors, Descriptors(None, None)
        for descriptor in found:
            if descriptor is not None:
                os.close(descriptor)
        return self.lmdb, self.turns


def with_largest_map(opened: Callable[[int], _T], file_size: int, others: int = 0) -> _T:
    """Open with the usual map, or with the largest for which there is address space.

    The usual size depends on how many ``others`` are open. ``ulimit -v`` may limit the address space.
    """
    smallest = max(_SMALLEST_MAP, 2 * file_size)
    size = max(_MAP >> (others // _MANY).bit_length(), 4 * file_size, _SMALLEST_MAP)
    while True:
        try:
            return opened(size)
        except StorageError as error:
            if size <= smallest or not isinstance(error.__cause__, lmdb.MemoryError):
                raise
            size = max(smallest, size // 8)


class BaseFile(LmdbFile):
    """The shelf's own file. Every commit to it is durable.

    ``registered`` says whether writers know of our readers. If not, each read must be confirmed. ``others`` is the
    number of other shelves that are open.

    Attributes:
        size_descriptor: the descriptor by which the size of the file is found.
        size: the size of the file when it was last looked at.
    """

    def __init__(self, path: str, descriptor: int, *, registered: bool, others: int = 0) -> None:
        self.registered = registered
        self._reader: BaseReader | None = None
        self.size = os.fstat(descriptor).st_size

        if registered:
            with name_for_lmdb(path, descriptor) as name:
                self._open_largest(path, descriptor, name, others)
        else:
            self._open_largest(path, descriptor, path, others, readonly=True, lock=False)
        try:
            self._choose_descriptors(descriptor)
        except BaseException:
            super().close()
            raise

    def _open_largest(self, path: str, descriptor: int, name: str, others: int, **flags: bool) -> None:
        information = os.fstat(descriptor)
        identity = (information.st_dev, information.st_ino)

        def opened(size: int) -> None:
            refuse_another(path, name, identity)
            super(BaseFile, self).__init__(
                path, path, size, opened=name, guarded=lock_path(base_path(path)), **flags
            )  # fmt: skip
            try:
                refuse_another(path, name, identity)
            except BaseException:
                self.close()
                raise

        with_largest_map(opened, self.size, others)

    def _choose_descriptors(self, given: int) -> None:
        """Use LMDB's own descriptors if both were found. Otherwise, and for a reader without locks, use the given one.

        LMDB writes data at the position of its data descriptor, so the size is found by the one for headers.
        """
        self.descriptor, self.size_descriptor = given, given
        data, header = self.descriptors
        if data is not None and header is not None:
            if not os.path.samestat(os.fstat(data), os.fstat(given)):
                raise StorageError(f"{self.path} was replaced by another file just when it was opened: open it again")
            self.descriptor, self.size_descriptor = data, header

    def begin(self) -> lmdb.Transaction[bytes]:
        if os.lseek(self.size_descriptor, 0, os.SEEK_END) != self.size:
            self.check_size()
        try:
            return self.lmdb.begin()
        except lmdb.Error:
            return super().begin()

    def begin_write(self) -> lmdb.Transaction[bytes]:
        if not self.registered:
            raise ReadOnlyShelf(f"{self.path} is read by this user without locks and cannot be written")
        self.check_size()
        return super().begin_write()

    def quick_reader(self, page: StatePage | None) -> BaseReader | None:
        """The reader in C, which reads the base without LMDB while the delta is clean. None if there is none."""
        if self._reader is None and self.registered and page is not None and self._turn is None:
            self._reader = native.base_reader(
                self.descriptor, self.size_descriptor, self.lock_descriptor, page.memory, 4 * DIRTY
            )
        return self._reader

    def close(self) -> None:
        self._close_reader()
        super().close()

    def abandon(self) -> object:
        self._close_reader()
        return super().abandon()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def check_size(self) -> None:
        """Raise if the file shrank. LMDB never shrinks it, and reading a page that is gone is a SIGBUS."""
        known = self.size  # before looking: another thread may see a later, larger size in between
        size = os.lseek(self.size_descriptor, 0, os.SEEK_END)
        if size < known and self._is_cut():
            raise DamagedShelf(f"{self.path} was truncated while it was open: it had {known} bytes and has {size}")
        self.size = size

    def _is_cut(self) -> bool:
        """Whether pages are missing. A smaller file can be whole: an opener may give up the reserve at its end."""
        metas = read_metas(self.descriptor, self.path)
        return len(metas) < 2 or missing_bytes(self.descriptor, self.path, metas) > 0

    def is_confirmed(self, transaction: lmdb.Transaction[bytes]) -> bool:
        """Whether no writer can have overwritten what was just read. Only writers that know this process keep it."""
        return self.registered or newest_transaction(self.descriptor, self.path) == transaction.id()

    def confirm(self, transaction: lmdb.Transaction[bytes]) -> None:
        """Raise :class:`SnapshotLost` if what was just read is not confirmed."""
        if not self.is_confirmed(transaction):
            raise SnapshotLost(
                f"{self.path} was changed during a read by a user who may not write its lock file, so that old "
                "entries are not kept for this reader\n  hint: read in shorter steps, or ask for write access"
            )

    def readers(self) -> list[tuple[int, int | None]]:
        """The processes that have read from it: pid, and the transaction that is being read now, if there is one."""
        found = []
        for line in self.lmdb.readers().splitlines():  # pid, thread, transaction
            words = line.split()
            if words and words[0].isdigit():
                found.append((int(words[0]), int(words[-1]) if words[-1].isdigit() else None))
        return found

    def oldest_reader(self) -> float:
        """The oldest transaction that is being read; infinity if there is none."""
        return min((transaction for _, transaction in self.readers() if transaction is not None), default=float("inf"))

    def sync(self) -> None:
        """Make all of the file durable, also what processes wrote that died before their own sync returned."""
        try:
            sync_content(self.descriptor)
        except OSError as error:
            raise StorageError(error.errno, f"cannot flush the shelf: {error.strerror}", self.path) from error

    def complete(self) -> None:
        """After a commit: give the file the length that its header counts.

        LMDB counts pages that a commit took and gave back without writing them. A file that is shorter than its header
        says looks truncated to an opener. If this process dies before this call, the next opener checks all pages.
        """
        missing = missing_bytes(self.descriptor, self.path)
        if missing:
            with contextlib.suppress(OSError):  # a full disk: the commit is whole all the same
                if not space.extend(self.descriptor, os.fstat(self.descriptor).st_size + missing):
                    self._complete_alone()

    def _complete_alone(self) -> None:
        """Do the same under the write lock, where the kernel cannot make a file longer without making it shorter."""
        while True:
            with contextlib.suppress(Overtaken), self.writing() as transaction:
                self.turns.settle(transaction)
                missing = missing_bytes(self.descriptor, self.path)
                if missing:
                    os.ftruncate(self.descriptor, os.fstat(self.descriptor).st_size + missing)
                return
