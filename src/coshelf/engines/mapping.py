"""The mapping engine: a shelf on any mutable mapping of bytes, such as a dict or a dbm object.

It adds what such mappings lack (order, atomic batches, transactions, a bell) for the threads of this process. This has
a cost: a scan sorts the keys, and a snapshot copies the entries. Closing the shelf does not close the mapping.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from typing import Any

from coshelf import records
from coshelf.contract import (
    ABSENT,
    Batch,
    Capabilities,
    Changes,
    Engine,
    Entry,
    OpenOptions,
    Position,
    Snapshot,
)
from coshelf.engines.exclusive import ExclusiveEngine
from coshelf.engines.local_history import LocalChanges, LocalHistory
from coshelf.engines.local_lock import LocalBell, LocalLock
from coshelf.engines.local_turns import LocalTurns
from coshelf.engines.memory import TableSnapshot
from coshelf.engines.sorted_table import SortedTable
from coshelf.errors import DamagedRecord, NotAShelf
from coshelf.keys import shown
from coshelf.values.expiry import INDEX, first_time

__all__ = ["MappingEngine", "open_engine"]

_CAPABILITIES = Capabilities(
    ordered="sorts",
    snapshots="copies",
    atomic="process",
    exclusive="threads",
    watch="doorbell",
    shared="threads",
    acknowledged="whatever the mapping makes of an assignment",
    cheap_count=False,
    expiry=True,
    tags=True,
    turns="threads",
    changes="all",
)


def open_engine(target: Any, options: OpenOptions) -> Engine:
    """An engine on the mapping."""
    if isinstance(target, dict) and not isinstance(next(iter(target), b""), bytes):
        raise TypeError(
            f"the dict has the key {shown(next(iter(target)))}; a dict in which a shelf is kept has bytes only\n"
            "  hint: open a shelf, and store the dict's items with update()"
        )
    engine = MappingEngine(target, options)
    if options.flag == "n":
        engine.check_entries()  # they will be deleted, so they must be a shelf's
    return engine


class MappingEngine(ExclusiveEngine):
    """Entries in the caller's mapping, changed and read under one lock."""

    name = "mapping"
    capabilities = _CAPABILITIES
    _lock: LocalLock

    def __init__(self, mapping: MutableMapping[bytes, bytes], options: OpenOptions) -> None:
        self._mapping = mapping
        self._options = options
        self.where = f"{type(mapping).__module__}.{type(mapping).__qualname__}"
        self._lock = LocalLock(self.where)
        self._bell = LocalBell()
        self._turns = LocalTurns(self.where)
        # By the clock, so that a position of an earlier opening is older than all of this one, and gives a gap.
        self._history = LocalHistory(time.time_ns() // 1_000)

    def get(self, key: bytes) -> Entry | None:
        return self._lock.reading(self._get, key)

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        return self._lock.reading(lambda: [self._get(key) for key in keys])

    def _get(self, key: bytes) -> Entry | None:
        try:
            record = self._mapping[key]
        except KeyError:
            return None
        if len(record) <= records.TRAILER:
            raise DamagedRecord(f"entry of {len(record)} bytes in {self.where} is too short for a record", key)
        return Entry(record)

    def _keys(self, start: bytes, stop: bytes) -> list[bytes]:
        return sorted(key for key in self._mapping.keys() if start <= key < stop)  # noqa: SIM118 (dbm objects)

    def _copy(self, keys: Iterable[bytes]) -> SortedTable:
        table = SortedTable()
        for key in keys:
            entry = self._get(key)
            if entry is not None:
                table.put(key, entry)
        return table

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        if keys_only:
            keys = self._lock.reading(self._keys, start, stop)
            return ((key, None) for key in (reversed(keys) if reverse else keys))
        return self._lock.reading(self._table, start, stop).scan(start, stop, reverse=reverse)

    def _table(self, start: bytes, stop: bytes) -> SortedTable:
        return self._copy(self._keys(start, stop))

    def count(self, start: bytes, stop: bytes) -> int:
        return len(self._lock.reading(self._keys, start, stop))

    def first_expiry(self) -> int | None:
        return first_time(self.scan(*INDEX, keys_only=True))

    def snapshot(self) -> Snapshot:
        return TableSnapshot(self._lock.reading(self._table, b"", b"\xff"))

    def _apply_alone(self, batch: Batch) -> int:
        # Random, because programs could not update a counter in the mapping together.
        sequence = int.from_bytes(os.urandom(8), "little")
        self._lock.changing(self._change, batch, dict(batch.sealed(sequence)))
        self._bell.ring()
        return sequence

    def _change(self, batch: Batch, sealed: dict[bytes, bytes]) -> None:
        batch.refuse_conflicts(self._version)
        gone = set(batch.deletes)
        for start, stop in batch.clears:
            gone.update(self._keys(start, stop))
        gone -= sealed.keys()
        history = self._history
        before = self._records(gone) if history.is_kept else {}
        self._replace(gone, sealed)
        if history.is_kept:
            history.add(history.position + 1, before, sealed.items())
        else:
            history.position += 1

    def _records(self, keys: set[bytes]) -> dict[bytes, bytes]:
        return {key: self._mapping[key] for key in keys if key in self._mapping}

    def _version(self, key: bytes) -> object:
        entry = self._get(key)
        return ABSENT if entry is None else entry.version

    def _replace(self, gone: set[bytes], sealed: dict[bytes, bytes]) -> None:
        """Change the mapping. If a change fails (because of a full disk, for example), restore the old entries."""
        before: dict[bytes, bytes | None] = {}
        try:
            for key in gone:
                if key in self._mapping:
                    before[key] = self._mapping[key]
                    del self._mapping[key]
            for key, record in sealed.items():
                before[key] = self._mapping[key] if key in self._mapping else None  # noqa: SIM401 (dbm objects)
                self._mapping[key] = record
        except BaseException:
            for key, old in before.items():
                if old is not None:
                    self._mapping[key] = old
                elif key in self._mapping:
                    del self._mapping[key]
            raise

    def doorbell(self, key: bytes) -> LocalBell:
        return self._bell

    def turns(self) -> LocalTurns:
        return self._turns

    def position(self) -> Position:
        self._lock.reading(self._history.keep)
        return self._history.position

    def changes(self, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> Changes:
        return LocalChanges(self._history, self._lock, self._bell, ranges, since)

    def check_entries(self) -> None:
        """Raise :class:`NotAShelf` if the mapping holds anything that is not a shelf's entry."""
        self._lock.reading(self._check_entries)

    def _check_entries(self) -> None:
        for key in self._mapping.keys():  # noqa: SIM118 (dbm objects)
            if not (isinstance(key, bytes) and records.is_intact(key, self._mapping[key])):
                raise NotAShelf(f"{self.where} holds {key!r}, which no shelf has put there; it has not been changed")

    def sync(self) -> None:
        """Call the mapping's own ``sync``, if it has one."""
        sync = getattr(self._mapping, "sync", None)
        if sync is not None:
            self._lock.changing(sync)

    def close(self) -> None:
        self._turns.close()
        self._history.is_closed = True
        self._bell.ring()
        self.sync()

    def rest(self) -> None:
        self.sync()
