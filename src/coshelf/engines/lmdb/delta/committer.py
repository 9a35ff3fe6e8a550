"""Commits batches: into the delta as a rule; into the base if a batch is large, or if there is no delta."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from coshelf import records
from coshelf.contract import Batch
from coshelf.engines.lmdb.base_writer import BaseWriter
from coshelf.engines.lmdb.blobs.catalogue import committed_rows
from coshelf.engines.lmdb.delta.delta import Behind, DeltaFull, Moved, NoDelta
from coshelf.engines.lmdb.failures import translated
from coshelf.engines.lmdb.files.reserve import has_room
from coshelf.engines.lmdb.keeping_limits import keep_limits
from coshelf.engines.lmdb.locks.turns import again_when_overtaken
from coshelf.engines.lmdb.spooled import SpooledPuts
from coshelf.engines.lmdb.times import has_rows
from coshelf.engines.lmdb.watching.keeping import begin_history, without_history
from coshelf.errors import ShelfLocked, StorageFull
from coshelf.keys import FIRST
from coshelf.system.failpoints import ARMED, reach
from coshelf.system.memory.shared import PAGE_SIZE

if TYPE_CHECKING:
    import lmdb

    from coshelf.engines.lmdb.environment import Environment
    from coshelf.engines.lmdb.lmdb_file import LmdbFile

__all__ = ["Committer", "is_large"]

# A larger batch goes straight to the base. By way of the delta it would be written twice; one sync costs less.
_LARGE_ROWS = 1_000
_LARGE_BYTES = 1 << 20
_REMOVAL_PATIENCE = 1.0  # seconds that the thread that flushes waits for the exclusive lock
_PAGES_OF_ROW = 2  # about so many pages change with a new row


def is_large(batch: Batch) -> bool:
    """Whether a batch is too large for the delta."""
    if batch.clears or len(batch.puts) + len(batch.deletes) > _LARGE_ROWS:
        return True
    if isinstance(batch.puts, SpooledPuts) and batch.puts.is_spooled:
        return True
    return sum(map(len, batch.puts.values())) > _LARGE_BYTES


class Committer:
    """Commits batches. Each method returns the number of the commit."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def lmdb_files(self) -> list[LmdbFile]:
        """The LMDB files that this process has open."""
        return self._environment.lmdb_files()

    # --- into the delta ----------------------------------------------------------------------------------------------

    @again_when_overtaken
    def into_delta(self, batch: Batch, *, holding: bool) -> int | None:
        """Commit in one transaction of the delta. Raises :class:`NoDelta` if there is none and it cannot be made.

        Commits nothing and returns None if another thread or process holds the exclusive lock.
        """
        environment = self._environment
        # The part of each checksum that does not depend on the number can be computed before the lock.
        partial = {key: records.checksum(key, body) for key, body in batch.puts.items()}
        environment.enter()
        try:
            self._make_delta()
            if min(batch.puts, default=FIRST) < FIRST and has_rows(batch.puts):
                environment.page.note_times()
            helped = False
            while True:
                delta = environment.current_delta()
                try:
                    number = delta.commit(batch, partial, environment, holding=holding, helped=helped)
                except Moved:
                    continue
                except Behind:
                    environment.flusher.flush()  # before the commit: if it fails, nothing of the batch is committed
                    helped = True
                    continue
                break
            if number is None:
                return None
            if ARMED:
                reach("commit-done")
            environment.page.ring(number)
            if delta.is_due:
                environment.flusher.hurry()
        finally:
            environment.leave()
        return number

    def _make_delta(self) -> None:
        if not self._environment.make_delta():
            raise NoDelta

    def _commit(self, transaction: lmdb.Transaction[bytes], batch: Batch) -> None:
        if not batch.blobs:
            transaction.commit()
            return
        with self._environment.naming(batch.blobs):
            transaction.commit()

    # --- into the base -----------------------------------------------------------------------------------------------

    @again_when_overtaken
    def into_base(self, batch: Batch) -> int:
        """Commit in one durable transaction of the base, together with all that the delta holds.

        The caller holds the exclusive lock. The number is taken first, and committed to the delta: it must not be given
        out again if this process dies later.
        """
        environment = self._environment
        with environment.inside():
            base, state = environment.base, environment.page.delta
            self._make_delta()
            synced = environment.flusher.sync_blobs(blob.reference.id for blob in batch.blobs)
            with base.writing() as transaction:
                delta = environment.current_delta()
                writer = BaseWriter(base, transaction)
                nonce = os.urandom(16)
                flushed = writer.row.sequence
                with translated(base.path, "write"):
                    with delta.numbering() as number, base.turns.settled(transaction):
                        state.announce(writer.row.nonce, nonce)
                        history = begin_history(environment, writer, delta)
                    last = number
                    if history is not None and history.is_on:
                        with delta.numbering() as last:  # what is removed is told as a commit of its own
                            pass
                    if ARMED:
                        reach("direct-numbered")
                    current = [row for row in delta.everything() if records.version(row[1]) > flushed]
                    environment.blobs.sync(set(committed_rows(current)) - synced)
                    writer.take_over(without_history(current, history, delta, flushed, number))
                    batch.refuse_conflicts(writer.version)
                    writer.apply(batch, number)
                    writer.sweep(last, len(current) + len(batch.puts))
                    keep_limits(environment, writer, last, len(current) + len(batch.puts))
                    if writer.has_times:
                        environment.page.note_times()
                    writer.finish(last, nonce)
                    if ARMED:
                        reach("direct-announced")
                    self._commit(transaction, batch)
                    if ARMED:
                        reach("direct-committed")
            base.complete()
            environment.page.ring(last)
            environment.flusher.remove(delta, last, nonce)
            environment.blobs.collect()
            environment.name.refuse_gone()
        return number

    @again_when_overtaken
    def into_base_alone(self, batch: Batch, *, holding: bool) -> int | None:
        """Commit to the base while there is no delta.

        Commits nothing and returns None if another thread or process holds the exclusive lock, or has just made the
        delta.
        """
        environment = self._environment
        with environment.inside():
            environment.blobs.sync({blob.reference.id for blob in batch.blobs})
            with environment.base.writing() as transaction:
                if environment.is_delta_made or (not holding and environment.exclusive.is_others()):
                    return None
                writer = BaseWriter(environment.base, transaction)
                batch.refuse_conflicts(writer.version)
                if environment.has_delta and batch.puts:  # the delta could not be made: the disk may be full
                    self._refuse_without_room(batch)
                number = last = writer.row.sequence + 1
                with translated(environment.path, "write"):
                    history = begin_history(environment, writer, None)
                    if history is not None and history.is_on:
                        last += 1  # what is removed is told as a commit of its own
                    writer.apply(batch, number)
                    writer.sweep(last, len(batch.puts))
                    keep_limits(environment, writer, last, len(batch.puts))
                    if writer.has_times:
                        environment.page.note_times()
                    # A new nonce: a delta that is made from now on must not fit an older copy of the base.
                    writer.finish(last, os.urandom(16))
                    self._commit(transaction, batch)
            environment.base.complete()
            environment.page.ring(last)
            environment.blobs.collect()
            environment.name.refuse_gone()
        return number

    def _refuse_without_room(self, batch: Batch) -> None:
        """Raise :class:`StorageFull` if the disk is nearly full. The space that is left is for deleting."""
        environment = self._environment
        rows, size = len(batch.puts) + len(batch.deletes), sum(map(len, batch.puts.values()))
        if not has_room(environment.base.descriptor, environment.path, size + (rows + 1) * _PAGES_OF_ROW * PAGE_SIZE):
            raise StorageFull(
                f"cannot write {environment.path}: no space left on the device; nothing of this commit was stored\n"
                "  hint: delete entries: that is still possible, and gives their space to others"
            )

    def remove_due(self, *, holding: bool = False) -> None:
        """Remove what has expired, and what is more than the limits, as a commit of its own that watchers are told.

        If the exclusive lock, which ``holding`` says that this thread holds, is not free for long, that is done later.
        """
        self._environment.flusher.is_removal_due = False
        held = nullcontext() if holding else self._environment.exclusive.hold(_REMOVAL_PATIENCE)
        with suppress(ShelfLocked, NoDelta, DeltaFull), held:
            self.into_base(Batch())

    # --- another delta -----------------------------------------------------------------------------------------------

    @again_when_overtaken
    def replace_delta(self) -> None:
        """Put a new delta in the place of one that is used up. The caller holds the exclusive lock.

        A delta can be used up because a reader was stopped in the middle of a call: it keeps pages from being reused.
        """
        environment = self._environment
        with environment.inside():
            environment.flusher.flush()
            try:
                with environment.base.writing() as of_base:
                    old = environment.current_delta()
                    with old.retiring() as number:
                        environment.base.turns.settle(of_base)
                        environment.deltas.make_next(old, number)
            except OSError as error:
                raise StorageFull(f"cannot write {environment.path}: no space left for another delta") from error
