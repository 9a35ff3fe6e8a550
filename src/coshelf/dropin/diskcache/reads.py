"""What reads tell: hits and misses, and when and how often an entry was read. No read waits for that.

Each note is a commit of its own to memory that processes share, by one call of the module in C: it is not durable at
once, and costs under a microsecond. While another transaction keeps writers out, notes are kept here.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from coshelf.dropin.diskcache import eviction
from coshelf.dropin.diskcache.layout import ACCESS_COUNTS, ACCESS_TIMES, HITS, MISSES, ROWID, STATE, STORE_TIME, Row
from coshelf.dropin.diskcache.names import Timeout
from coshelf.dropin.diskcache.policies import Column
from coshelf.dropin.diskcache.rows import Rows
from coshelf.dropin.diskcache.store import Store

__all__ = ["Reads"]

_AT_ONCE = 1_000  # entries whose keys in the index are corrected together

Note = Callable[[Rows], None]


class Reads:
    """The notes of one cache, which its threads share."""

    def __init__(self) -> None:
        self._kept: deque[Note] = deque()
        self._read: dict[
            int, float
        ] = {}  # the rows that were read since keys were corrected, and when they were stored
        self._pid = os.getpid()

    def count(self, store: Store, *, is_hit: bool) -> None:
        """Count a hit or a miss."""
        done = store.engine.quick_add("hits" if is_hit else "misses", 1, STATE.start)
        if done is NotImplemented:
            self._keep(lambda rows: _add(rows, HITS if is_hit else MISSES))
        elif done[1]:
            store.engine.stored()
        if self._kept:
            store.step_at_once(self.write)

    def use(self, store: Store, column: Column, row: Row, now: float) -> None:
        """Note that the entry of a row was read."""
        rowid = row[ROWID]
        if column == "access_count":
            self._count_use(store, rowid)
        else:
            self._time_use(store, rowid, now)
        if self._kept:
            store.step_at_once(self.write)
        self._read[rowid] = row[STORE_TIME]
        if len(self._read) >= _AT_ONCE:
            read, self._read = self._read, {}
            store.step_at_once(lambda rows: eviction.refresh(rows, column, read))

    def _count_use(self, store: Store, rowid: int) -> None:
        done = store.engine.quick_add(str(rowid), 1, ACCESS_COUNTS.start)
        if done is NotImplemented:
            self._keep(lambda rows: _add_if_there(rows, ACCESS_COUNTS.encode(str(rowid))))
        elif done[1]:
            store.engine.stored()

    def _time_use(self, store: Store, rowid: int, now: float) -> None:
        is_left = store.engine.quick_store(str(rowid), now, ACCESS_TIMES.start)
        if is_left is False:
            self._keep(lambda rows: _raise_to(rows, rowid, now))
        elif is_left:
            store.engine.stored()

    def _keep(self, note: Note) -> None:
        self._forget_those_of_the_parent()
        self._kept.append(note)

    def write(self, rows: Rows) -> None:
        """Write the notes that were kept, in a step that is called once."""
        self._forget_those_of_the_parent()
        while self._kept:
            self._kept.popleft()(rows)

    def finish(self, store: Store) -> None:
        """Write the notes that were kept, before the cache is closed. After the timeout they are lost."""
        if self._kept:
            with suppress(Timeout):
                store.step(self.write, retry=False, locked=True)

    def _forget_those_of_the_parent(self) -> None:
        if self._pid != os.getpid():  # in a forked child: the parent writes them
            self._pid = os.getpid()
            self._kept.clear()


def _add(rows: Rows, key: bytes) -> None:
    rows.put(key, (rows.get(key) or 0) + 1)


def _add_if_there(rows: Rows, key: bytes) -> None:
    count: Any = rows.get(key)
    if count is not None:  # else the entry is gone
        rows.put(key, count + 1)


def _raise_to(rows: Rows, rowid: int, now: float) -> None:
    key = ACCESS_TIMES.encode(str(rowid))
    if rows.key_of(rowid) is not None and (rows.get(key) or 0) < now:
        rows.put(key, now)
