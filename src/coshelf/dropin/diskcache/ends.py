"""Steps that change the rows of a deque. Values are moved with their files, and are not loaded."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from coshelf.dropin.diskcache import indexes
from coshelf.dropin.diskcache.layout import (
    ENTRIES,
    EXPIRE_TIME,
    ROWID,
    SIZE,
    STORE_TIME,
    TAG,
    Row,
    Stored,
)
from coshelf.dropin.diskcache.places import QUEUE, in_order
from coshelf.dropin.diskcache.rows import Rows

__all__ = ["add", "remove", "rotate", "swap"]

_FIRST = 500_000_000_000_000


def add(rows: Rows, values: list[Stored], now: float, maxlen: float, *, to_back: bool) -> None:
    """Add values at an end, as :meth:`Disk.store` returned them. Each may drop one at the other end."""
    surplus = int(max(0, min(len(values), rows.totals()[0] + len(values) - maxlen)))
    dropped = _end(rows, surplus, from_back=not to_back)
    not_stored = surplus - len(dropped)
    kept = values[not_stored:]
    numbers = _numbers(rows, len(kept), to_back=to_back)  # before anything is written: ends are found faster so
    for key, _ in dropped:
        remove(rows, key)
    rows.new_files += [name for _, _, name, _ in values if name is not None]
    rows.old_files += [name for _, _, name, _ in values[:not_stored] if name is not None]
    for number, stored in zip(numbers, kept, strict=True):
        rows.store(number, True, now, None, None, stored)


def remove(rows: Rows, key: bytes) -> None:
    """Remove the row of a key."""
    row: Row = rows.get(key)
    raw, stored_key = _key_of(rows, row)
    rows.remove(stored_key, raw, row)


def rotate(rows: Rows, steps: int) -> None:
    """Move values from the back to the front, or with negative steps the other way."""
    count = rows.totals()[0]
    if not count:
        return
    steps %= count
    from_back = steps <= count // 2
    moves = steps if from_back else count - steps
    moved = [row for _, row in _end(rows, moves, from_back=from_back)]
    for number, row in zip(_numbers(rows, len(moved), to_back=not from_back), moved, strict=True):
        raw, key = _key_of(rows, row)
        rows.remove(key, raw, row, keeps_file=True)
        rows.store(number, True, row[STORE_TIME], row[EXPIRE_TIME], row[TAG], row[SIZE:])


def swap(rows: Rows, one: bytes, two: bytes) -> None:
    """Exchange what is stored under two keys."""
    existing = indexes.existing(rows)
    first, second = rows.get(one), rows.get(two)
    for key, old, new in ((one, first, (first[ROWID], *second[1:])), (two, second, (second[ROWID], *first[1:]))):
        rows.put(key, new)
        if not indexes.is_same(existing, old, new):
            indexes.drop(rows, existing, old)
            indexes.add(rows, existing, new)


def _end(rows: Rows, most: int, *, from_back: bool) -> list[tuple[bytes, Row]]:
    """Up to so many values at an end, as rows with their keys."""
    return list(islice(in_order(lambda: rows, QUEUE, reverse=from_back), most))


def _numbers(rows: Rows, count: int, *, to_back: bool) -> Iterable[int]:
    """The next numbers at an end."""
    found = rows.last(*QUEUE) if to_back else rows.first(*QUEUE)
    step = 1 if to_back else -1
    first = _FIRST if found is None else ENTRIES.decode(found[0]) + step
    return range(first, first + step * count, step)


def _key_of(rows: Rows, row: Row) -> tuple[bool, Any]:
    found = rows.key_of(row[ROWID])
    assert found is not None, "each row has its key"
    return found
