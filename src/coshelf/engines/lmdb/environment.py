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
from typing import TYPE_CHECKING

from coshelf.engines.contract import Doorbell, PollingBell
from coshelf.engines.lmdb.delta import Delta
from coshelf.engines.lmdb.delta_files import delta_path, make_delta_files, remove_delta_files
from coshelf.engines.lmdb.delta_state import DIRECT, MAPPED, PLAIN, DeltaIdentity, DeltaState
from coshelf.engines.lmdb.exclusive import ExclusiveLock
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.flusher import Flusher
from coshelf.engines.lmdb.lmdb_file import BaseFile
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, unpack_row
from coshelf.engines.lmdb.sidecars import Files, open_files
from coshelf.engines.lmdb.state_page import Bell, StatePage
from coshelf.errors import (
    CoshelfError,
    OpenUnderAnotherName,
    ReadOnlyShelf,
    ShelfClosed,
    ShelfLocked,
    StorageError,
    StorageFull,
)

if TYPE_CHECKING:
    from coshelf.engines.lmdb.read_transaction import ReadTransaction

__all__ = ["Environment", "acquire"]

# Where address space is limited (ulimit -v), smaller maps are tried for a new delta.
_DELTA_MAPS = (512 << 20, 64 << 20, 16 << 20)
# Seconds that a fork waits for the end of a flush, which a signal handler that interrupted a commit may be keeping up.
_PATIENCE_AT_FORK = 1.0


