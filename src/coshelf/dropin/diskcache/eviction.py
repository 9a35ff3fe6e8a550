"""Which rows go when a cache is full, in the exact order of its policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush

from coshelf.dropin.diskcache import indexes
from coshelf.dropin.diskcache.layout import (
    ACCESS_COUNTS,
    ACCESS_TIMES,
    EXPIRE_TIME,
    FILENAME,
    HINTS,
    MODE,
    POLICY,
    ROWID,
    SIZE,
    STORE_TIME,
    TAG,
    Row,
)
from coshelf.dropin.diskcache.policies import Column, Policy, Standing
from coshelf.dropin.diskcache.rows import Rows
from coshelf.dropin.diskcache.walking import every_row, numbered_row

__all__ = ["evict", "refresh"]

_POLICY = POLICY.ranges[2]
_PAGE = 16  # keys of the index that are read at a time; a write removes 10 rows by default


def evict(rows: Rows, policy: Policy, now: float) -> Iterator[int]:
    """Remove rows in the order of the policy, one for each number that the iterator gives."""
    gone: set[int] = set()
    for rowid in _in_order(rows, policy, now):
        if rowid not in gone:
            found = numbered_row(rows, rowid)
            if found is not None:
                rows.remove(found.key, found.raw, found.row)
                gone.add(rowid)
                yield rowid


def refresh(rows: Rows, column: Column, read: Mapping[int, float]) -> None:
    """Correct the keys of rows that were read in the index, so that there are few to correct when the cache is full.

    Args:
        rows: the transaction.
        column: what the policy orders by.
        read: the numbers of the rows, and when they were stored.
    """
    if indexes.existing(rows)[1] != column:
        return
    for rowid, store_time in read.items():
        key = indexes.key_in_policy(rows, column, rowid, store_time)
        if rows.holds(key):  # else it was removed, or stored anew
            _move(rows, key, rowid, indexes.standing(rows, column, rowid, store_time))


def _in_order(rows: Rows, policy: Policy, now: float) -> Iterator[int]:
    column = policy.column
    if column is None:
        yield from policy.select(_standings(rows), now)
    elif indexes.existing(rows)[1] == column:
        yield from _by_index(rows, column)
    else:  # another process has another policy, and the index is for that
        found = sorted((_standing(rows, column, each.row), each.row[ROWID]) for each in every_row(rows))
        yield from (rowid for _, rowid in found)


def _by_index(rows: Rows, column: Column) -> Iterator[int]:
    """The numbers of rows in order. A number may come twice; the caller has removed the row by then."""
    corrected: list[tuple[float, int]] = []  # what was moved back in the index
    for key in _keys(rows):
        least, rowid = POLICY.decode(key)
        while corrected and corrected[0] < (least, rowid):
            yield heappop(corrected)[1]
        found = numbered_row(rows, rowid)
        if found is None:
            rows.delete(key)
            continue
        standing = _standing(rows, column, found.row)
        if standing > least:
            _move(rows, key, rowid, standing)
            heappush(corrected, (standing, rowid))
        else:
            yield rowid
    while corrected:
        yield heappop(corrected)[1]


def _keys(rows: Rows) -> Iterator[bytes]:
    """The keys of the index, some at a time."""
    start, stop = _POLICY
    while page := rows.some(start, stop, _PAGE):
        yield from (key for key, _ in page)
        start = page[-1][0] + b"\x00"


def _standing(rows: Rows, column: Column, row: Row) -> float:
    return indexes.standing(rows, column, row[ROWID], row[STORE_TIME])


def _move(rows: Rows, key: bytes, rowid: int, standing: float) -> None:
    target = POLICY.encode((standing, rowid))
    if target != key:
        rows.delete(key)
        rows.put(target, None)
        rows.put(HINTS.encode(rowid), standing)


def _standings(rows: Rows) -> Iterator[Standing]:
    for key, raw, row in every_row(rows):
        note = str(row[ROWID])
        yield Standing(
            rowid=row[ROWID],
            key=key,
            raw=raw,
            store_time=row[STORE_TIME],
            expire_time=row[EXPIRE_TIME],
            access_time=max(row[STORE_TIME], rows.get(ACCESS_TIMES.encode(note)) or 0),
            access_count=rows.get(ACCESS_COUNTS.encode(note)) or 0,
            tag=row[TAG],
            size=row[SIZE],
            mode=row[MODE],
            filename=row[FILENAME],
        )
