"""Looking at the structure of a whole file before LMDB maps it, where there is reason to.

LMDB follows what it finds in pages. A file may be cut, which the system tells by a signal. And whoever makes a file can
give it a closing stamp that fits, so that tells of accidents and not of intent. The look costs some 10 ms a megabyte of
small entries, large values nearly nothing, and only who opens the file first pays for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from coshelf import records
from coshelf.engines.lmdb.pages.header import Meta, missing_bytes, read_metas, wrong_with
from coshelf.engines.lmdb.pages.page_walk import Node, Pages, first_child, nodes_of
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, unpack_row
from coshelf.errors import CoshelfError, DamagedShelf
from coshelf.trust import marks

if TYPE_CHECKING:
    from coshelf.inspection.reports import Problem

__all__ = ["check_short_file", "first_problem", "first_rows", "is_own", "refuse_malformed", "row_without_lmdb"]

_DEEPEST = 32


def check_short_file(descriptor: int, path: str, metas: list[Meta] | None = None) -> None:
    """Raise :class:`DamagedShelf` if pages that are in use lie behind the end of a file that is short.

    LMDB counts pages that a commit took and gave back unwritten, so a file whose last process died right after such a
    commit may be short and whole all the same. All pages are looked at; only a short file needs that.
    """
    short = missing_bytes(descriptor, path, metas)
    if short and first_problem(descriptor, path) is not None:
        size = os.fstat(descriptor).st_size
        raise DamagedShelf(f"{path} is truncated: it has {size} bytes and needs {size + short}")


def refuse_malformed(descriptor: int, path: str, metas: list[Meta], rows: dict[bytes, bytes]) -> bool:
    """Raise :class:`DamagedShelf` for a file that LMDB could stumble over, unless it bears this user's mark.

    Only for the process that is alone with it. ``metas`` are its headers, and ``rows`` its first rows. Returns whether
    it bears the mark.
    """
    problem = wrong_with(metas)
    if problem is None:
        meta = _newest(metas)
        pages = Pages(descriptor, meta.page_size)
        if meta.last_page * meta.page_size <= pages.length and _is_marked(pages, rows, path):
            return True
        found = first_problem(descriptor, path)
        problem = None if found is None else str(found)
    if problem is not None:
        raise DamagedShelf(
            f"{path} is damaged, or was made to look so: {problem}\n"
            "  hint: coshelf.check(path) tells all, coshelf.salvage(path, new) takes what is readable to a new shelf"
        )
    return False


def first_problem(descriptor: int, path: str) -> Problem | None:
    """The first thing in the structure that is not as it should be: in the tree of the newest header, and around it."""
    from coshelf.engines.lmdb.checks.records import StateCheck
    from coshelf.inspection.reports import Report

    meta = _newest(read_metas(descriptor, path))
    report = Report(path)
    StateCheck(Pages(descriptor, meta.page_size), meta, report, None).look_at_structure()
    return report.problems[0] if report.problems else None


def row_without_lmdb(descriptor: int, path: str) -> ShelfRow | None:
    """The shelf row of a file that may be of any kind, and in any state; None if none is found."""
    metas = read_metas(descriptor, path)
    if not metas:
        return None
    try:
        return unpack_row(first_rows(descriptor, metas).get(ROW_KEY), path)
    except CoshelfError:
        return None


def is_own(pages: Pages, meta: Meta, path: str) -> bool:
    """Whether this user made the file on this machine: the rows that tell are the first of all."""
    return _is_marked(pages, {node.key: pages.value(node) for node in _first_rows(pages, meta)}, path)


def first_rows(descriptor: int, metas: list[Meta]) -> dict[bytes, bytes]:
    """The first two rows, which are the shelf row and the mark, if they are where they should be."""
    meta = _newest(metas)
    pages = Pages(descriptor, meta.page_size)
    return {node.key: pages.value(node) for node in _first_rows(pages, meta)}


def _is_marked(pages: Pages, rows: dict[bytes, bytes], path: str) -> bool:
    information = pages.status
    try:
        store_id = unpack_row(rows.get(ROW_KEY), path).store_id
    except CoshelfError:
        return False
    mark = rows.get(marks.ROW_KEY)
    row = None if mark is None else mark[: -records.TRAILER]
    return marks.is_marked(store_id, information.st_dev, information.st_ino, row)


def _newest(metas: list[Meta]) -> Meta:
    return max(metas, key=lambda meta: meta.transaction)


def _first_rows(pages: Pages, meta: Meta) -> Iterator[Node]:
    """The first two rows of the tree, if they are where they should be."""
    number = meta.main_root
    for depth in range(min(meta.main_depth, _DEEPEST), 0, -1):
        page = pages.read(number)
        if page is None:
            return
        if depth == 1:
            yield from (node for node in islice(nodes_of(number, page), 2) if node is not None)
            return
        number = first_child(page)
