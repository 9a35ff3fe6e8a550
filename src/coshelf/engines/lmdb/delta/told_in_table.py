"""The changes that commits to a table put beside their own rows, for those that watch. docs/design.md, "Changes".

``begin`` in these functions begins a read transaction of the table, for a block.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

import lmdb

from coshelf import records
from coshelf.contract import HISTORY
from coshelf.engines.lmdb.delta.rows_of_table import all_rows
from coshelf.engines.lmdb.watching.told import Commit, changes_of, commits_in, first_row, number_of, rows_of
from coshelf.engines.lmdb.watching.watch_state import WatchState
from coshelf.system import clock

__all__ = ["commits_told", "last_commit", "tell", "told_after"]

_NUMBER_END = 9  # bytes of the key of a row of changes, up to the end of the number
Begin: TypeAlias = "Callable[[], AbstractContextManager[lmdb.Transaction[bytes]]]"


def tell(watch: WatchState, transaction: lmdb.Transaction[bytes], number: int, rows: list[tuple[bytes, bytes]]) -> None:
    """Put into the table what a commit changes. ``rows`` are those that it writes."""
    if not watch.first_told:
        watch.first_told = _last_in(transaction, before=number) + 1
    for key, record in rows_of(Commit(number, changes_of(rows, clock.now()))):
        transaction.put(key, record)


def commits_told(watch: WatchState, begin: Begin, after: int, most: int) -> tuple[list[Commit], int]:
    """The commits after a number, in about ``most`` bytes, and the number after which all commits are told.

    Raises ValueError if the rows are damaged.
    """
    while True:
        first = watch.first_told
        with begin() as transaction:
            rows = _changes_after(transaction, after, most)
            untold = 0 if first else _last_in(transaction)
        if watch.first_told == first:
            return list(commits_in(rows)), first - 1 if first else untold


def told_after(watch: WatchState, begin: Begin) -> int:
    """The number after which all commits are told."""
    first = watch.first_told
    if first:
        return first - 1
    with begin() as transaction:
        return _last_in(transaction)


def last_commit(watch: WatchState, begin: Begin) -> int:
    """The number of the last commit that changed an entry, as far as the table tells."""
    first = watch.first_told
    with begin() as transaction:
        if not first:
            return _last_in(transaction)
        cursor = transaction.cursor()
        is_told = cursor.prev() if cursor.set_range(HISTORY[1]) else cursor.last()
        row = cursor.key() if is_told else b""
        return max(first - 1, number_of(row) if row > HISTORY[0] else 0)


def _changes_after(transaction: lmdb.Transaction[bytes], after: int, most: int) -> list[tuple[bytes, bytes]]:
    """The rows of changes of commits after a number: whole commits, in about ``most`` bytes."""
    rows: list[tuple[bytes, bytes]] = []
    cursor = transaction.cursor()
    if cursor.set_range(first_row(after + 1)):
        for row in cursor:
            is_next = not rows or row[0][:_NUMBER_END] != rows[-1][0][:_NUMBER_END]
            if row[0] >= HISTORY[1] or (most <= 0 and is_next):
                break
            rows.append(row)
            most -= len(row[1])
    return rows


def _last_in(transaction: lmdb.Transaction[bytes], before: int = 1 << 64) -> int:
    """The number of the last commit that has rows, before another one; 0 if there is none."""
    numbers = (records.version(record) for _, record in all_rows(transaction))
    return max((number for number in numbers if number < before), default=0)
