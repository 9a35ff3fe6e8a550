"""The life of an open shelf in one process: it is opened once for all users, opened again after forks, and closed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING

from coshelf.engines.lmdb.blobs.folder import BlobFolder
from coshelf.engines.lmdb.delta.flusher import Flusher
from coshelf.engines.lmdb.files.sidecars import Files
from coshelf.engines.lmdb.lmdb_file import BaseFile
from coshelf.engines.lmdb.locks.lending import close_files, take_back
from coshelf.engines.lmdb.locks.turns import again_when_overtaken
from coshelf.engines.lmdb.open_files import NOT_SEEN, OpenFiles
from coshelf.engines.lmdb.registry import REGISTRY
from coshelf.engines.lmdb.watching.keeping import note_era
from coshelf.engines.lmdb.watching.watchers import Watchers
from coshelf.errors import StorageError
from coshelf.system.threads.living import Living

if TYPE_CHECKING:
    from coshelf.contract import OpenOptions
    from coshelf.values.blobs import NewBlob

__all__ = ["Environment", "acquire"]

# Seconds, added to twice the interval, after which a reader assumes that no process will flush the delta.
_NEGLECTED = 0.5
# Seconds that the replacement of the file waits for threads to leave LMDB. It looks again after each pause.
_PATIENCE = 5.0
_PAUSE = 0.001


class Environment(OpenFiles):
    """An open shelf and its life. Use :func:`acquire`, and :meth:`release` once for each.

    The last thread that leaves LMDB closes the files if they have no users by then.

    Attributes:
        watchers: the readers of changes in this process.
        may_be_deleted: whether another shelf may take its name in this process, once its file was deleted.
        remove_due: removes what has expired, and what is more than the limits, as a commit that watchers are told. A
            handle that may write sets it.
    """

    def __init__(self, path: str, *, write: bool, timeout: float, trusted: bool) -> None:
        super().__init__(path, timeout=timeout, trusted=trusted)
        self._is_shutting = False
        self.may_be_deleted = False
        self._renewing: list[None] = []  # one for each thread inside that waits for the files to be opened again
        self._was_registered = False
        self.blobs = BlobFolder(self, self._flush)
        self.flusher = Flusher(self, self.blobs, self._remove_due)
        self.watchers = Watchers(self)
        self.remove_due: Callable[[], None] = _nothing
        self._open(write=write)
        self.identity = self.files.identity

    def used_by(self, options: OpenOptions) -> None:
        """Note what one more handle needs."""
        with REGISTRY.lock:  # two threads may open the shelf at once
            self.flush_interval = min(self.flush_interval, options.flush_interval)
            self.may_write |= options.flag != "r"

    def _flush(self) -> None:
        self.flusher.flush()

    def _remove_due(self) -> None:
        self.remove_due()

    def naming(self, blobs: Iterable[NewBlob]) -> AbstractContextManager[None]:
        return self.blobs.naming(blobs)

    @again_when_overtaken
    def _note_era(self) -> None:
        if not self.name.is_lost():
            note_era(self)

    def tend(self) -> None:
        """Start a flush if a process that died, or was stopped, left the delta dirty. The caller is inside."""
        state = self.delta_state
        if state is not None and time.monotonic() - state.last_flush > self.patience:
            self.flusher.notice()

    @property
    def patience(self) -> float:
        """Seconds since the last flush after which this process sees to the next one. Infinite if it may not write."""
        return _NEGLECTED + 2 * self.flush_interval if self.may_write else float("inf")

    # --- forks and the end -------------------------------------------------------------------------------------------

    def _close_unused(self) -> None:
        REGISTRY.close_unused(self)

    def refuse_gone(self) -> None:
        """Raise :class:`ShelfGone` if the name does not lead to the open file any more."""
        with self.inside():
            self.name.refuse_gone()

    def sync_at_end(self) -> None:
        """Flush what this process may flush, and change nothing else: threads may still be at work."""
        if self.users and self.is_open and self.has_delta and self.may_write:
            self.flusher.sync()

    def pause_threads(self, patience: float) -> None:
        """Before a fork: end our own threads. Give up after ``patience`` seconds."""
        self.flusher.pause(patience)
        for file in self.lmdb_files():
            file.writer_mutex.pause()

    def resume_threads(self) -> None:
        """After a fork, in the parent: allow our own threads again."""
        self.flusher.resume()
        for file in self.lmdb_files():
            file.writer_mutex.resume()

    def _renew(self) -> BaseFile:
        """Open again in a child that inherited this object."""
        self._renewing.append(None)
        try:
            return self._renew_alone()
        finally:
            self._renewing.pop()

    def _renew_alone(self) -> BaseFile:
        while True:
            with REGISTRY.lock:
                if self._outgoing is None:
                    if self._base is None:
                        self._open(write=self._was_registered)
                        REGISTRY.watch_end()
                        if self.files.identity != self.identity:
                            self.shut()
                            raise StorageError(
                                f"{self.path} is another file than the one that was open before the fork"
                            )
                    assert self._base is not None
                    return self._base
            time.sleep(_PAUSE)  # until the file is replaced

    def abandon(self) -> None:
        """In a forked child: keep inherited LMDB objects alive for ever. The next use opens the files again."""
        self._inside = []
        self._renewing = []
        inherited, self._base, self._outgoing = self._base or self._outgoing, None, None
        if inherited is None:
            return
        REGISTRY.keep_for_ever([inherited.abandon(), *(delta.abandon() for delta in self._opened_deltas)])
        for transaction in list(self._tracked):
            REGISTRY.keep_for_ever([transaction.abandon()])
        self._deltas, self._opened_deltas, self.delta_state = None, [], None
        self.seen_uses = NOT_SEEN
        self.flusher = Flusher(self, self.blobs, self._remove_due)
        self.blobs.abandon()
        self.watchers.abandon()
        self._was_registered = self.registered
        self._tracked = Living()
        self._exclusive = None
        self.files.abandon()

    def shut(self) -> None:
        """Close the files. The caller holds the registry's lock, and no thread is inside."""
        base = self._base
        if base is None or self._is_shutting:  # a signal handler that interrupts this finds the shelf closed
            return
        self._is_shutting = True
        self.flusher.end()
        try:
            if self._deltas is not None:  # first: the module in C does not ask whether the shelf is open
                self._deltas.end_stores()
            # Flush what threads committed while the last user was closing.
            if self.has_delta and self.may_write and not self.page.delta.is_clean() and not self.name.is_lost():
                self.flusher.flush_inside()
            if self.may_write and self.registered:
                with suppress(StorageError):
                    self._note_era()
                self.blobs.collect()
        finally:
            self._base, self.delta_state = None, None
            self.seen_uses = NOT_SEEN
            self.blobs.leave()
            self.watchers.leave()
            for transaction in list(self._tracked):
                transaction.close()
            self._close_deltas()
            try:
                if self.registered:
                    self.page.unlock()
                close_files(self.files, base.close, has_written=self.may_write if self.row.writable else None)
            finally:
                self._is_shutting = False

    # --- another file in the place of this one -----------------------------------------------------------------------

    def other_processes(self) -> list[int]:
        """The pids of other processes that have the shelf open and have read from it."""
        with self.inside():
            return sorted({pid for pid, _ in self.base.readers()} - {os.getpid()})

    def replace_file(self, rewrite: Callable[[Files], None]) -> str | None:
        """Close, replace the file by another one, and open that. The caller holds the exclusive lock.

        Returns the reason if the file cannot be replaced now. Threads that enter meanwhile wait until it is open again.
        """
        self.flusher.pause(_PATIENCE)  # a finalizer in that thread may wait for the exclusive lock
        try:
            with self.inside():
                self.wake()
                if self.has_delta:
                    self.flusher.sync()
                self._note_era()
            with REGISTRY.lock:
                self._outgoing, self._base = self._base, None
            is_left = False
            try:
                is_left = self._is_left(_PATIENCE)  # without the lock, which a thread inside may need to open a delta
            finally:
                with REGISTRY.lock:
                    hindrance = self._replace_outgoing(rewrite, is_left)
            return hindrance
        finally:
            self.flusher.resume()

    def _replace_outgoing(self, rewrite: Callable[[Files], None], is_left: bool) -> str | None:
        base, self._outgoing = self._outgoing, None
        hindrance = None
        if base is None or not is_left:
            hindrance = "a thread of this process is reading or waiting in it"
        elif any(transaction.alive for transaction in self._tracked):
            hindrance = "this process holds a snapshot of it, or an iteration that has not come to its end"
        if base is None or hindrance is not None:
            self._base = base
            return hindrance
        return self._reopened(base, rewrite)

    def _is_left(self, patience: float) -> bool:
        """Whether every thread inside waits for the files to be opened again."""
        end = time.monotonic() + patience
        while len(self._inside) > len(self._renewing):
            if time.monotonic() > end:
                return False
            self.page.wake()  # again and again, for threads that were about to wait at the bell
            time.sleep(_PAUSE)
        return True

    def _reopened(self, base: BaseFile, rewrite: Callable[[Files], None]) -> str | None:
        self._was_registered = True
        if not take_back(self.files):
            self._base = base
            return "this process has no descriptor left"
        watching = self.page.watch.copy()
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
            self.watchers.forget_place()
        self.page.watch.take_over(watching)
        return None

    def settle(self) -> None:
        """Before the last :meth:`release`: end the flush thread, since ``release`` does not wait for it."""
        if self.users == 1:
            self.flusher.pause()

    def rest(self) -> None:
        """At the interpreter's end: flush. No thread can start any more, so each later commit flushes by itself."""
        self.flusher.pause()
        try:
            if self.users and self.has_delta:
                self.flusher.sync()
        finally:
            self.is_resting = True

    def release(self) -> None:
        """Count one user less. After the last one the files are closed as soon as no thread is inside."""
        with REGISTRY.lock:
            self.users -= 1
            REGISTRY.close_unused(self)
            if self.users:  # another thread has opened it meanwhile
                self.flusher.resume()


def _nothing() -> None:
    pass


def acquire(path: str, *, write: bool, timeout: float, trusted: bool) -> Environment:
    """The environment of a file in this process. It is opened if the process has not opened it yet."""
    found = REGISTRY.acquire(
        path, lambda: Environment(path, write=write, timeout=timeout, trusted=trusted), write=write, timeout=timeout
    )
    assert isinstance(found, Environment)
    return found
