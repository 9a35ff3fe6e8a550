"""Going through the rows of a cache, in the order of their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from coshelf.dropin.diskcache.layout import ROWID, Row
from coshelf.dropin.diskcache.rows import Rows

__all__ = ["Found", "every_row", "numbered_row"]

_PAGE = 1_000


class Found(NamedTuple):
    """A row, and its key as ``Disk.put`` returns it."""

    key: Any
    raw: bool
    row: Row


def every_row(rows: Rows, after: int = 0, last: int | None = None) -> Iterator[Found]:
    """The rows with greater numbers than ``after``, up to ``last``. The caller may remove those that it got."""
    stop = rows.totals()[3] if last is None else last
    while after < stop:
        page = rows.numbered(after + 1, stop, _PAGE)
        for rowid, raw, key in page:
            row = rows.find(key, raw)
            if row is not None and row[ROWID] == rowid:
                yield Found(key, raw, row)
        if len(page) < _PAGE:
            return
        after = page[-1][0]


def numbered_row(rows: Rows, rowid: int) -> Found | None:
    """The row with a number; None if it does not exist any more."""
    found = rows.key_of(rowid)
    if found is None:
        return None
    raw, key = found
    row = rows.find(key, raw)
    return Found(key, raw, row) if row is not None and row[ROWID] == rowid else None
