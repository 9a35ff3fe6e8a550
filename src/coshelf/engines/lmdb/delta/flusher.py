"""Flushes the delta to the base: when asked to, and in the background while the delta is dirty."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from coshelf.engines.lmdb.base_writer import BaseWriter
from coshelf.engines.lmdb.blobs.catalogue import ROWS, committed_rows
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.keeping_limits import keep_limits
from coshelf.engines.lmdb.locks.turns import again_when_overtaken
from coshelf.engines.lmdb.watching.keeping import begin_history, without_history
from coshelf.errors import CoshelfError, ShelfClosed, StorageError
from coshelf.system.failpoints import ARMED, reach
from coshelf.system.threads.cooperation import Gates, ServiceThread, Wakeup, new_reentrant_lock, this_thread

if TYPE_CHECKING:
    import lmdb

    from coshelf.engines.lmdb.blobs.folder import BlobFolder
    from coshelf.engines.lmdb.delta.delta import Delta
    from coshelf.engines.lmdb.lmdb_file import LmdbFile
    from coshelf.engines.lmdb.open_files import OpenFiles

__all__ = ["Flusher"]


_AFTER_FAILURE = 1.0  # seconds until the next attempt
_LOOK_AGAIN = 1.0  # seconds


class Flusher:
    """One per environment and process. A flush can be repeated without harm, so a process may die anywhere in it.

    Attributes:
        noticed: one element for each commit that the thread does not know to be flushed. Appending is one step, so
            committing threads need no lock. A thread that appends looks at ``thread`` next, and calls :meth:`start` if
            there is none.
        is_removal_due: whether the last flush has left entries that are to be removed: those that have expired, and
            those that are more than the limits. They go in a commit of their own while somebody watches.
        thread: the thread that flushes in the background; None if there is none.
    """

    def __init__(self, environment: OpenFiles, blobs: BlobFolder, remove_due: Callable[[], None]) -> None:
        self._environment = environment
        self._remove_due = remove_due
        self._blobs = blobs
        self._turn = new_reentrant_lock()  # held by a thread that flushes for others, too; guards the number below
        self._ended = Gates()
        self._flushed = 0
        self._mutex = new_reentrant_lock()  # guards the making and ending of the thread
        self.thread: ServiceThread | None = None
        self._wake = Wakeup()
        self._urgent = False
        self._paused = False
        self.noticed: list[None] = []
        self.is_removal_due = False

    def lmdb_files(self) -> list[LmdbFile]:
        """The LMDB files that this process has open."""
        return self._environment.lmdb_files()

    # --- flushing ----------------------------------------------------------------------------------------------------

    def flush(self, *, sweeps: bool = False) -> int:
        """Write all commits of the delta to the base, durably. Return the number up to which the base has every commit.

        ``sweeps``: what has expired is removed even during a transaction. It is that of this thread, and reads no more.

        This takes the base's write lock first, and the delta's only for moments: writers do not wait for the disk.
        """
        environment = self._environment
        with environment.inside():
            if environment.name.is_lost():
                environment.name.refuse_gone()
            flushed = self.flush_inside(sweeps=sweeps)
            environment.name.refuse_gone()  # after all is durable; the next flush notices a later removal
        if self.is_removal_due and not environment.is_resting:
            self.notice()
        return flushed

    @again_when_overtaken
    def flush_inside(self, *, sweeps: bool = False) -> int:
        """Flush without a look at the file's name, for a thread that is inside, or that closes the files."""
        environment = self._environment
        base, state = environment.base, environment.page.delta
        if not state.is_made:  # each commit so far went straight to the base
            return environment.read_row(base).sequence
        state.last_flush = time.monotonic()
        synced = self.sync_blobs()
        with base.writing() as transaction:
            # Under this lock no process can replace the delta.
            delta = environment.current_delta()
            if ARMED:
                reach("flush-locked")
            writer = BaseWriter(base, transaction)
            with translated(base.path, "flush"):
                nonce = os.urandom(16)
                last, found, blobs = self._copy(delta, transaction, writer, nonce, sweeps)
                self._blobs.sync(blobs - synced)
                if ARMED:
                    reach("flush-copied")
                if found:
                    if ARMED:
                        reach("flush-announced")
                    writer.finish(last, nonce)
                    transaction.commit()
                    if ARMED:
                        reach("flush-committed")
                else:
                    transaction.abort()
                    if not state.is_clean() and not state.is_confirmed(writer.row.nonce):
                        base.sync()
        if found:
            base.complete()
        if found or not state.is_clean():
            self.remove(delta, last, nonce if found else writer.row.nonce)
        self._blobs.collect()
        if ARMED:
            reach("flush-done")
        return last

    def sync_blobs(self, more: Iterable[bytes] = ()) -> set[bytes]:
        """Sync the blobs that the delta's commits name, and those in ``more``. Return their ids.

        This comes before the base's lock is taken, so that little work is left while the lock is held.
        """
        environment = self._environment
        with translated(environment.path, "flush"):
            found = {*committed_rows(environment.current_delta().rows(*ROWS)), *more}
        self._blobs.sync(found)
        return found

    def _copy(
        self, delta: Delta, of_base: lmdb.Transaction[bytes], writer: BaseWriter, nonce: bytes, sweeps: bool
    ) -> tuple[int, bool, set[bytes]]:
        """Write to the base the rows of the delta that it does not have.

        Returns the last number, whether there were such rows, and the blobs that they name. If there were rows, this
        announces the nonce that the base will have.
        """
        flushed, history = writer.row.sequence, None
        with delta.taking(flushed) as taken:
            if taken.rows:
                history = begin_history(self._environment, writer, delta)
            writer.take_over(without_history(taken.rows, history, delta, flushed, taken.last))
            if taken.rows:
                taken.settle()
                with self._environment.base.turns.settled(of_base):
                    self._environment.page.delta.announce(writer.row.nonce, nonce)
        if taken.rows:
            is_told = history is not None and history.is_on
            is_claimed = self._environment.page.is_claimed() or is_told
            # A transaction goes on to see what expires meanwhile. Watchers may have read further than this number.
            if (sweeps and not is_told) or not is_claimed:
                writer.sweep(taken.last, len(taken.rows))
            keep_limits(self._environment, writer, taken.last, len(taken.rows), evicts=not is_claimed)
            self.is_removal_due = is_told and writer.is_due
        return taken.last, bool(taken.rows), set(committed_rows(taken.rows))

    @again_when_overtaken
    def remove(self, delta: Delta, flushed: int, nonce: bytes) -> None:
        """Remove from the delta the rows that the base with this nonce has."""
        delta.remove(flushed, nonce, self._environment)
        if ARMED:
            reach("empty-done")

    def flush_until(self, number: int) -> None:
        """Return when the commit with this number is durable. Threads that wait at the same time share one flush.

        A thread that finds no flush under way makes one. The others wait for its end: their commits may be in it.
        A signal handler that interrupts the flush of its own thread does not wait for it, but makes another one. Nor
        does a thread that holds the exclusive lock wait for long: a finalizer may have interrupted the flush, and may
        wait for that lock. Raises :class:`TransactionInProgress` as any write that interrupts its own thread.
        """
        while self._flushed < number:
            has_turn = self._turn.acquire(blocking=False)
            if not has_turn:
                # A finalizer may have interrupted a flush of this thread, for whose lock the other thread waits.
                for file in self.lmdb_files():
                    file.turns.make_way(this_thread())
                self._ended.wait(self._is_my_turn, _LOOK_AGAIN)
                if self._is_my_turn() or not self._environment.is_held_by_this_thread():
                    continue
            try:
                if self._flushed < number:
                    flushed = self.flush()
                    self._flushed = max(self._flushed, flushed)
            finally:
                if has_turn:
                    self._turn.release()
                self._ended.open()

    def _is_my_turn(self) -> bool:
        """Whether no other thread is flushing any more."""
        if not self._turn.acquire(blocking=False):
            return False
        self._turn.release()
        return True

    def sync(self) -> None:
        """Return when everything that was committed so far is durable."""
        environment = self._environment
        with environment.inside():
            if environment.page.delta.is_clean():
                return
            self.flush_until(environment.current_delta().last_number())
            self._wake.ring()  # so that the thread ends early if nothing is left to flush

    # --- in the background -------------------------------------------------------------------------------------------

    def notice(self) -> None:
        """After a commit: have it flushed in time."""
        self.noticed.append(None)
        if self.thread is None:
            self.start()

    def hurry(self) -> None:
        """Flush soon, without waiting for the end of the interval: there is much to flush."""
        if not self._urgent:
            self._urgent = True
            self._wake.ring()

    def start(self) -> None:
        """Have the noticed commits flushed in time by a thread. If no thread can be started, flush now."""
        if self._environment.is_resting:
            self.flush()
            return
        thread = ServiceThread("coshelf-flush", self._run)
        try:  # an interrupt may come anywhere
            with self._mutex:
                if self.thread is not None or self._paused:
                    return
                self.thread = thread
            thread.start()
        except BaseException as error:
            if self.thread is thread:
                self.thread = None
            # No thread can be started: the interpreter is ending, or there are too many threads.
            if not isinstance(error, RuntimeError):
                raise
        else:
            return
        known = len(self.noticed)
        self.is_removal_due = False  # a later flush finds it again
        with suppress(StorageError):  # the commit itself has succeeded, so it must not raise this error
            self.flush()
            del self.noticed[:known]

    def _run(self) -> None:
        try:
            self._flush_in_turn()
        finally:
            with self._mutex:
                if self.thread is not None and self.thread.is_this:
                    self.thread = None

    def _flush_in_turn(self) -> None:
        environment = self._environment
        while not self._paused:
            interval = environment.flush_interval
            try:
                with environment.inside():  # may raise: handles closed at the same time do not wait for this thread
                    known = len(self.noticed)  # counted first: these commits have made the delta dirty, or were flushed
                    state = environment.page.delta
                    clean, wait = state.is_clean(), state.last_flush + interval - time.monotonic()
            except ShelfClosed:
                return
            if clean:
                if self.is_removal_due:
                    self._remove_what_is_due()
                del self.noticed[:known]
                if self._may_end():
                    return
                continue
            if wait > 0 and not self._urgent:
                self._wake.wait(min(wait, interval))  # another container may have another clock
                continue  # another process may have flushed meanwhile
            try:
                self.flush()
                if self.is_removal_due:
                    self._remove_what_is_due()
                self._urgent = False  # not earlier: the delta stays as full as it was until the flush ends
            except ShelfClosed:
                return
            except CoshelfError:
                # This thread tries again later. A caller of sync() or close() gets the error, too.
                self._wake.wait(max(interval, _AFTER_FAILURE))
                continue
            del self.noticed[:known]
            if self._may_end():
                return

    def _remove_what_is_due(self) -> None:
        self.is_removal_due = False
        with suppress(CoshelfError):  # for example a full disk: the next flush finds again that something is due
            self._remove_due()

    def _may_end(self) -> bool:
        """End the thread if nothing is left to flush. A commit that comes now starts another one."""
        with self._mutex:
            thread, self.thread = self.thread, None
            if self.noticed and not self._paused:  # after the line above: a thread that commits does the two in reverse
                self.thread = thread
                return False
        return True

    def pause(self, patience: float | None = None) -> None:
        """End the thread, and start none until :meth:`resume`. Used before a fork, and when closing."""
        with self._mutex:
            self._paused = True
            thread = self.thread
        self._wake.ring()
        if thread is not None:
            thread.join(patience)

    def end(self) -> None:
        """Stop for good. This does not wait for the thread's end, since the thread itself may be the caller."""
        self._paused = True
        self._wake.ring()

    def resume(self) -> None:
        self._paused = False
        self._wake.clear()
        if self.noticed:
            self.start()
