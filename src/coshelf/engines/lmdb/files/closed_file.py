"""Checks a shelf's file before LMDB maps it, in the process that is alone with it.

The headers, the shelf row and the mark are read once each and used for all checks.
"""

from __future__ import annotations

from typing import NamedTuple

from coshelf.engines.lmdb.checks.opening import check_short_file, find_damage, refuse_malformed
from coshelf.engines.lmdb.pages.header import newest_of, read_metas
from coshelf.engines.lmdb.pages.structure import first_rows
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, check_row, refuse_last_number, unpack_row

__all__ = ["ClosedFile", "look_at"]


class ClosedFile(NamedTuple):
    """What the first opener found.

    Attributes:
        row: the shelf row.
        has_damage: whether records are damaged.
        is_own: whether this user's mark was found. A trusted file may have one all the same: this does not look.
        transaction: LMDB's newest.
    """

    row: ShelfRow
    has_damage: bool
    is_own: bool
    transaction: int


def look_at(descriptor: int, path: str, *, trusted: bool) -> ClosedFile:
    """Check a file that no other process has open. Check all pages, unless it is ``trusted`` or has this user's mark.

    Raises :class:`DamagedShelf` if more than records is damaged, and :class:`NotAShelf`.
    """
    metas = read_metas(descriptor, path)
    check_short_file(descriptor, path, metas)
    rows = first_rows(descriptor, metas)
    is_own = not trusted and refuse_malformed(descriptor, path, metas, rows)
    has_damage = find_damage(descriptor, path, metas)
    if ROW_KEY not in rows:  # reading the row by LMDB gives the best error
        row = check_row(descriptor, path)
    else:
        row = refuse_last_number(unpack_row(rows[ROW_KEY], path), path)
    return ClosedFile(row, has_damage, is_own, newest_of(metas).transaction)
