"""Looks up single records of an open file in base and delta: in one call of C where that is possible."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import lmdb

from coshelf import native, records
from coshelf.contract import Engine, Entry
from coshelf.engines.lmdb import long_keys
from coshelf.engines.lmdb.delta.delta import is_deletion
from coshelf.engines.lmdb.delta.log import LogDelta
from coshelf.engines.lmdb.delta.state import DIRTY, LAST_FLUSH
from coshelf.engines.lmdb.environment import Environment
from coshelf.engines.lmdb.failures import translate, translated
from coshelf.engines.lmdb.files.state_page import BELL, FULL, USES
from coshelf.engines.lmdb.instant import LmdbSnapshot, take_instant
from coshelf.engines.lmdb.lmdb_file import BaseFile
from coshelf.engines.lmdb.shelf_row import ROW_KEY, unpack_row
from coshelf.errors import SnapshotLost
from coshelf.keys import FIRST, LAST

if TYPE_CHECKING:
    from coshelf._native import BaseReader
    from coshelf.engines.lmdb.delta.delta import Delta

__all__ = ["PATIENCE", "Lookups"]

PATIENCE = 50
"""Times that a reader without locks repeats a read because commits came in between."""

_T = TypeVar("_T")


class Lookups(Engine):
    """The part of the engine that reads records. It also sets the ``quick_`` methods, once base and delta are known.

    Args:
        environment: the open file.
        puts: whether small values are put into the delta by themselves.
        waits_for_disk: whether each commit is flushed at once.
    """

    finds_first = native.in_use

    def __init__(self, environment: Environment, *, puts: bool, waits_for_disk: bool) -> None:
        self.where = environment.path
        self._environment = environment
        self._puts_quickly = puts
        self._waits_for_disk = waits_for_disk
        self._read_quickly_from: BaseFile | None = None
        self._reader: BaseReader | None = None
        self._checks_quickly = False
        self._known_uses = 0
        self._quick_delta: Delta | None = None  # in which quick_store() and the reader look

    def record(self, key: bytes) -> bytes | None:
        if self._reader is not None and len(key) <= long_keys.CHUNK:
            found: bytes | None = self._reader.get(key)
            if found is not NotImplemented:
                return found
        environment = self._environment
        if not environment.reads_plainly:
            return self._repeated(lambda snapshot: snapshot.record(key))
        base = environment.enter()
        try:
            state = environment.delta_state
            if state is not None:
                words = state.words
                if words[USES]:
                    return self._noted_record(base, key, dirty=words[DIRTY] != 0)
                if words[DIRTY]:
                    return self._record_beside_delta(base, key)
            if self._read_quickly_from is not base:
                self._read_quickly(base)
            # The same steps as in base.begin(), to save a call in the most frequent operation.
            if os.lseek(base.size_descriptor, 0, os.SEEK_END) != base.size:
                base.check_size()
            transaction = base.lmdb.begin()
            record = transaction.get(key if len(key) <= long_keys.CHUNK else long_keys.physical(key))
            transaction.abort()  # after an error it ends when the frame, and the transaction with it, is collected
        except lmdb.ReadersFullError:
            return self._record_after_the_dead(base, key)
        except lmdb.Error as error:
            raise translate(error, self.where, "read") from error
        finally:
            environment.leave()
        return record

    def first(self, start: bytes, stop: bytes, *, reverse: bool = False) -> tuple[bytes, Entry] | None:
        if self._reader is not None:
            found = self._reader.first(start, stop, True) if reverse else self._reader.first(start, stop)
            if found is not NotImplemented:
                return None if found is None else (found[0], Entry(found[1]))
        self.record(start)  # has the reader look in the delta from here on, if that is possible
        return super().first(start, stop, reverse=reverse)

    def _noted_record(self, base: BaseFile, key: bytes, *, dirty: bool) -> bytes | None:
        """Read a record of a bounded shelf, and note that it was read."""
        environment = self._environment
        uses = environment.current_uses()
        if self._read_quickly_from is not base:
            self._read_quickly(base)
        elif self._reader is not None and self._known_uses != environment.seen_uses[1]:
            self._note_uses(self._reader)
        if dirty:
            record = self._record_beside_delta(base, key)
        else:
            with translated(self.where, "read"), base.begin() as transaction:
                record = transaction.get(long_keys.physical(key))
        if uses is not None and key >= FIRST:
            if record is None:
                uses.note_miss()
            else:
                uses.note(key, environment.page.last_number)
        return record

    def _read_quickly(self, base: BaseFile) -> None:
        """Read plain values without LMDB from here on, if the base has a reader for that."""
        self._read_quickly_from = base
        self._quick_delta = None
        environment = self._environment
        # A key that is not found may have been lost by damage: this is for the longer path to tell.
        self._reader = base.quick_reader(environment.files.page) if environment.reads_plainly else None
        if self._reader is not None:
            self._note_uses(self._reader)
            self.quick = self._reader.load

    def _note_uses(self, reader: BaseReader) -> None:
        """Have the reader note what it reads, if the shelf is bounded, and leave reads to Python when that changes."""
        environment = self._environment
        environment.current_uses()
        table, known = environment.seen_uses
        if table is None:
            reader.note_uses(None, 0, 0, 4 * USES, known, 4 * BELL)
        else:
            reader.note_uses(table.memory, table.bits, table.shard, 4 * USES, known, 4 * BELL)
        self._known_uses = known

    def _use_quickly(self, base: BaseFile, delta: Delta) -> None:
        """Look into this delta without a call of Python from here on, if it is a log."""
        if self._read_quickly_from is not base:
            self._read_quickly(base)
        self._quick_delta = delta
        if not isinstance(delta, LogDelta):
            return
        environment = self._environment
        if self._reader is not None:
            self._reader.attach(delta.log, LAST_FLUSH, environment.patience)
        if self._puts_quickly and not self._waits_for_disk:
            delta.log.notice_by(environment.flusher, environment.name, 4 * FULL)
            self.quick_store = delta.log.store
            if self._reader is not None:
                self._checks_quickly = True
                self.quick_add = self._reader.add
                self.quick_pop = self._reader.pop
                self.quick_setdefault = self._reader.setdefault
                self.quick_popitem = self._reader.popitem
                self.quick_take = self._reader.take
            hold = environment.exclusive.quick_hold(delta.log)
            if hold is not None:
                self.quick_hold = hold

    def _record_beside_delta(self, base: BaseFile, key: bytes) -> bytes | None:
        """Look in the delta first and in the base second: what a flush took out of the delta is in the base by then."""
        environment = self._environment
        environment.tend()
        delta = environment.current_delta()
        if delta is not self._quick_delta:
            self._use_quickly(base, delta)
        found = delta.get(key)
        with base.begin() as transaction:
            if found is not None:
                flushed = unpack_row(transaction.get(ROW_KEY), self.where).sequence
                if records.version(found) > flushed:
                    return None if is_deletion(found) else found
            return transaction.get(key if len(key) <= long_keys.CHUNK else long_keys.physical(key))

    def _record_after_the_dead(self, base: BaseFile, key: bytes) -> bytes | None:
        """Read a record after LMDB found no free place for a reader. This first frees the places of dead readers."""
        with translated(self.where, "read"), base.begin() as transaction:
            return transaction.get(long_keys.physical(key))

    def _repeated(self, read: Callable[[LmdbSnapshot], _T], start: bytes = FIRST, stop: bytes = LAST) -> _T:
        """Read from a snapshot. Repeat it if a commit overtook this reader, which has no locks."""
        for _ in range(PATIENCE):
            with take_instant(self._environment, start, stop) as snapshot:
                try:
                    return read(snapshot)
                except SnapshotLost:
                    continue
        with take_instant(self._environment, start, stop) as snapshot:
            return read(snapshot)
