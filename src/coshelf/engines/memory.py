"""The ``memory:`` engine: a shelf in this process alone, for tests and for data that is not kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from coshelf.contract import (
    ABSENT,
    Batch,
    Capabilities,
    Changes,
    Engine,
    Entry,
    OpenOptions,
    Position,
    Reader,
    Snapshot,
)
from coshelf.engines.exclusive import ExclusiveEngine
from coshelf.engines.local_history import LocalChanges, LocalHistory
from coshelf.engines.local_lock import LocalBell, LocalLock
from coshelf.engines.local_turns import LocalTurns
from coshelf.engines.sorted_table import SortedTable
from coshelf.errors import ShelfClosed, UnknownEngine
from coshelf.values.expiry import INDEX, first_time

__all__ = ["MemoryEngine", "open_engine"]

_CAPABILITIES = Capabilities(
    atomic="process",
    exclusive="threads",
    watch="doorbell",
    shared="threads",
    persistent=False,
    acknowledged="process",
    expiry=True,
    tags=True,
    turns="threads",
    changes="all",
)


def open_engine(target: Any, options: OpenOptions) -> Engine:
    """A new, empty engine. The only URL is ``memory:``."""
    if target != "memory:":
        raise UnknownEngine("a shelf in memory has no name: write 'memory:' alone")
    return MemoryEngine(options)


class _TableReader(Reader):
    """Reads of a table that does not change."""

    _table: SortedTable

    def _open_table(self) -> SortedTable:
        """The table to read from, at one instant."""
        return self._table

    def get(self, key: bytes) -> Entry | None:
        return self._open_table().get(key)

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        return _walk(self._open_table(), start, stop, reverse, keys_only)

    def count(self, start: bytes, stop: bytes) -> int:
        return self._open_table().count(start, stop)

    def first_expiry(self) -> int | None:
        return first_time(self.scan(*INDEX, keys_only=True))

    def snapshot(self) -> Snapshot:
        return TableSnapshot(self._open_table())


def _walk(
    table: SortedTable, start: bytes, stop: bytes, reverse: bool, keys_only: bool
) -> Iterator[tuple[bytes, Entry | None]]:
    for key, entry in table.scan(start, stop, reverse=reverse):
        yield key, None if keys_only else entry


class TableSnapshot(_TableReader, Snapshot):
    """A snapshot that has its own table."""

    def __init__(self, table: SortedTable) -> None:
        self._table = table
        self._closed = False

    def _open_table(self) -> SortedTable:
        if self._closed:
            raise ShelfClosed("the snapshot has been closed")
        return self._table

    def close(self) -> None:
        self._closed = True
        self._table = SortedTable()


class MemoryEngine(_TableReader, ExclusiveEngine):
    """Entries in a sorted table, changed under one lock and read from copies of it."""

    name = "memory"
    capabilities = _CAPABILITIES
    where = "memory:"
    reads_at_once = commits_at_once = True
    _lock: LocalLock

    def __init__(self, options: OpenOptions) -> None:
        self._options = options
        self._table = SortedTable()
        self._numbers = itertools.count(1)
        self._lock = LocalLock(self.where)
        self._bell = LocalBell()
        self._turns = LocalTurns(self.where)
        self._history = LocalHistory()

    def _open_table(self) -> SortedTable:
        return self._lock.reading(self._table.copy)

    def get(self, key: bytes) -> Entry | None:
        return self._lock.reading(self._table.get, key)

    def record(self, key: bytes) -> bytes | None:
        entry = self._lock.reading(self._table.get, key)
        return None if entry is None else entry.record

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        return self._lock.reading(lambda: [self._table.get(key) for key in keys])

    def count(self, start: bytes, stop: bytes) -> int:
        return self._lock.reading(self._table.count, start, stop)

    def first_expiry(self) -> int | None:
        return self._lock.reading(lambda: first_time(self._table.scan(*INDEX)))  # no copy of the table

    def _apply_alone(self, batch: Batch) -> int:
        number = next(self._numbers)
        self._lock.changing(self._change, batch, number, list(batch.sealed(number)))
        self._bell.ring()
        return number

    def _change(self, batch: Batch, number: int, sealed: list[tuple[bytes, bytes]]) -> None:
        batch.refuse_conflicts(self._version)
        gone = set(batch.deletes)
        for start, stop in batch.clears:
            gone.update(key for key, _ in self._table.copy().scan(start, stop))
        gone -= batch.puts.keys()
        before = self._records(gone) if self._history.is_kept else {}
        for key in gone:
            self._table.delete(key)
        for key, record in sealed:
            self._table.put(key, Entry(record))
        if self._history.is_kept:
            self._history.add(number, before, sealed)
        else:
            self._history.position = number

    def _records(self, keys: set[bytes]) -> dict[bytes, bytes]:
        found = ((key, self._table.get(key)) for key in keys)
        return {key: entry.record for key, entry in found if entry is not None}

    def _version(self, key: bytes) -> object:
        entry = self._table.get(key)
        return ABSENT if entry is None else entry.version

    def distrust(self) -> None:
        return None

    def doorbell(self, key: bytes) -> LocalBell:
        return self._bell

    def turns(self) -> LocalTurns:
        return self._turns

    def position(self) -> Position:
        self._lock.reading(self._history.keep)
        return self._history.position

    def may_be_later(self, version: int | str, since: Position) -> bool:
        return not (isinstance(version, int) and isinstance(since, int)) or version > since

    def changes(self, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> Changes:
        return LocalChanges(self._history, self._lock, self._bell, ranges, since)

    def sync(self) -> None:
        """Nothing to do: memory cannot be made more durable."""

    def close(self) -> None:
        self._turns.close()
        self._table = SortedTable()
        self._history.is_closed = True
        self._bell.ring()

    def rest(self) -> None:
        """Nothing to do."""
