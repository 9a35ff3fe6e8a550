"""One LMDB environment per file and process, shared by all who open that file, and renewed in forked children.

LMDB must not be opened twice in a process, and an environment must not be used or closed in a child that inherited it:
both would break the locks of the processes that are alive. So there is one registry of open environments, counted by
their users, and a child keeps what it inherited untouched for ever and opens afresh at its first use.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import lmdb

from coshelf.engines.contract import Doorbell, PollingBell
from coshelf.engines.lmdb.exclusive import ExclusiveLock
from coshelf.engines.lmdb.failures import translate, translated
from coshelf.engines.lmdb.header import missing_bytes, newest_transaction
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, unpack_row
from coshelf.engines.lmdb.sidecars import MAX_READERS, Files, open_files
from coshelf.engines.lmdb.state_page import Bell, StatePage
from coshelf.errors import (
    CoshelfError,
    DamagedShelf,
    OpenUnderAnotherName,
    ReadOnlyShelf,
    ShelfClosed,
    ShelfLocked,
    SnapshotLost,
    StorageError,
)

if TYPE_CHECKING:
    from coshelf.engines.lmdb.read_transaction import ReadTransaction

__all__ = ["Environment", "acquire"]

# The map is address space, not disk: so large that a full map is nothing a user meets, and small enough for some
# hundred shelves in one process. Where address space is limited (ulimit -v), smaller ones are tried.
_MAP = 1 << 38
_SMALLEST_MAP = 1 << 26
_SPARE_TRANSACTIONS = 8
# Readers that died keep old pages in use until somebody looks: a kill storm grew a file a thousandfold without this.
_READER_CHECK_EVERY = 128


class Environment:
    """An open shelf file. Use :func:`acquire`, and :meth:`release` once for each.

    LMDB must not be closed while a thread is in one of its calls, some of which let other threads run. So whoever
    calls it is *inside*, between :meth:`enter` and :meth:`leave`, and the last one out closes what has no users.
    """

    def __init__(self, path: str, *, write: bool, timeout: float) -> None:
        self.path = path
        self._timeout = timeout
        self._tracked: weakref.WeakSet[ReadTransaction] = weakref.WeakSet()
        self._lmdb: lmdb.Environment | None = None
        self._inside: list[None] = []
        self._commits = 0
        self._was_registered = False
        self._exclusive: ExclusiveLock | None = None
        self.users = 0
        self._open(write=write)
        self.identity = self.files.identity

    def _open(self, *, write: bool) -> None:
        self.files: Files = open_files(self.path, write=write, timeout=self._timeout)
        # Whether writers know of our readers. If not, each read must be confirmed.
        self.registered = self.files.page is not None
        try:
            self._size = os.fstat(self.files.descriptor).st_size
            environment = self._open_lmdb()
            try:
                self.row = self._read_row(environment)
                if self.registered:
                    environment.reader_check()
            except BaseException:
                environment.close()
                raise
            if self.files.alone:
                self.files.share()
            if self.files.page is not None:
                self._exclusive = ExclusiveLock(self.path, self.files.page, self.inside, self._barrier)
        except BaseException:
            self.files.close()
            raise
        self._lmdb = environment

    def _barrier(self) -> None:
        """Wait for the commits under way. After a death this also makes visible what the dead had made durable."""
        self.begin_write().abort()  # inside, as the lock's own steps are

    def _read_row(self, environment: lmdb.Environment) -> ShelfRow:
        while True:
            with translated(self.path, "read"), environment.begin() as transaction:
                try:
                    return unpack_row(transaction.get(ROW_KEY), self.path)
                except CoshelfError:
                    if self.is_confirmed(transaction):
                        raise

    def _open_lmdb(self) -> lmdb.Environment:
        smallest = max(_SMALLEST_MAP, 2 * self._size)
        size = max(_MAP, 4 * self._size)
        while True:
            try:
                with translated(self.path, "open"):
                    return lmdb.open(
                        os.fsencode(self.path),
                        map_size=size,
                        subdir=False,
                        create=False,
                        readonly=not self.registered,
                        lock=self.registered,
                        max_readers=MAX_READERS,
                        max_spare_txns=_SPARE_TRANSACTIONS,
                        lib_version=0,
                    )
            except StorageError as error:
                if size <= smallest or not isinstance(error.__cause__, lmdb.MemoryError):
                    raise
                size = max(smallest, size // 8)

    @property
    def page(self) -> StatePage:
        """The state page, which every writer has."""
        if self.files.page is None:
            raise ReadOnlyShelf(f"{self.path} is read by this user without locks and cannot be written")
        return self.files.page

    @property
    def exclusive(self) -> ExclusiveLock:
        """The exclusive lock, which every writer has."""
        if self._exclusive is None:
            raise ReadOnlyShelf(f"{self.path} is read by this user without locks and cannot be written")
        return self._exclusive

    @property
    def exclusive_or_none(self) -> ExclusiveLock | None:
        return self._exclusive

    def bell(self) -> Doorbell:
        """The bell; who cannot map the state page has to look again and again."""
        return Bell(self.page, self.inside) if self.registered else PollingBell()

    def wake(self) -> None:
        """Let those who wait at the bell look around: their shelf may have been closed."""
        if self.registered and self._lmdb is not None:
            with contextlib.suppress(ShelfClosed), self.inside():
                self.page.wake()

    # --- being inside ------------------------------------------------------------------------------------------------

    def enter(self) -> lmdb.Environment:
        """Keep the environment open until :meth:`leave`. In a process that inherited it, it is opened afresh."""
        self._inside.append(None)
        try:
            if not self.users:
                raise ShelfClosed(f"the shelf {self.path} has been closed")
            environment = self._lmdb or self._renew()
        except BaseException:
            self.leave()
            raise
        return environment

    def leave(self) -> None:
        try:  # not contextlib.suppress, which would cost every get a tenth of its time
            self._inside.pop()
        except IndexError:  # forked meanwhile, by a signal handler
            return
        if not self.users and not self._inside:
            _registry.close_unused(self)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Being inside for a block."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    # --- transactions, for who is inside -----------------------------------------------------------------------------

    def begin_inside(self) -> lmdb.Transaction[bytes]:
        """A read transaction."""
        environment = self._lmdb
        assert environment is not None
        self.check_size()
        try:
            return environment.begin()
        except lmdb.ReadersFullError:
            environment.reader_check()
            with translated(self.path, "read"):
                return environment.begin()
        except lmdb.Error as error:
            raise translate(error, self.path, "read") from error

    def begin_write(self) -> lmdb.Transaction[bytes]:
        """A write transaction, to be ended by this thread, soon. Waits for LMDB's writer mutex."""
        environment = self._lmdb
        assert environment is not None
        if not self.registered:
            raise ReadOnlyShelf(f"{self.path} is read by this user without locks and cannot be written")
        self.check_size()
        self._commits += 1
        if self._commits % _READER_CHECK_EVERY == 0:
            environment.reader_check()
        with translated(self.path, "write"):
            return environment.begin(write=True)

    def main_database(self, transaction: lmdb.Transaction[bytes]) -> Any:
        """LMDB's handle for all rows."""
        assert self._lmdb is not None
        return self._lmdb.open_db(None, transaction)

    @property
    def size(self) -> int:
        """Of the file, in bytes, as last seen."""
        return self._size

    def check_size(self) -> None:
        """Raise if the file shrank: LMDB's never does by itself, and touching a page that is gone is a SIGBUS."""
        known = self._size  # before looking: another thread may see a later, larger size in between
        size = os.lseek(self.files.descriptor, 0, os.SEEK_END)
        if size < known:
            raise DamagedShelf(f"{self.path} was truncated while it was open: it had {known} bytes and has {size}")
        self._size = size

    def is_confirmed(self, transaction: lmdb.Transaction[bytes]) -> bool:
        """Whether what was just read cannot have been overwritten meanwhile, by writers who do not know of us."""
        return self.registered or newest_transaction(self.files.descriptor, self.path) == transaction.id()

    def confirm(self, transaction: lmdb.Transaction[bytes]) -> None:
        """Raise :class:`SnapshotLost` if what was just read is not confirmed."""
        if not self.is_confirmed(transaction):
            raise SnapshotLost(
                f"{self.path} was changed during a read by a user who may not write its lock file, so that old "
                "entries are not kept for this reader\n  hint: read in shorter steps, or ask for write access"
            )

    def complete(self) -> None:
        """After a commit: give the file the length that its header counts.

        LMDB counts pages that a commit took and gave back without writing them. A file that is shorter than it says
        looks truncated to who opens it; if this process dies before it gets here, that is looked into more closely.
        """
        missing = missing_bytes(self.files.descriptor, self.path)
        if missing:
            end = os.lseek(self.files.descriptor, 0, os.SEEK_END) + missing
            with contextlib.suppress(OSError):  # a full disk: the commit is whole all the same
                os.posix_fallocate(self.files.descriptor, end - 1, 1)  # never shrinks, whoever else does it now

    @property
    def is_busy(self) -> bool:
        """Whether a thread is inside."""
        return bool(self._inside)

    def track(self, transaction: ReadTransaction) -> None:
        self._tracked.add(transaction)

    # --- forks and the end -------------------------------------------------------------------------------------------

    def _renew(self) -> lmdb.Environment:
        """Open again in a child that inherited this object."""
        with _registry.lock:
            if self._lmdb is None:
                self._open(write=self._was_registered)
                if self.files.identity != self.identity:
                    self.shut()
                    raise StorageError(f"{self.path} is another file than the one that was open before the fork")
            assert self._lmdb is not None
            return self._lmdb

    def abandon(self) -> None:
        """In a forked child: keep inherited LMDB objects alive for ever, and be opened afresh at the next use."""
        self._inside = []
        inherited, self._lmdb = self._lmdb, None
        if inherited is None:
            return
        _registry.keep_for_ever([inherited])
        for transaction in list(self._tracked):
            _registry.keep_for_ever(transaction.abandon())
        self._was_registered = self.registered
        self._tracked = weakref.WeakSet()
        self._exclusive = None
        self.files.abandon()

    def shut(self) -> None:
        """Close, with the registry's lock held and nobody inside."""
        environment, self._lmdb = self._lmdb, None
        if environment is not None:
            for transaction in list(self._tracked):
                transaction.close()
            environment.close()
            self.files.close()

    def release(self) -> None:
        """One user less; after the last one it is closed, as soon as no thread is inside."""
        with _registry.lock:
            self.users -= 1
            _registry.close_unused(self)


