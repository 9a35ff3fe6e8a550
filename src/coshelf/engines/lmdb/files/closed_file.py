"""Looking at a shelf's file before LMDB maps it, by the process that is alone with it.

The headers, the shelf row and the mark are read once each, however many questions are asked of them.
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
        is_own: whether this user's mark was found. If not, there may be one: a trusted file is not asked.
        transaction: LMDB's newest.
    """

    row: ShelfRow
    has_damage: bool
    is_own: bool
    transaction: int


def look_at(descriptor: int, path: str, *, trusted: bool) -> ClosedFile:
    """Look at a file that nobody else has open. Unless it is ``trusted`` or this user's, at all of its pages.

    Raises :class:`DamagedShelf` if more than records is damaged, and :class:`NotAShelf`.
    """
    metas = read_metas(descriptor, path)
    check_short_file(descriptor, path, metas)
    rows = first_rows(descriptor, metas)
    is_own = not trusted and refuse_malformed(descriptor, path, metas, rows)
    has_damage = find_damage(descriptor, path, metas)
    if ROW_KEY not in rows:  # LMDB tells best what is wrong
        row = check_row(descriptor, path)
    else:
        row = refuse_last_number(unpack_row(rows[ROW_KEY], path), path)
    return ClosedFile(row, has_damage, is_own, newest_of(metas).transaction)