class Environment:
    """An open shelf: its base, and its delta if it has one. Use :func:`acquire`, and :meth:`release` once for each.

    LMDB must not be closed while a thread is in one of its calls, some of which let other threads run. So whoever
    calls it is *inside*, between :meth:`enter` and :meth:`leave`, and the last one out closes what has no users.
    """

    def __init__(self, path: str, *, write: bool, timeout: float) -> None:
        self.path = path
        self.flush_interval = float("inf")  # the shortest that a user asked for
        self.may_write = False  # whether a user asked for more than reading
        self._timeout = timeout
        self._tracked: weakref.WeakSet[ReadTransaction] = weakref.WeakSet()
        self._base: BaseFile | None = None
        self._deltas: list[Delta] = []  # the one in use, and before it those whose place it took
        self._inside: list[None] = []
        self._was_registered = False
        self._exclusive: ExclusiveLock | None = None
        self.delta_state: DeltaState | None = None  # None where there is no delta
        self.flusher = Flusher(self)
        self.users = 0
        self._open(write=write)
        self.identity = self.files.identity

    def _open(self, *, write: bool) -> None:
        self.files: Files = open_files(self.path, write=write, timeout=self._timeout)
        # Whether writers know of our readers. If not, each read must be confirmed.
        self.registered = self.files.page is not None
        try:
            base = BaseFile(self.path, self.files.descriptor, registered=self.registered)
            try:
                self.row = self._read_row(base)
                if self.registered:
                    base.lmdb.reader_check()
                if self.files.page is not None:
                    self._open_delta(self.files.page)
            except BaseException:
                base.close()
                raise
            if self.files.alone:
                self.files.share()
            if self.files.page is not None:
                self._exclusive = ExclusiveLock(self.path, self.files.page, self.inside, self._barrier)
        except BaseException:
            self.files.close()
            raise
        self._base = base

    def _open_delta(self, page: StatePage) -> None:
        state = page.delta
        self.delta_state = None
        if self.files.fresh is not None:
            self._deltas = self._make_first_delta(self.files.fresh)
        elif state.identity().kind == DIRECT:
            self._deltas = []
        else:
            self._deltas = [Delta(self.path, state.identity(), state)]
            self._deltas[0].lmdb.reader_check()
        if self._deltas:
            self.delta_state = state

    def _make_first_delta(self, identity: DeltaIdentity) -> list[Delta]:
        """The delta, made; none where there is no room for it: then every commit goes straight to the base."""
        try:
            delta = self._make_delta(identity)
        except StorageFull:
            remove_delta_files(self.path, identity.generation)
            return []
        state = self.page.delta
        state.announce(self.row.nonce, self.row.nonce)
        state.set_identity(delta.identity)
        return [delta]

    def _make_delta(self, identity: DeltaIdentity) -> Delta:
        """Open the empty file of a new delta, as well as this machine can."""
        for kind in (MAPPED, PLAIN) if identity.kind == MAPPED else (PLAIN,):
            for size in _DELTA_MAPS:
                try:
                    delta = Delta(self.path, identity._replace(kind=kind, map_size=size), self.page.delta)
                except StorageFull:
                    raise
                except StorageError as error:
                    failure = error
                    os.truncate(delta_path(self.path, identity.generation), 0)  # LMDB may have begun to write
                    continue
                try:
                    delta.take_first_space()
                except BaseException:
                    delta.close()
                    raise
                return delta
        raise failure

    def make_next_delta(self, old: Delta, number: int) -> None:
        """Make the delta that takes the place of this one, with the write locks of base and delta held."""
        generation = old.identity.generation + 1
        identity = make_delta_files(
            self.path, os.fstat(self.files.descriptor), self.row, old.identity.kind, generation
        )  # fmt: skip
        delta = self._make_delta(identity._replace(offset=number))
        state = self.page.delta
        state.clean()
        state.set_identity(delta.identity)
        self._deltas.append(delta)
        remove_delta_files(self.path, old.identity.generation)

    def current_delta(self) -> Delta:
        """The delta, for who is inside. Another process may have put another one in its place."""
        delta = self._deltas[-1]
        if self.page.delta.is_of(delta.identity):
            return delta
        with _registry.lock:
            delta = self._deltas[-1]
            if not self.page.delta.is_of(delta.identity):
                delta = Delta(self.path, self.page.delta.identity(), self.page.delta)
                self._deltas.append(delta)
            return delta

    @property
    def latest_delta(self) -> Delta:
        """The delta that was current when this process last looked."""
        return self._deltas[-1]

    @property
    def is_open(self) -> bool:
        """Whether this process has it open; a forked child that never used it has not."""
        return self._base is not None

    @property
    def has_delta(self) -> bool:
        return bool(self._deltas)

    def _barrier(self, *, after_death: bool) -> None:
        """Wait for the commits under way.

        After a death base's lock is taken, too: LMDB makes a commit visible after it is durable, so one of the dead may
        be there and appear only when the next writer takes the lock. Reads before that would not have it.
        """
        if after_death or not self._deltas:
            self.base.begin_write().abort()  # inside, as the lock's own steps are
        if self._deltas:
            self.current_delta().begin_write().abort()

    def _read_row(self, base: BaseFile) -> ShelfRow:
        while True:
            with translated(self.path, "read"), base.begin() as transaction:
                try:
                    return unpack_row(transaction.get(ROW_KEY), self.path)
                except CoshelfError:
                    if base.is_confirmed(transaction):
                        raise

    @property
    def base(self) -> BaseFile:
        """The shelf's own file, for who is inside."""
        assert self._base is not None
        return self._base

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
        if self.registered and self._base is not None:
            with contextlib.suppress(ShelfClosed), self.inside():
                self.page.wake()

    # --- being inside ------------------------------------------------------------------------------------------------

    def enter(self) -> BaseFile:
        """Keep the environment open until :meth:`leave`. In a process that inherited it, it is opened afresh."""
        self._inside.append(None)
        try:
            if not self.users:
                raise ShelfClosed(f"the shelf {self.path} has been closed")
            base = self._base or self._renew()
        except BaseException:
            self.leave()
            raise
        return base

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

    @property
    def is_busy(self) -> bool:
        """Whether a thread is inside."""
        return bool(self._inside)

    def track(self, transaction: ReadTransaction) -> None:
        self._tracked.add(transaction)

    # --- forks and the end -------------------------------------------------------------------------------------------

    def _renew(self) -> BaseFile:
        """Open again in a child that inherited this object."""
        with _registry.lock:
            if self._base is None:
                self._open(write=self._was_registered)
                if self.files.identity != self.identity:
                    self.shut()
                    raise StorageError(f"{self.path} is another file than the one that was open before the fork")
            assert self._base is not None
            return self._base

    def abandon(self) -> None:
        """In a forked child: keep inherited LMDB objects alive for ever, and be opened afresh at the next use."""
        self._inside = []
        inherited, self._base = self._base, None
        if inherited is None:
            return
        _registry.keep_for_ever([inherited.lmdb, *(delta.lmdb for delta in self._deltas)])
        for transaction in list(self._tracked):
            _registry.keep_for_ever(transaction.abandon())
        for delta in self._deltas:
            delta.close_descriptors()
        self._deltas = []
        self.flusher = Flusher(self)
        self._was_registered = self.registered
        self._tracked = weakref.WeakSet()
        self._exclusive = None
        self.files.abandon()

    def shut(self) -> None:
        """Close, with the registry's lock held and nobody inside."""
        base = self._base
        if base is None:
            return
        try:
            # What threads committed while the last user was closing.
            if self._deltas and self.may_write and not self.page.delta.is_clean():
                self.flusher.flush_inside()
        finally:
            self._base = None
            for transaction in list(self._tracked):
                transaction.close()
            base.close()
            for delta in self._deltas:
                delta.close()
            self._deltas = []
            self.files.close()

    def settle(self) -> None:
        """Before the last :meth:`release`: end the flush thread, which that would not wait for."""
        if self.users == 1:
            self.flusher.pause()

    def release(self) -> None:
        """One user less; after the last one it is closed, as soon as no thread is inside."""
        with _registry.lock:
            self.users -= 1
            _registry.close_unused(self)
            if self.users:  # somebody came meanwhile
                self.flusher.resume()


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
        # A thread that is there at a fork is a warning from Python 3.12 on, and may need the lock to come to its end.
        for environment in self._open.copy().values():
            environment.flusher.pause(_PATIENCE_AT_FORK)
        self.lock.acquire()  # so that the child finds the table whole
        if self._open and self._increase_references is None:
            # Not in the child, where an import that another thread had begun would never end.
            with contextlib.suppress(ImportError):
                import ctypes

                self._increase_references = lambda kept: ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))

    def after_fork_in_parent(self) -> None:
        paused = list(self._open.values())
        self.lock.release()
        for environment in paused:
            environment.flusher.resume()

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
        """At exit: so that all is durable, and the sidecars go, even if somebody forgot to close."""
        for environment in list(self._open.values()):
            environment.flusher.pause()
            try:
                if environment.users and environment.has_delta:
                    environment.flusher.sync()
            finally:
                with self.lock:
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
