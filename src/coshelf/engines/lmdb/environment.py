"""An open shelf in one process, shared by all who open that file, and renewed in forked children."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from coshelf.contract import Doorbell, PollingBell
from coshelf.engines.lmdb.blobs.folder import BlobFolder
from coshelf.engines.lmdb.delta.files import decide_kind, make_delta_files, remove_delta_files
from coshelf.engines.lmdb.delta.flusher import Flusher
from coshelf.engines.lmdb.delta.rows import Delta
from coshelf.engines.lmdb.delta.state import DIRECT, MAPPED, PLAIN, DeltaIdentity, DeltaState
from coshelf.engines.lmdb.failpoints import ARMED, reach
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.files.sidecar_directory import delta_path
from coshelf.engines.lmdb.files.sidecars import Files, open_files
from coshelf.engines.lmdb.files.state_page import Bell, StatePage
from coshelf.engines.lmdb.lmdb_file import BaseFile, LmdbFile
from coshelf.engines.lmdb.locks.exclusive import ExclusiveLock
from coshelf.engines.lmdb.locks.lending import close_files, lend, take_back
from coshelf.engines.lmdb.locks.turns import again_when_overtaken
from coshelf.engines.lmdb.registry import REGISTRY
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, unpack_row
from coshelf.engines.whereabouts import OpenName
from coshelf.errors import (
    CoshelfError,
    DamagedShelf,
    ReadOnlyShelf,
    ShelfClosed,
    StorageError,
    StorageFull,
)

if TYPE_CHECKING:
    from coshelf.engines.lmdb.read_transaction import ReadTransaction

__all__ = ["Environment", "acquire"]

# Where address space is limited (ulimit -v), smaller maps are tried for a new delta.
_DELTA_MAPS = (128 << 20, 32 << 20)
_NO_ROOM_OR_RIGHT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)
# Seconds after which nobody seems to care for what waits in the delta, beside twice the interval.
_NEGLECTED = 0.5
# Seconds that who replaces the file waits for threads to come out, looking again after each pause.
_PATIENCE = 5.0
_PAUSE = 0.001


class Environment:
    """An open shelf: its base, and its delta if it has one. Use :func:`acquire`, and :meth:`release` once for each.

    LMDB must not be closed while a thread is in one of its calls, some of which let other threads run. So whoever
    calls it is *inside*, between :meth:`enter` and :meth:`leave`, and the last one out closes what has no users.
    """

    def __init__(self, path: str, *, write: bool, timeout: float, trusted: bool) -> None:
        self.path = path
        self._trusted = trusted
        self.flush_interval = float("inf")  # the shortest that a user asked for
        self.may_write = False  # whether a user asked for more than reading
        self._timeout = timeout
        self._tracked: weakref.WeakSet[ReadTransaction] = weakref.WeakSet()
        self._base: BaseFile | None = None
        self._deltas: list[Delta] = []  # the one in use, and before it those whose place it took
        self._inside: list[None] = []
        self._block = _Inside(self)
        self._is_shutting = False
        self.is_resting = False
        self._renewing: list[None] = []  # those inside who wait for it to be opened again
        self._was_registered = False
        self._exclusive: ExclusiveLock | None = None
        self.name = OpenName(path, lambda: self.files.descriptor)
        self.delta_state: DeltaState | None = None  # None where there is no delta
        self.flusher = Flusher(self)
        self.blobs = BlobFolder(self)
        self.users = 0
        self._open(write=write)
        self.identity = self.files.identity

    def _open(self, *, write: bool) -> None:
        self.files: Files = open_files(self.path, write=write, timeout=self._timeout, trusted=self._trusted)
        # Whether writers know of our readers. If not, each read must be confirmed.
        self.registered = self.files.page is not None
        self.has_damage = self.files.has_damage
        self.reads_plainly = self.registered and not self.has_damage
        try:
            base = BaseFile(self.path, self.files.descriptor, registered=self.registered, others=len(REGISTRY))
            try:
                self.row = self.read_row(base)
                if self.files.page is not None:
                    self.files.page.lock_by(base.lock_descriptor)
                    self._open_delta(self.files.page)
                if self.files.alone:
                    self.files.share()
                lend(self.files, base.descriptor)
            except BaseException:
                self._close_deltas()
                base.close()
                raise
            if self.files.page is not None and self._exclusive is not None:
                self._exclusive.renew(self.files.page)
            elif self.files.page is not None:
                self._exclusive = ExclusiveLock(self.path, self.files.page, self.inside, self._barrier)
        except BaseException:
            self.files.close()
            raise
        self._base = base

    def _open_delta(self, page: StatePage) -> None:
        """Open a dirty delta. A clean one is opened at its first use, and a missing one made by the first commit.

        A delta that dead processes left is opened at once, so that a damaged one is noticed.
        """
        state = page.delta
        self.delta_state = state if state.is_expected else None
        if not state.is_clean() or (self.files.alone and state.is_made):
            self._deltas = [self._open_known_delta(state)]

    def _open_known_delta(self, state: DeltaState) -> Delta:
        """The delta that the state page names. Another process may put another one in its place just now."""
        while True:
            identity = state.identity()
            try:
                delta = Delta(self.path, identity, state)
            except StorageError:
                if state.identity() == identity:
                    raise
                continue
            if delta.is_in_place() and state.identity() == identity:
                try:
                    self._verify_delta(delta)
                except BaseException:
                    delta.close()
                    raise
                return delta
            delta.close()
            if not delta.is_in_place():
                remove_delta_files(self.path, identity.generation)

    def _verify_delta(self, delta: Delta) -> None:
        self.files.refuse_exposed(delta.path, delta.descriptor)
        with delta.begin() as reading:
            # LMDB takes a file that was emptied for a new one. Its commits would have numbers that the base has.
            if delta.number(reading) < self.row.sequence:
                raise DamagedShelf(f"{delta.path} is damaged: the base has commits that it never had")

    @again_when_overtaken
    def make_delta(self) -> bool:
        """Make the delta, unless a process has made it; return whether it exists. For who is inside, and commits.

        There is none where there is no space for it, or where this user may not make files. Then each commit goes
        straight to the base.
        """
        state = self.page.delta
        if state.is_made:
            return True
        with self.base.writing() as transaction:
            # A signal handler that committed now would make the same files.
            self.base.turns.settle(transaction)
            if state.is_made:
                return True
            row = unpack_row(transaction.get(ROW_KEY), self.path)
            kind = decide_kind(self.path, self.files.status)
            with REGISTRY.lock:  # so that no fork, and no other thread, meets it half made
                delta = None if kind == DIRECT else self._try_to_make_delta(row, kind)
                if delta is None:
                    return False
                if ARMED:
                    reach("delta-made")
                state.announce(row.nonce, row.nonce)
                self._publish(delta)
                if ARMED:
                    reach("delta-published")
        return True

    def _try_to_make_delta(self, row: ShelfRow, kind: int) -> Delta | None:
        try:
            return self._make_delta_files(row.store_id, kind, 0, row.sequence)
        except StorageFull:
            return None
        except OSError as error:
            if error.errno in _NO_ROOM_OR_RIGHT:
                return None
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                error.errno, f"cannot make a file beside the shelf: {error.strerror}", error.filename or self.path
            ) from error

    def make_next_delta(self, old: Delta, number: int) -> None:
        """Make the delta that takes the place of this one, with the write locks of base and delta held."""
        before = old.identity
        delta = self._make_delta_files(before.store_id, before.kind, before.generation + 1, number)
        self.page.delta.clean()
        self._publish(delta)
        remove_delta_files(self.path, before.generation)

    def _make_delta_files(self, store_id: bytes, kind: int, generation: int, offset: int) -> Delta:
        try:
            return self._make_delta(
                make_delta_files(self.path, self.files.status, store_id, kind, generation, offset)
            )  # fmt: skip
        except BaseException:
            remove_delta_files(self.path, generation)
            raise

    def _publish(self, delta: Delta) -> None:
        """Have everybody use a delta that was made."""
        with REGISTRY.lock:  # so that no other thread opens it a second time
            self._deltas.append(delta)
            self.page.delta.set_identity(delta.identity)

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
                    self._empty_delta(identity)
                    continue
                try:
                    delta.take_first_space()
                except BaseException:
                    delta.close()
                    raise
                return delta
        raise failure

    def _empty_delta(self, identity: DeltaIdentity) -> None:
        """LMDB may have begun to write when it failed."""
        path = delta_path(self.path, identity.generation)
        try:
            with open(path, "r+b") as begun:
                begun.truncate()
        except OSError as error:
            raise StorageError(error.errno, f"cannot empty the delta that was begun: {error.strerror}", path) from error

    def current_delta(self) -> Delta:
        """The delta, for who is inside, once it is made. Another process may have put another one in its place."""
        delta, state = self.latest_delta, self.page.delta
        if delta is not None and state.is_of(delta.identity):
            return delta
        with REGISTRY.lock:
            delta = self.latest_delta
            if delta is None or not state.is_of(delta.identity):
                delta = self._open_known_delta(state)
                self._deltas.append(delta)
            return delta

    @property
    def latest_delta(self) -> Delta | None:
        """The delta that this process used last, if it has used one."""
        return self._deltas[-1] if self._deltas else None

    @property
    def has_delta(self) -> bool:
        """Whether commits go to a delta, if there is space for one. It is made by the first of them."""
        return self.delta_state is not None

    @property
    def is_delta_made(self) -> bool:
        return self.delta_state is not None and self.delta_state.is_made

    def tend(self) -> None:
        """Have flushed what a process left that died, or was stopped. For who reads a dirty delta, and is inside."""
        state = self.delta_state
        if self.may_write and state is not None:
            patience = _NEGLECTED + 2 * self.flush_interval
            if time.monotonic() - state.last_flush > patience:
                self.flusher.notice()

    @property
    def is_open(self) -> bool:
        """Whether this process has it open; a forked child that never used it has not."""
        return self._base is not None

    @again_when_overtaken
    def _barrier(self, *, after_death: bool) -> None:
        """Wait for the commits under way.

        After a death base's lock is taken, too: LMDB makes a commit visible after it is durable, so one of the dead may
        be there and appear only when the next writer takes the lock. Reads before that would not have it.
        """
        if after_death or not self.is_delta_made:
            with self.base.writing():  # inside, as the lock's own steps are
                pass
        if self.is_delta_made:  # asked again: a commit that was waited for may have made it
            with self.current_delta().writing():
                pass

    def settle_dead_commits(self) -> None:
        """Have every commit visible that a process made before it died. For who is inside, and writes."""
        self._barrier(after_death=True)

    def read_row(self, base: BaseFile) -> ShelfRow:
        """The shelf row as the base has it now."""
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
        return Bell(lambda: self.page, self.inside) if self.registered else PollingBell()

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
            REGISTRY.close_unused(self)

    def inside(self) -> _Inside:
        """Being inside for a block."""
        return self._block

    @property
    def is_busy(self) -> bool:
        """Whether a thread is inside."""
        return bool(self._inside)

    def track(self, transaction: ReadTransaction) -> None:
        self._tracked.add(transaction)

    def read_since(self) -> list[float]:
        """Since when the transactions are kept that are, by the monotonic clock."""
        return [transaction.since for transaction in list(self._tracked) if transaction.alive]

    # --- forks and the end -------------------------------------------------------------------------------------------

    def pause_threads(self, patience: float) -> None:
        """Before a fork: end the threads of our own, unless that takes longer than this many seconds."""
        self.flusher.pause(patience)
        for file in self.lmdb_files():
            file.writer_mutex.pause()

    def resume_threads(self) -> None:
        """After a fork, in the parent."""
        self.flusher.resume()
        for file in self.lmdb_files():
            file.writer_mutex.resume()

    def lmdb_files(self) -> list[LmdbFile]:
        """What is open in this process."""
        return [*self._deltas] if self._base is None else [self._base, *self._deltas]

    def _renew(self) -> BaseFile:
        """Open again in a child that inherited this object."""
        self._renewing.append(None)
        try:
            return self._renew_alone()
        finally:
            self._renewing.pop()

    def _renew_alone(self) -> BaseFile:
        with REGISTRY.lock:
            if self._base is None:
                self._open(write=self._was_registered)
                REGISTRY.watch_end()
                if self.files.identity != self.identity:
                    self.shut()
                    raise StorageError(f"{self.path} is another file than the one that was open before the fork")
            assert self._base is not None
            return self._base

    def abandon(self) -> None:
        """In a forked child: keep inherited LMDB objects alive for ever, and be opened afresh at the next use."""
        self._inside = []
        self._renewing = []
        inherited, self._base = self._base, None
        if inherited is None:
            return
        REGISTRY.keep_for_ever([inherited.abandon(), *(delta.abandon() for delta in self._deltas)])
        for transaction in list(self._tracked):
            REGISTRY.keep_for_ever(transaction.abandon())
        self._deltas = []
        self.flusher = Flusher(self)
        self.blobs.abandon()
        self._was_registered = self.registered
        self._tracked = weakref.WeakSet()
        self._exclusive = None
        self.files.abandon()

    def shut(self) -> None:
        """Close, with the registry's lock held and nobody inside."""
        base = self._base
        if base is None or self._is_shutting:  # a handler that interrupts it finds the shelf closed
            return
        self._is_shutting = True
        self.flusher.end()
        try:
            # What threads committed while the last user was closing.
            if self.has_delta and self.may_write and not self.page.delta.is_clean() and not self.name.is_lost():
                self.flusher.flush_inside()
            if self.may_write and self.registered:
                self.blobs.collect()
        finally:
            self._base = None
            self.blobs.leave()
            for transaction in list(self._tracked):
                transaction.close()
            self._close_deltas()
            try:
                if self.registered:
                    self.page.unlock()
                close_files(self.files, base.close, has_written=self.may_write if self.row.writable else None)
            finally:
                self._is_shutting = False

    def _close_deltas(self) -> None:
        for delta in self._deltas:
            delta.close()
        self._deltas = []

    # --- another file in the place of this one -----------------------------------------------------------------------

    def other_processes(self) -> list[int]:
        """The pids of others who have it open and have read from it."""
        with self.inside():
            return sorted({pid for pid, _ in self.base.readers()} - {os.getpid()})

    def replace_file(self, rewrite: Callable[[Files], None]) -> str | None:
        """Close, let another file be put in the place of this one, and open that. By who holds the exclusive lock.

        Returns what is in the way, if something is. Threads that come meanwhile wait until it is open again.
        """
        self.flusher.pause()
        try:
            with self.inside():
                self.wake()
                if self.has_delta:
                    self.flusher.sync()
            with REGISTRY.lock:
                base, self._base = self._base, None
                if base is None or not self._is_left(_PATIENCE):
                    self._base = base
                    return "a thread of this process is reading or waiting in it"
                if any(transaction.alive for transaction in self._tracked):
                    self._base = base
                    return "this process holds a snapshot of it, or an iteration that has not come to its end"
                return self._reopened(base, rewrite)
        finally:
            self.flusher.resume()

    def _is_left(self, patience: float) -> bool:
        """Whether nobody is inside but those who wait for it to be opened again."""
        end = time.monotonic() + patience
        while len(self._inside) > len(self._renewing):
            if time.monotonic() > end:
                return False
            time.sleep(_PAUSE)
        return True

    def _reopened(self, base: BaseFile, rewrite: Callable[[Files], None]) -> str | None:
        self._was_registered = True
        if not take_back(self.files):
            self._base = base
            return "this process has no descriptor left"
        self._close_deltas()
        self.page.unlock()
        base.close()
        try:
            if not self.files.is_alone():
                return "another process has just opened it, or written to it"
            rewrite(self.files)
        finally:
            self.files.close()
            REGISTRY.move(self, os.stat(self.path))
            self._open(write=True)
        return None

    def settle(self) -> None:
        """Before the last :meth:`release`: end the flush thread, which that would not wait for."""
        if self.users == 1:
            self.flusher.pause()

    def rest(self) -> None:
        """The interpreter ends: from here on each commit is flushed by who makes it, since no thread can do it."""
        self.is_resting = True

    def release(self) -> None:
        """One user less; after the last one it is closed, as soon as no thread is inside."""
        with REGISTRY.lock:
            self.users -= 1
            REGISTRY.close_unused(self)
            if self.users:  # somebody came meanwhile
                self.flusher.resume()


class _Inside:
    """The blocks of :meth:`Environment.inside`, all of them: which are open is the environment's to know."""

    __slots__ = ("_environment",)

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def __enter__(self) -> None:
        self._environment.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._environment.leave()


def acquire(path: str, *, write: bool, timeout: float, trusted: bool) -> Environment:
    """The environment of a file in this process, opened if it is not yet."""
    return REGISTRY.acquire(
        path, lambda: Environment(path, write=write, timeout=timeout, trusted=trusted), write=write, timeout=timeout
    )