class _Registry:
    """All environments that this process has open, by device and inode of their file."""

    def __init__(self) -> None:
        self._renew_locks()
        self._open: dict[tuple[int, int], Environment] = {}
        self._kept: list[object] = []
        self._increase_references: Callable[[object], object] | None = None

    def acquire(self, path: str, *, write: bool, timeout: float) -> Environment:
        with self._opening_alone(path, timeout):
            with self.lock:
                known = self._find(path)
                if known is not None:
                    known.users += 1  # also takes back one that was to be closed when the last thread is out
            if known is None:
                known = Environment(path, write=write, timeout=timeout)
                with self.lock:
                    known.users += 1
                    self._open[known.identity] = known
                return known
        try:
            if known.path != path:
                raise OpenUnderAnotherName(
                    f"{path} is open in this process as {known.path}: use one name for one shelf"
                )
            if write:
                with known.inside():  # where it was inherited it is opened afresh, and may turn out not to work
                    if not known.registered:
                        raise ReadOnlyShelf(f"{path} is open in this process, read without locks; close it first")
        except BaseException:
            known.release()
            raise
        return known

    @contextmanager
    def _opening_alone(self, path: str, timeout: float) -> Iterator[None]:
        """Keep other threads from opening the same file, and only them, since it may take as long as the timeout."""
        end = time.monotonic() + timeout
        with self.lock:
            while path in self._being_opened:
                left = end - time.monotonic()
                if left <= 0:
                    raise ShelfLocked(
                        f"shelf is locked: {path}\n  another thread has been opening it for {timeout:g} s"
                    )
                self._opened.wait(left)
            self._being_opened.add(path)
        try:
            yield
        finally:
            with self.lock:
                self._being_opened.discard(path)
                self._opened.notify_all()

    def _find(self, path: str) -> Environment | None:
        try:
            information = os.stat(path)
        except OSError:
            return None
        return self._open.get((information.st_dev, information.st_ino))

    def close_unused(self, environment: Environment) -> None:
        """Close an environment that nobody uses, unless a thread is still inside: then that one does."""
        with self.lock:
            if not environment.users and not environment.is_busy:
                # By now there may be another one for the same file.
                if self._open.get(environment.identity) is environment:
                    del self._open[environment.identity]
                environment.shut()

    def _renew_locks(self) -> None:
        self.lock = threading.RLock()
        self._opened = threading.Condition(self.lock)
        self._being_opened: set[str] = set()

    def before_fork(self) -> None:
        self.lock.acquire()  # so that the child finds the table whole
        if self._open and self._increase_references is None:
            # Not in the child, where an import that another thread had begun would never end.
            with contextlib.suppress(ImportError):
                import ctypes

                self._increase_references = lambda kept: ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))

    def after_fork_in_parent(self) -> None:
        self.lock.release()

    def after_fork_in_child(self) -> None:
        self._renew_locks()
        _allow_reopening()
        for environment in self._open.values():
            environment.abandon()

    def keep_for_ever(self, inherited: Iterable[object]) -> None:
        """Keep objects from being deallocated, even at the interpreter's end (where ctypes is there to do it)."""
        for kept in inherited:
            self._kept.append(kept)
            if self._increase_references is not None:
                self._increase_references(kept)

    def close_all(self) -> None:
        """At exit: so that the sidecars go even if somebody forgot to close."""
        with self.lock:
            for environment in list(self._open.values()):
                environment.users = 0
                self.close_unused(environment)


def acquire(path: str, *, write: bool, timeout: float) -> Environment:
    """The environment of a file in this process, opened if it is not yet."""
    return _registry.acquire(path, write=write, timeout=timeout)


def _allow_reopening() -> None:
    """Let py-lmdb open files in this child that its parent had open.

    py-lmdb refuses a second environment on one file by comparing what ``env_keys`` returns with the keys of open
    environments. The inherited ones are never used or closed again, so in a child the keys carry its pid.
    """
    from lmdb import _envid

    keys = _envid.env_keys
    pid = os.getpid()
    _envid.env_keys = lambda path, subdir: tuple((pid, key) for key in keys(path, subdir))  # type: ignore[no-untyped-call]


_registry = _Registry()
# Not atexit: finalizers run at exit from the youngest to the oldest, so those of shelves come first, and write back.
weakref.finalize(_registry, _registry.close_all)
if sys.platform != "win32":
    os.register_at_fork(
        before=_registry.before_fork,
        after_in_parent=_registry.after_fork_in_parent,
        after_in_child=_registry.after_fork_in_child,
    )
