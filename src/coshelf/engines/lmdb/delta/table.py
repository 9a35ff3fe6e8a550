"""The delta as a table: a small LMDB file with the commits since the last flush, which are not synced.

It is used where the log cannot be: without the module in C, and on file systems that do not reserve space.
docs/format.md, "The delta".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

import lmdb

from coshelf import records
from coshelf.contract import Batch
from coshelf.engines.lmdb.delta.delta import (
    Behind,
    Delta,
    DeltaCommits,
    DeltaFull,
    DeltaHost,
    Moved,
    NotRead,
    Places,
    Taken,
    version_of,
)
from coshelf.engines.lmdb.delta.rows_of_table import (
    BEHIND_LONG,
    LONG,
    NUMBER_ROW,
    all_rows,
    long_row,
    row_of_long,
    unpack_long,
)
from coshelf.engines.lmdb.delta.state import DIRTY, GENERATION, MAPPED, DeltaIdentity, DeltaState
from coshelf.engines.lmdb.delta.told_in_table import commits_told, last_commit, tell, told_after
from coshelf.engines.lmdb.failures import translate, translated
from coshelf.engines.lmdb.files.sidecar_directory import delta_path
from coshelf.engines.lmdb.files.state_page import BELL, CLAIM
from coshelf.engines.lmdb.lmdb_file import LmdbFile
from coshelf.engines.lmdb.long_keys import CHUNK, physical
from coshelf.engines.lmdb.pages.layout import USAGE, USAGE_AT
from coshelf.engines.lmdb.watching.told import grouped, rows_of
from coshelf.engines.lmdb.watching.watch_state import WATCHED, WatchState
from coshelf.errors import DamagedShelf, StorageError, StorageFull
from coshelf.system import clock
from coshelf.system.failpoints import ARMED, reach
from coshelf.system.file_systems import space
from coshelf.system.files.flags import ASIDE
from coshelf.system.memory.shared import shared
from coshelf.system.threads.cooperation import this_thread

__all__ = ["TableDelta"]

# A flush is due if more than this waits. With larger limits a flush would take long, and reads would copy much.
_DUE_ENTRIES = 20_000
_DUE_BYTES = 16 << 20
_HELPED = 4  # if so many times the limits wait, threads that commit help to flush

_TOLD_OVERHEAD = 32  # bytes of a change in a row of changes, beside key and record
_ROW_OVERHEAD = 64  # bytes, more than LMDB adds to a row

# Space is reserved one step ahead of its use. The first steps are small: most deltas hold little between two flushes.
_FIRST_STEP = 1 << 20
_LARGEST_STEP = 16 << 20
_PLENTY = 64 << 20
# Pages that only deletions and emptying the delta may use: LMDB needs pages even to free pages.
_RESERVE = 64
_AMPLE = 256  # pages: more than a row of SMALL bytes and the reserve can need
_LARGEST_NEED = 7_000  # pages: the most that a batch in the delta can need
_WORD = 0xFFFFFFFF


class Usage(NamedTuple):
    """Pages and entries as the last commit left them."""

    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    entries: int
    root: int
    last_page: int
    transaction: int


class TableDelta(LmdbFile, Delta):
    """A delta whose rows are those of an LMDB file. Each commit is a write transaction."""

    keeps_changes_in_rows = True

    def __init__(self, shelf: str, identity: DeltaIdentity, state: DeltaState) -> None:
        self.identity = identity
        self._state = state
        self._watch = WatchState(state.page)
        self._offset = identity.offset
        self._ample = 0  # bytes that are known to be reserved; other processes may have reserved more
        self.is_due = False
        path = delta_path(shelf, identity.generation)
        try:
            # Opened before LMDB opens it, since LMDB makes a missing file.
            descriptor = os.open(path, os.O_RDWR | ASIDE)
        except OSError as error:
            raise StorageError(error.errno, f"cannot open the delta: {error.strerror}", path) from error
        try:
            if not self._is_at(os.fstat(descriptor)):
                raise StorageError(f"{path} is not the delta that the state page names")
            super().__init__(
                path, shelf, identity.map_size, sync=False, metasync=False, writemap=identity.kind == MAPPED
            )  # fmt: skip
            try:
                self._page_size: int = self.lmdb.stat()["psize"]
                self._keep_a_descriptor(descriptor)
                self._header = shared(self.descriptor, 2 * self._page_size, writable=False)
            except OSError as error:
                super().close()
                raise StorageError(error.errno, f"cannot open the delta: {error.strerror}", path) from error
        finally:
            os.close(descriptor)

    def _keep_a_descriptor(self, given: int) -> None:
        """Use LMDB's descriptor. If that is not found, keep a copy of the given one."""
        self._is_own = self.descriptors.data is None
        self.descriptor = os.dup(given) if self.descriptors.data is None else self.descriptors.data

    def _is_at(self, information: os.stat_result) -> bool:
        return (information.st_dev, information.st_ino) == (self.identity.device, self.identity.inode)

    def is_in_place(self) -> bool:
        """Whether LMDB opened the right file. If the file was gone by then, LMDB has made another one."""
        try:
            return self._is_at(os.stat(self.path))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        super().close()
        self._drop()

    def abandon(self) -> object:
        self._drop()
        return super().abandon()

    def _drop(self) -> None:
        self._header.release()
        if self._is_own:
            os.close(self.descriptor)

    # --- space -------------------------------------------------------------------------------------------------------

    def _usage(self, transaction: lmdb.Transaction[bytes]) -> Usage:
        """The usage after the commit before this write transaction, from the header: LMDB's own call takes 2 us."""
        previous = transaction.id() - 1
        usage = Usage._make(USAGE.unpack_from(self._header, (previous & 1) * self._page_size + USAGE_AT))
        if usage.transaction != previous:
            raise StorageError(f"{self.path} is in use by something else: its header counts another transaction")
        return usage

    def _has_room(self, usage: Usage, rows: int, size: int, reserve: int = _RESERVE) -> bool:
        """Whether ``rows`` rows with ``size`` bytes in all can be written. Reserves space for them if necessary.

        If its space was not reserved, writing a page through the map on a full disk would be a SIGBUS.
        """
        tree = usage.branch_pages + usage.leaf_pages
        pages = 16 + min(6 * rows, 2 * tree + 8) + 3 * (size + rows * _ROW_OVERHEAD) // self._page_size + reserve
        end = (usage.last_page + 1 + pages) * self._page_size
        if end > self.identity.map_size:
            return False
        if self.identity.kind == MAPPED:
            # Reserve what the short path of small rows wants, too. While less is needed, nothing else reserves it.
            ample = min((usage.last_page + _AMPLE) * self._page_size, self.identity.map_size)
            if ample > self._state.allocated and self._has_plenty():
                self._allocate(max(end, ample))
            if end > self._state.allocated and not self._allocate(end):
                return False
        self._ample = self._state.allocated if self.identity.kind == MAPPED else self.identity.map_size
        return True

    def _has_ample_room(self, number: int) -> bool:
        """Whether a small row can be written as the commit with this number without any other check of space.

        Sets ``is_due`` to whether a flush is due.
        """
        previous = number - self._offset - 1
        _, leaf, overflow, entries, _, last_page, found = USAGE.unpack_from(
            self._header, (previous & 1) * self._page_size + USAGE_AT
        )
        size = (leaf + overflow) * self._page_size
        self.is_due = entries > _DUE_ENTRIES or size > _DUE_BYTES
        return bool(
            found == previous
            and (last_page + _AMPLE) * self._page_size <= self._ample
            and (not self.is_due or (entries < _HELPED * _DUE_ENTRIES and size < _HELPED * _DUE_BYTES))
        )

    def _fullness(self, usage: Usage) -> float:
        """How much waits, as a fraction of the amount at which a flush is due."""
        pages = usage.leaf_pages + usage.overflow_pages
        return max(usage.entries / _DUE_ENTRIES, pages * self._page_size / _DUE_BYTES)

    def _is_at_its_end(self, usage: Usage) -> bool:
        """Whether the map is used up, and not the disk."""
        return (usage.last_page + 1 + _LARGEST_NEED) * self._page_size > self.identity.map_size

    def _has_plenty(self) -> bool:
        """Whether the disk has so much free space that reserving some early does not take it from the base."""
        return space.free_beside(self.descriptor, self.path) > _PLENTY

    def _allocate(self, end: int) -> bool:
        allocated = self._state.allocated
        step = max(_FIRST_STEP, min(allocated, _LARGEST_STEP))
        for size in (max(end, allocated + step), end):
            try:
                space.reserve(self.descriptor, allocated, min(size, self.identity.map_size) - allocated)
            except OSError:
                continue
            self._state.allocated = min(size, self.identity.map_size)
            return True
        return False

    def take_first_space(self) -> None:
        """Reserve the first space. Only for the process that makes the delta. Raises :class:`StorageFull`."""
        self._state.allocated = 0
        if self.identity.kind == MAPPED and not self._allocate(_FIRST_STEP):
            raise StorageFull(f"cannot open {self.shelf}: no space left for the {_FIRST_STEP} bytes of its delta")

    # --- numbers -----------------------------------------------------------------------------------------------------

    def _number(self, transaction: lmdb.Transaction[bytes]) -> int:
        """The number of the commit that a write transaction makes, or of the last one that a read transaction sees."""
        return transaction.id() + self._offset

    def last_number(self) -> int:
        with self.begin() as reading:
            return self._number(reading)

    @contextmanager
    def numbering(self) -> Iterator[int]:
        with self.writing() as transaction:
            usage = self._usage(transaction)
            if not self._has_room(usage, 1, 0, reserve=0):
                raise DeltaFull(for_good=self._is_at_its_end(usage))
            number = self._number(transaction)
            transaction.put(NUMBER_ROW, records.seal(b"", 0, number))
            self.turns.settle(transaction)
            yield number
            self._state.mark_dirty()  # if this process dies, the next sync() checks whether this is durable
            transaction.commit()

    @contextmanager
    def retiring(self) -> Iterator[int]:
        with self.writing() as transaction:
            self.turns.settle(transaction)
            yield self._number(transaction)

    def barrier(self) -> None:
        with self.writing():
            pass

    def is_quiet(self) -> bool:
        return not self.writer_mutex.word[0]

    # --- committing --------------------------------------------------------------------------------------------------

    def put_one(self, key: bytes, body: bytes, partial: int, holding: bool = False) -> int | None:
        if len(key) > CHUNK:
            return None
        words = self._state.words
        transaction = self.begin_write()
        try:
            number = transaction.id() + self._offset
            if words[GENERATION] != self.identity.generation or not self._has_ample_room(number):
                return None
            if words[CLAIM] and not holding:
                return None
            record = records.seal(body, partial, number)
            transaction.put(key, record)
            if words[WATCHED]:
                tell(self._watch, transaction, number, [(key, record)])
            if ARMED:
                reach("commit-applied")
            words[DIRTY] = 1
            transaction.commit()
        except lmdb.Error as error:
            if self.turns.has_lost(transaction):
                return None
            raise translate(error, self.shelf, "write") from error
        finally:
            transaction.abort()
            self.turns.own.pop(this_thread(), None)
        if ARMED:
            reach("commit-done")
        words[BELL] = number & _WORD
        return number

    def commit(
        self, batch: Batch, partial: dict[bytes, int], host: DeltaHost, *, holding: bool, helped: bool
    ) -> int | None:
        with self.writing() as transaction:
            if not self._state.is_of(self.identity):
                raise Moved
            if not holding and host.is_held_by_others():
                return None
            usage = self._usage(transaction)
            fullness = self._fullness(usage)
            if not helped and fullness > _HELPED:  # the flush in the background cannot keep up
                raise Behind
            self._take_room(usage, batch)
            if batch.checks:
                self._check(transaction, batch, host)
            with translated(host.path, "write"):
                number = self._apply(transaction, batch, partial)
                if ARMED:
                    reach("commit-applied")
                self._state.mark_dirty()
                if batch.blobs:
                    with host.naming(batch.blobs):
                        transaction.commit()
                else:
                    transaction.commit()
        self.is_due = fullness > 1
        return number

    def _take_room(self, usage: Usage, batch: Batch) -> None:
        rows = len(batch.puts) + len(batch.deletes)
        size = sum(map(len, batch.puts)) + sum(map(len, batch.puts.values())) + sum(map(len, batch.deletes))
        if self._watch.is_on:  # all of it is in the table a second time
            rows, size = 2 * rows, 2 * size + rows * _TOLD_OVERHEAD
        reserve = _RESERVE if batch.puts else _RESERVE // 4  # so that entries can be deleted on a full disk
        if not self._has_room(usage, rows, size, reserve):
            raise DeltaFull(for_good=self._is_at_its_end(usage))

    def _check(self, transaction: lmdb.Transaction[bytes], batch: Batch, host: DeltaHost) -> None:
        with host.base.begin() as reading:
            flushed = host.flushed_by(reading)
            batch.refuse_conflicts(
                lambda key: version_of(self._get(transaction, key), reading.get(physical(key)), flushed)
            )

    def _apply(self, transaction: lmdb.Transaction[bytes], batch: Batch, partial: dict[bytes, int]) -> int:
        number = self._number(transaction)
        rows = [(key, records.seal(b"", records.checksum(key, b""), number)) for key in batch.deletes]
        rows += [(key, records.seal(body, partial[key], number)) for key, body in batch.puts.items()]
        for key, record in rows:
            self._put(transaction, key, record)
        if self._watch.is_on:
            tell(self._watch, transaction, number, rows)
        return number

    def _put(self, transaction: lmdb.Transaction[bytes], key: bytes, record: bytes) -> None:
        if len(key) <= CHUNK:
            transaction.put(key, record)
        else:
            transaction.put(*long_row(key, record))

    def fill(self, rows: list[tuple[bytes, bytes]]) -> None:
        """Take over rows of another delta, in one commit, before another process uses this one.

        Raises :class:`DeltaFull`.
        """
        with translated(self.path, "write"), self.writing() as transaction:
            size = sum(len(key) + len(record) for key, record in rows)
            if not self._has_room(self._usage(transaction), len(rows), size):
                raise DeltaFull(for_good=False)
            for key, record in rows:
                self._put(transaction, key, record)
            transaction.commit()

    def take_changes(self, rows: Iterator[tuple[int, bytes, bytes]], flushed: int) -> None:
        """Take over what commits of a log after the number ``flushed`` have changed, if somebody watches. As fill()."""
        self._watch.first_told = 0
        if self._watch.is_on:
            commits = grouped([row for row in rows if row[0] > flushed], clock.now())
            self.fill([row for commit in commits for row in rows_of(commit)])
            self._watch.first_told = flushed + 1

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        with self.begin() as transaction:
            return self._get(transaction, key)

    def _get(self, transaction: lmdb.Transaction[bytes], key: bytes) -> bytes | None:
        if len(key) <= CHUNK:
            return transaction.get(key)
        row = transaction.get(row_of_long(key))
        if row is None:
            return None
        found, record = unpack_long(row)
        return record if found == key else None

    def rows(self, start: bytes, stop: bytes) -> list[tuple[bytes, bytes]]:
        with self.begin() as transaction:
            cursor = transaction.cursor()
            rows: list[tuple[bytes, bytes]] = []
            if cursor.set_range(start):
                for row in cursor:
                    if row[0] >= stop:
                        break
                    rows.append(row)
            long = []
            if cursor.set_range(LONG):
                for name, packed in cursor:
                    if name >= BEHIND_LONG:
                        break
                    key, record = unpack_long(packed)
                    if start <= key < stop:
                        long.append((key, record))
        if start < BEHIND_LONG:
            rows = [row for row in rows if not row[0].startswith(LONG)]
        return sorted(rows + long) if long else rows

    def has_more(self, start: bytes, stop: bytes, limit: int) -> bool:
        with self.begin() as transaction:  # long keys are not counted: there are few
            if transaction.stat()["entries"] <= limit:
                return False
            cursor = transaction.cursor()
            if not cursor.set_range(start):
                return False
            last = next(islice(cursor.iternext(values=False), limit, None), stop)
            return last < stop

    def everything(self) -> list[tuple[bytes, bytes]]:
        with self.begin() as transaction:
            return all_rows(transaction)

    # --- changes -----------------------------------------------------------------------------------------------------

    def commits(self, after: int, places: Places = NotRead, most: int = 1 << 62) -> DeltaCommits:
        try:
            found, told_after = commits_told(self._watch, self.begin, after, most)
        except ValueError as error:
            raise DamagedShelf(f"{self.path} is damaged: {error}") from error
        return DeltaCommits(found, told_after, NotRead)

    def told_after(self) -> int:
        return told_after(self._watch, self.begin)

    def last_commit(self) -> int:
        return last_commit(self._watch, self.begin)

    # --- flushing ----------------------------------------------------------------------------------------------------

    @contextmanager
    def taking(self, flushed: int) -> Iterator[Taken]:
        """Writers are kept out for the block: some 10 ms for 20,000 entries.

        When other threads were let in between, each waited for the interpreter's lock. Then the copy took six times as
        long, and their commits were as slow.
        """
        with self.writing() as transaction:
            last = self._number(transaction) - 1
            rows = [row for row in all_rows(transaction) if records.version(row[1]) > flushed]
            yield Taken(last, rows, lambda: self.turns.settle(transaction))

    def remove(self, flushed: int, nonce: bytes, host: DeltaHost) -> None:
        """One transaction drops all rows and puts back those that are newer.

        To remove them row by row took five times as long, and slowed other writers down. If there is no space for the
        transaction, the rows stay and do no harm.
        """
        state = self._state
        with translated(self.path, "empty"), self.writing() as transaction:
            if not state.is_of(self.identity):
                return
            newer = [] if self._number(transaction) == flushed + 1 else self._newer(transaction, flushed)
            size = sum(len(key) + len(row) for key, row in newer)
            if not self._has_room(self._usage(transaction), len(newer), size, reserve=0):
                return
            self.turns.settle(transaction)
            state.confirm(nonce)
            if not newer:
                state.clean()
            if ARMED:
                reach("empty-begun")
            self._keep_only(transaction, newer)
            transaction.commit()

    def _newer(self, transaction: lmdb.Transaction[bytes], flushed: int) -> list[tuple[bytes, bytes]]:
        """The rows, as they are stored, of commits after the number ``flushed``."""
        return [row for row in transaction.cursor() if records.version(row[1]) > flushed]

    def _keep_only(self, transaction: lmdb.Transaction[bytes], rows: list[tuple[bytes, bytes]]) -> None:
        transaction.drop(self.main_database(transaction), delete=False)
        if rows:
            transaction.cursor().putmulti(rows)
