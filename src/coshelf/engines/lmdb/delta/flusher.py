"""Carrying the delta to the base: when asked for, and in the background while there is something to carry."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from coshelf import records
from coshelf.engines.lmdb.base_writer import BaseWriter
from coshelf.engines.lmdb.blobs.catalogue import ROWS, committed_rows
from coshelf.engines.lmdb.failpoints import ARMED, reach
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.locks.turns import again_when_overtaken
from coshelf.errors import CoshelfError, ShelfClosed, StorageError
from coshelf.system.cooperation import Gates, ServiceThread, Wakeup, new_reentrant_lock

if TYPE_CHECKING:
    import lmdb

    from coshelf.engines.lmdb.blobs.folder import BlobFolder
    from coshelf.engines.lmdb.delta.rows import Delta
    from coshelf.engines.lmdb.open_files import OpenFiles

__all__ = ["Flusher"]


_AFTER_FAILURE = 1.0  # seconds until the next attempt
_LOOK_AGAIN = 1.0  # seconds


class Flusher:
    """One per environment and process. A flush is harmless when repeated, so a process may die anywhere in it.

    Attributes:
        noticed: one element for each commit that the thread does not know to be flushed: appending is one step, so that
            committing threads need no lock. Who appends looks at ``thread`` next, and calls :meth:`start`.
        thread: the one that flushes in the background, None if there is none.
    """

    def __init__(self, environment: OpenFiles, blobs: BlobFolder) -> None:
        self._environment = environment
        self._blobs = blobs
        self._turn = new_reentrant_lock()  # of who makes a flush that others wait for; guards the number below
        self._ended = Gates()
        self._flushed = 0
        self._mutex = new_reentrant_lock()  # guards the making and ending of the thread
        self.thread: ServiceThread | None = None
        self._wake = Wakeup()
        self._urgent = False
        self._paused = False
        self.noticed: list[None] = []

    # --- flushing ----------------------------------------------------------------------------------------------------

    def flush(self) -> int:
        """Carry all that the delta has to the base, durably; return the number up to which the base has every commit.

        Base's write lock is taken first, the delta's only for moments: writers do not wait for the disk.
        """
        environment = self._environment
        with environment.inside():
            if environment.name.is_lost():
                environment.name.refuse_gone()
            flushed = self.flush_inside()
            environment.name.refuse_gone()  # after it was durable: what comes from here on is seen by the next one
            return flushed

    @again_when_overtaken
    def flush_inside(self) -> int:
        """As :meth:`flush`, for a thread that is inside, or that closes the files."""
        environment = self._environment
        base, state = environment.base, environment.page.delta
        if not state.is_made:  # each commit so far went straight to the base
            return environment.read_row(base).sequence
        state.last_flush = time.monotonic()
        synced = self.sync_blobs()
        with base.writing() as transaction:
            # Under this lock no other delta takes the place of the one there is.
            delta = environment.current_delta()
            if ARMED:
                reach("flush-locked")
            writer = BaseWriter(base, transaction)
            with translated(base.path, "flush"):
                nonce = os.urandom(16)
                last, found, blobs = self._copy(delta, transaction, writer, nonce)
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
        """Make durable the blobs that the delta's commits brought, and these; return which.

        Before the base's lock is taken, so that little is left to be done while it is held.
        """
        environment = self._environment
        delta = environment.current_delta()
        with translated(environment.path, "flush"), delta.begin() as reading:
            found = {*committed_rows(delta.rows(reading, *ROWS)), *more}
        self._blobs.sync(found)
        return found

    def _copy(
        self, delta: Delta, of_base: lmdb.Transaction[bytes], writer: BaseWriter, nonce: bytes
    ) -> tuple[int, bool, set[bytes]]:
        """Write what the base has not into it; return the last number, whether there was anything, and new blobs.

        If there was, the nonce is announced that the base will have.

        Writers are kept out meanwhile: some 10 ms for 20,000 entries. Beside threads that write in turn with it, each
        waiting for the interpreter's lock, it took six times as long, and made their commits as slow.
        """
        with delta.writing() as transaction:
            last = delta.number(transaction) - 1
            flushed = writer.row.sequence
            current = [row for row in delta.everything(transaction) if records.version(row[1]) > flushed]
            writer.take_over(current)
            if current:
                delta.turns.settle(transaction)
                self._environment.base.turns.refuse_lost(of_base)
                self._environment.page.delta.announce(writer.row.nonce, nonce)
        return last, bool(current), set(committed_rows(current))

    @again_when_overtaken
    def remove(self, delta: Delta, flushed: int, nonce: bytes) -> None:
        """Remove from the delta what the base with this nonce has.

        In one transaction that drops everything and puts back what is newer: row by row it took five times as long,
        and slowed those down who write meanwhile. What stays, since there is no room for that, does no harm.
        """
        state = self._environment.page.delta
        with translated(delta.path, "empty"), delta.writing() as transaction:
            if not state.is_of(delta.identity):
                return
            newer = [] if delta.number(transaction) == flushed + 1 else delta.newer(transaction, flushed)
            size = sum(len(key) + len(row) for key, row in newer)
            if not delta.has_room(delta.usage(transaction), len(newer), size, reserve=0):
                return
            delta.turns.settle(transaction)
            state.confirm(nonce)
            if not newer:
                state.clean()
            if ARMED:
                reach("empty-begun")
            delta.keep_only(transaction, newer)
            transaction.commit()
        if ARMED:
            reach("empty-done")

    def flush_until(self, number: int) -> None:
        """Return when the commit with this number is durable. Threads that wait at the same time share one flush.

        A thread that finds no flush under way makes one. The others wait for its end: their commits may be in it.
        A signal handler that interrupts the flush of its own thread does not wait for it, but makes another one.
        """
        while self._flushed < number:
            if not self._turn.acquire(blocking=False):
                self._ended.wait(self._is_my_turn, _LOOK_AGAIN)
                continue
            try:
                if self._flushed < number:
                    flushed = self.flush()
                    self._flushed = max(self._flushed, flushed)
            finally:
                self._turn.release()
                self._ended.open()

    def _is_my_turn(self) -> bool:
        """Whether nobody makes a flush any more."""
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
            delta = environment.current_delta()
            with delta.begin() as reading:
                last = delta.number(reading)
            self.flush_until(last)
            self._wake.ring()  # the thread may have nothing left to wait for

    # --- in the background -------------------------------------------------------------------------------------------

    def notice(self) -> None:
        """After a commit: see to it that it is flushed in time."""
        self.noticed.append(None)
        if self.thread is None:
            self.start()

    def hurry(self) -> None:
        """There is much to flush: do not wait for the interval to end."""
        if not self._urgent:
            self._urgent = True
            self._wake.ring()

    def start(self) -> None:
        """Have what was noticed flushed in time, by a thread where there can be one."""
        if self._environment.is_resting:
            self.flush()
            return
        with self._mutex:
            if self.thread is not None or self._paused:
                return
            thread = self.thread = ServiceThread("coshelf-flush", self._run)
        try:
            thread.start()
        except BaseException as error:
            self.thread = None
            # Without it: the interpreter is ending, or there are too many threads.
            if not isinstance(error, RuntimeError):
                raise
        else:
            return
        known = len(self.noticed)
        with suppress(StorageError):  # the commit is there, so it must not look as if it had failed
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
                with environment.inside():  # of handles closed at the same time, none may have waited for our end
                    known = len(self.noticed)  # before looking: these commits have made it dirty, or were flushed
                    state = environment.page.delta
                    clean, wait = state.is_clean(), state.last_flush + interval - time.monotonic()
            except ShelfClosed:
                return
            if clean:
                del self.noticed[:known]
                if self._may_end():
                    return
                continue
            if wait > 0 and not self._urgent:
                self._wake.wait(min(wait, interval))  # the clock may be another one in another container
                continue  # others may have flushed meanwhile
            try:
                self.flush()
                self._urgent = False  # not before: while it goes on the delta is as full as it was
            except ShelfClosed:
                return
            except CoshelfError:
                # Whoever calls sync() or close() meets it, too, and is told. Here it is tried again a while later.
                self._wake.wait(max(interval, _AFTER_FAILURE))
                continue
            del self.noticed[:known]
            if self._may_end():
                return

    def _may_end(self) -> bool:
        """End the thread if nothing is left to flush. A commit that comes now starts another one."""
        with self._mutex:
            thread, self.thread = self.thread, None
            if self.noticed and not self._paused:  # looked at after the line above, as who commits does the reverse
                self.thread = thread
                return False
        return True

    def pause(self, patience: float | None = None) -> None:
        """End the thread and let none be started until :meth:`resume`: before a fork, and when closing."""
        with self._mutex:
            self._paused = True
            thread = self.thread
        self._wake.ring()
        if thread is not None:
            thread.join(patience)

    def end(self) -> None:
        """As :meth:`pause`, for good, and without waiting for the thread, which may be the one that calls."""
        self._paused = True
        self._wake.ring()

    def resume(self) -> None:
        self._paused = False
        self._wake.clear()
        if self.noticed:
            self.start()
