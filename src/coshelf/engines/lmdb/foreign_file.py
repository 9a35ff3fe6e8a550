"""A file that somebody else may have made: its structure is looked at whole before LMDB maps it.

LMDB follows what it finds in pages. Whoever makes a file can give it a closing stamp that fits, too, so that tells of
accidents and not of intent. The look costs some 8 ms a megabyte of small entries, large values nearly nothing, and only
who opens the file first pays for it.
"""

from __future__ import annotations

from coshelf import records, trust
from coshelf.engines.lmdb.checking import StateCheck
from coshelf.engines.lmdb.header import Meta, read_metas
from coshelf.engines.lmdb.page_walk import Pages, TreeWalk
from coshelf.engines.lmdb.shelf_row import ROW_KEY, unpack_row
from coshelf.errors import CoshelfError, DamagedShelf
from coshelf.reports import Report

__all__ = ["refuse_malformed"]


def refuse_malformed(descriptor: int, path: str) -> None:
    """Raise :class:`DamagedShelf` for a file that LMDB could stumble over, unless it bears this user's mark."""
    metas = sorted(read_metas(descriptor, path), key=lambda meta: meta.transaction)
    if len(metas) < 2:
        return  # LMDB refuses it itself
    meta = metas[-1]
    pages = Pages(descriptor, meta.page_size)
    if meta.last_page * meta.page_size <= pages.length and _is_own(pages, meta, path):
        return
    report = Report(path)
    StateCheck(pages, meta, report, None).look_at_structure()
    if report.problems:
        raise DamagedShelf(
            f"{path} is damaged, or was made to look so: {report.problems[0]}\n"
            "  hint: coshelf.check(path) tells all, coshelf.salvage(path, new) takes what is readable to a new shelf"
        )


def _is_own(pages: Pages, meta: Meta, path: str) -> bool:
    """Whether this user made the file on this machine: the rows that tell are the first of all."""
    information = pages.status
    walk = TreeWalk(pages, meta.last_page, bytearray(meta.last_page + 1), lambda *_: None)
    for leaf in walk.leaves(meta.main_root, meta.main_depth):
        rows = {node.key: node for node in leaf[:2]}
        try:
            store_id = unpack_row(pages.value(rows[ROW_KEY]), path).store_id
        except (CoshelfError, KeyError):
            return False
        mark = rows.get(trust.ROW_KEY)
        row = None if mark is None else pages.value(mark)[: -records.TRAILER]
        return trust.is_marked(store_id, information.st_dev, information.st_ino, row)
    return False
