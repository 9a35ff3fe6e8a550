"""The lmdb engine: entries in one file that any number of processes and threads read and write at once.

Readers see the state of one instant and are never kept waiting. docs/design.md, "Base and delta".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, cast

from coshelf import native, records
from coshelf.contract import (
    RESERVED,
    Batch,
    Capabilities,
    Entry,
    Exclusive,
    OpenOptions,
)
from coshelf.engines.lmdb.blobs.catalogue import with_blob_rows
from coshelf.engines.lmdb.blobs.folder import folder_of
from coshelf.engines.lmdb.checked_batch import commit_quickly
from coshelf.engines.lmdb.delta.committer import Committer, is_large
from coshelf.engines.lmdb.delta.delta import SMALL, DeltaFull, NoDelta
from coshelf.engines.lmdb.delta.log import LogDelta
from coshelf.engines.lmdb.environment import Environment
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.files.state_page import FULL, WAITERS
from coshelf.engines.lmdb.instant import LmdbSnapshot, take_instant
from coshelf.engines.lmdb.lookups import PATIENCE
from coshelf.engines.lmdb.shelf_row import ShelfRow
from coshelf.engines.lmdb.spooled import SpooledPuts
from coshelf.engines.lmdb.times import first_in_both
from coshelf.engines.lmdb.waiting import Waiting
from coshelf.errors import (
    FormatTooNew,
    ShelfClosed,
    ShelfGone,
    SnapshotLost,
    StorageError,
    StorageFull,
)
from coshelf.keys import FIRST, LAST
from coshelf.system.threads.participants import WouldWait
from coshelf.trust import marks
from coshelf.trust.exposure import exposure_above, exposure_of, exposure_of_folder
from coshelf.trust.provenance import unmarked
from coshelf.values.blobs import Blobs, NewBlob, Reference
from coshelf.values.expiry import INDEX

if TYPE_CHECKING:
    from coshelf.inspection.reports import Compaction, Figures, Progress, Report

__all__ = ["LmdbEngine"]

_LARGEST_VALUE = (1 << 32) - 1 - records.TRAILER
_CAPABILITIES = Capabilities(
    exclusive="processes", watch="doorbell", largest_value=_LARGEST_VALUE, acknowledged="machine", blobs=True,
    expiry=True, tags=True, bounded=True, turns="processes", changes="all",
)  # fmt: skip
_DURABLE = replace(_CAPABILITIES, acknowledged="durable")
_NOTHING = Batch(deletes=frozenset((b"\x01nothing",)))  # deletes what is never there

_T = TypeVar("_T")


class LmdbEngine(Waiting):
    """One user's handle on an environment that others may share."""

    name = "lmdb"
    locks_quickly = native.in_use
    removes_expired = True
    reads_at_once = True

    def __init__(self, environment: Environment, options: OpenOptions) -> None:
        waits_for_disk = options.durability == "commit" or not environment.has_delta
        may_write = options.flag != "r" and environment.row.writable
        super().__init__(environment, puts=environment.has_delta and may_write, waits_for_disk=waits_for_disk)
        self._options = options
        self._committer = Committer(environment)
        if may_write:
            environment.remove_due = self._committer.remove_due
        environment.used_by(options)
        self.capabilities = _DURABLE if waits_for_disk else _CAPABILITIES
        if not environment.registered:  # a user who cannot tell writers that somebody watches
            self.capabilities = replace(self.capabilities, changes=None)
        self._may_write = may_write
        self.store_id = environment.row.store_id
        self.blobs = _BlobsOfHandle(self)
        if self._puts_quickly:
            self._flush_what_was_left()
        if may_write:
            with environment.inside():
                environment.blobs.sweep()

    def allow_deletion(self) -> None:
        """Let another shelf take the name in this process, if the file is deleted while it is open."""
        self._environment.may_be_deleted = True

    def _flush_what_was_left(self) -> None:
        """Flush commits of processes that died, or that have not flushed them yet.

        So whatever this handle reads is as durable as its own commits are.
        """
        with self._environment.inside():
            if self._environment.page.delta.is_clean():
                return
            if self._waits_for_disk:
                with suppress(StorageError):  # for example a full disk: the first commit raises the error
                    self._environment.flusher.sync()
            else:
                self._environment.flusher.notice()

    @property
    def row(self) -> ShelfRow:
        """The shelf row as it was when the file was opened."""
        return self._environment.row

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Entry | None:
        record = self.record(key)
        return None if record is None else Entry(record)

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        return self._repeated(lambda snapshot: snapshot.get_many(keys))

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        snapshot = take_instant(self._environment, start, stop)
        return _closing(snapshot, snapshot.scan(start, stop, reverse=reverse, keys_only=keys_only))

    def pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[tuple[bytes, bytes]]]:
        snapshot = take_instant(self._environment, start, stop)
        return _closing(snapshot, snapshot.pages(start, stop, reverse=reverse))

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        snapshot = take_instant(self._environment, start, stop)
        return _closing(snapshot, snapshot.key_pages(start, stop, reverse=reverse))

    def count(self, start: bytes, stop: bytes) -> int:
        return self._repeated(lambda snapshot: snapshot.count(start, stop), start, stop)

    def first_expiry(self) -> int | None:
        environment = self._environment
        if not environment.reads_plainly:
            return self._repeated(LmdbSnapshot.first_expiry, *INDEX)
        return first_in_both(environment)

    def snapshot(self) -> LmdbSnapshot:
        return take_instant(self._environment, RESERVED[0][0], LAST)

    # --- writing -----------------------------------------------------------------------------------------------------

    def _apply(self, batch: Batch) -> int:
        if batch.checks and self._checks_quickly and self._reader is not None:
            done = commit_quickly(self._reader, batch)
            if done is not NotImplemented:
                number: int = done[0]
                if done[1]:
                    self.stored()
                return number
        return self._acknowledged(self._commit(batch, holding=False))

    def put_at_once(self, key: bytes, body: bytes) -> int | str:
        if self._waits_for_disk or not isinstance(self._quick_delta, LogDelta):
            raise WouldWait
        return self.put(key, body, at_once=True)

    def put(self, key: bytes, body: bytes, held: Batch | None = None, *, at_once: bool = False) -> int | str:
        """As the engine's contract says. An empty body deletes the entry.

        ``held``: the same as a batch, for the thread that holds the exclusive lock.
        ``at_once``: raise :class:`WouldWait` instead of taking the longer path.
        """
        if type(body) is not bytes or len(body) > SMALL or not self._puts_quickly:
            return self._put_as_batch(key, body, held, at_once=at_once)
        partial = records.checksum(key, body)
        environment = self._environment
        environment.enter()
        try:
            # None until a commit has made the delta and this process has used it.
            state = environment.delta_state
            is_refused = environment.name.gone is not None or (state is not None and state.words[FULL])
            delta = None if is_refused else environment.latest_delta
            number = None if delta is None else delta.put_one(key, body, partial, held is not None)
            if delta is not None and number is not None:
                if delta is not self._quick_delta:
                    self._use_quickly(environment.base, delta)
                if state is not None and state.words[WAITERS]:
                    environment.page.wake()
                if delta.is_due:
                    environment.flusher.hurry()
        finally:
            environment.leave()
        if number is None:
            return self._put_as_batch(key, body, held, at_once=at_once)
        if self._waits_for_disk:
            return self._acknowledged(number)
        flusher = environment.flusher
        flusher.noticed.append(None)  # as flusher.notice() does
        if flusher.thread is None:
            flusher.start()
        return number

    def _put_as_batch(self, key: bytes, body: bytes, held: Batch | None, *, at_once: bool) -> int | str:
        if at_once:
            raise WouldWait
        if held is None:
            return self.commit(Batch(puts={key: body}))
        return self._acknowledged(self._commit(held, holding=True))

    def stored(self) -> None:
        environment = self._environment
        with suppress(ShelfClosed), environment.inside():  # another thread that has closed the shelf has flushed it
            environment.page.wake()
            delta = environment.latest_delta
            if isinstance(delta, LogDelta) and delta.log.is_due:
                environment.flusher.hurry()
            if environment.flusher.thread is None:
                environment.flusher.start()

    def gather(self) -> MutableMapping[bytes, bytes]:
        return SpooledPuts(os.path.dirname(self.where))

    def commit_held(self, batch: Batch) -> int | str:
        if not self._may_write:
            self._refuse_writes()
        if not batch.checks and not batch.clears and len(batch.puts) + len(batch.deletes) == 1:
            for key, body in batch.puts.items():
                return self.put(key, body, batch)
            for key in batch.deletes:
                return self.put(key, b"", batch)
        return self._acknowledged(self._commit(batch, holding=True))

    def _commit(self, batch: Batch, *, holding: bool) -> int:
        environment, committer = self._environment, self._committer
        if environment.blobs.may_have_new:
            batch = with_blob_rows(batch)
        with environment.inside():  # a forked child opens the files again here
            if environment.name.gone is not None:
                environment.name.refuse_gone()
            has_delta = environment.has_delta
            is_full = environment.page.is_full
        if is_full and any(key >= FIRST for key in batch.puts):
            self._refuse_full(holding=holding)
        try:
            if has_delta:
                committed = self._commit_with_delta(batch, holding=holding)
            else:
                committed = committer.into_base_alone(batch, holding=holding)
        except NoDelta:
            committed = committer.into_base_alone(batch, holding=holding)
        if committed is None and holding:  # another process has just made the delta
            return self._commit(batch, holding=True)
        if committed is None:
            with environment.exclusive.hold(self._options.timeout):
                return self._commit(batch, holding=True)
        if batch.blobs and environment.blobs.are_many_unflushed:
            environment.flusher.hurry()
        return committed

    def _refuse_full(self, *, holding: bool) -> None:
        """Raise :class:`StorageFull`, unless something has been deleted or has expired, so that there is room."""
        environment = self._environment
        first = self.first_expiry()
        if first is not None and first <= self.now():
            self._commit(_NOTHING, holding=holding)  # for the next flush, which removes what has expired
        with environment.inside():
            if environment.is_delta_made and not environment.page.delta.is_clean():
                environment.flusher.flush(sweeps=holding)
            if environment.flusher.is_removal_due:  # somebody watches
                self._committer.remove_due(holding=holding)
            if environment.page.is_full:
                limits = environment.limits()
                raise StorageFull(
                    f"{self.where} is at its limits ({limits}), and only expired entries are removed; nothing was "
                    "stored\n  hint: delete entries, give a larger limit, or another evict= than 'expired'"
                )

    def _commit_with_delta(self, batch: Batch, *, holding: bool) -> int | None:
        """Commit into the delta, or a large batch into the base.

        Commits nothing and returns None if the caller must take the exclusive lock first.
        """
        committer = self._committer
        try:
            if not is_large(batch):
                return committer.into_delta(batch, holding=holding)
        except DeltaFull as full:
            if holding and full.for_good:
                committer.replace_delta()
                return committer.into_delta(batch, holding=True)
        if not holding:
            return None
        try:
            return committer.into_base(batch)
        except DeltaFull as full:
            if not full.for_good:
                raise StorageFull(
                    f"cannot write {self.where}: no space left on the device; nothing of this commit was stored\n"
                    "  hint: make space, and repeat the call; all earlier commits are there"
                ) from full
        committer.replace_delta()
        return committer.into_base(batch)

    def _acknowledged(self, number: int) -> int:
        """Return when a commit is durable, or have it flushed soon, as the ``durability`` option asks."""
        if not self._environment.has_delta:
            return number
        if not self._waits_for_disk:
            self._environment.flusher.notice()
            return number
        try:
            self._environment.flusher.flush_until(number)
        except ShelfGone:
            raise
        except StorageError as error:
            raise type(error)(
                f"{self.where} has this commit, and all processes see it, but it could not be made durable: {error}"
            ) from error
        return number

    def _refuse_excess(self, batch: Batch) -> None:
        """Refuse nothing. LMDB refuses a value that is too large, and looking at the whole batch may read a file."""

    def _refuse_writes(self) -> None:
        super()._refuse_writes()
        if not self._environment.row.writable:
            raise FormatTooNew(f"{self.where} uses features of a later version: this one can read it, not write it")

    def exclusive(self, timeout: float | None = None) -> AbstractContextManager[Exclusive]:
        if not self._may_write:
            self._refuse_writes()
        environment = self._environment
        environment.enter()  # a forked child opens the files again here, and gets a lock of its own
        environment.leave()
        patience = self._options.timeout if timeout is None else timeout
        return environment.exclusive.hold(patience, Exclusive(self.commit_held))

    def owns_exclusive(self) -> bool:
        exclusive = self._environment.exclusive_or_none
        return exclusive is not None and exclusive.is_mine()

    # --- the rest ----------------------------------------------------------------------------------------------------

    def distrust(self) -> str | None:
        if not self._environment.files.take_mark() and not self._is_marked():
            return unmarked(self.where, self.row.store_id)
        return self.exposure()

    def _is_marked(self) -> bool:
        information = self._information()
        row = self.get(marks.ROW_KEY)
        body = None if row is None else row.record[: -records.TRAILER]
        return marks.is_marked(self.row.store_id, information.st_dev, information.st_ino, body)

    def exposure(self) -> str | None:
        with self._environment.inside():
            files = self._environment.files
            information = os.fstat(files.descriptor)
            return (
                exposure_of(self.where, information, files.descriptor)
                or exposure_above(self.where, information)
                or exposure_of_folder(folder_of(self.where))
                or files.exposure_of_sidecars()
            )

    def _information(self) -> os.stat_result:
        """The ``os.stat`` of the open file, even if its name leads to another file by now."""
        with self._environment.inside():
            return os.fstat(self._environment.files.descriptor)

    def revoke(self) -> bool:
        information = self._information()
        return marks.unmark(self.row.store_id, information.st_dev, information.st_ino)

    def trust(self) -> None:
        information = self._information()
        row = marks.mark(self.row.store_id, information.st_dev, information.st_ino, self.where)
        if row is not None:
            self.commit(Batch(puts={marks.ROW_KEY: row}))

    def sync(self) -> None:
        """Return when all commits so far, of this and other processes, are durable. With flag "r", do nothing."""
        environment = self._environment
        if self._options.flag != "r":
            with environment.inside():
                self._flush()
                environment.name.refuse_gone()

    def _flush(self) -> None:
        """Make all commits durable. Raise if that fails, or if the file is known to have been removed or replaced.

        If nothing was written since the last flush, this does not look at the file's name again.
        """
        if self._environment.has_delta:
            self._environment.flusher.sync()
        if self._environment.name.gone is not None:
            self._environment.name.refuse_gone()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                self._end_waiting()
                self._environment.settle()
                if self._environment.is_open and self._options.flag != "r":
                    with self._environment.inside():
                        self._flush()
            finally:
                self._environment.release()

    def rest(self) -> None:
        self.sync()  # the registry calls Environment.rest for all handles that share the environment

    def check(self, progress: Progress | None) -> Report:
        for _ in range(PATIENCE):
            with suppress(SnapshotLost):
                return self._check_snapshot(progress)
        return self._check_snapshot(progress)

    def _check_snapshot(self, progress: Progress | None) -> Report:
        from coshelf.engines.lmdb.checks.running import check_open

        environment = self._environment
        with self.snapshot() as snapshot:
            with environment.inside():
                descriptor = os.dup(environment.files.descriptor)  # so that closing the shelf meanwhile does no harm
            try:
                store_id = environment.row.store_id
                return check_open(self.where, descriptor, store_id, snapshot.transaction, snapshot.newer, progress)
            finally:
                os.close(descriptor)

    def figures(self) -> Figures:
        from coshelf.engines.lmdb.file_figures import figures_of

        with translated(self.where, "read"):
            return figures_of(self._environment)

    def compact(self, progress: Progress | None = None) -> Compaction:
        from coshelf.engines.lmdb.files.compaction import compact

        with self.exclusive():
            return compact(self._environment, progress)

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        return self.where, self._options.for_reopening()


class _BlobsOfHandle(Blobs):
    """The blobs of the environment. A handle that may write the shelf may write them."""

    def __init__(self, engine: LmdbEngine) -> None:
        self._engine = engine

    def write(self, key: bytes, buffers: Sequence[memoryview]) -> NewBlob:
        self._engine._refuse_writes()
        return self._engine._environment.blobs.write(key, buffers)

    def views(self, reference: Reference) -> list[memoryview]:
        return self._engine._environment.blobs.views(reference)


def _closing(snapshot: LmdbSnapshot, found: Iterator[_T]) -> Iterator[_T]:
    """Iterate over what was found in a snapshot, and close the snapshot at the end.

    It is closed as well if the caller takes nothing from the iterator.
    """
    closing = _until_the_end(snapshot, found)
    next(closing)
    return cast("Iterator[_T]", closing)


def _until_the_end(snapshot: LmdbSnapshot, found: Iterator[_T]) -> Iterator[_T | None]:
    try:
        yield None
        yield from found
    finally:
        snapshot.close()
