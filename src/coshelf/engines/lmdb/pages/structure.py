"""Checks the structure of a file: all that LMDB follows. It does not check the content of the records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from coshelf import records
from coshelf.engines.lmdb.pages.header import Counts, Meta, newest_of, read_metas
from coshelf.engines.lmdb.pages.layout import (
    DEEPEST,
    FILE_WITHOUT_DIRECTORY,
    FIRST_PAGE,
    INTEGER_KEYS,
    Node,
    first_child,
    nodes_of,
)
from coshelf.engines.lmdb.pages.page_walk import TreeWalk, free_pages
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, unpack_row
from coshelf.errors import CoshelfError
from coshelf.inspection.reports import Problem, Report
from coshelf.trust import marks

__all__ = ["StructureCheck", "first_problem", "first_rows", "is_marked", "is_own", "row_without_lmdb"]

# Bytes that a header may count beyond the end of the file: pages that were taken and never written.
_UNWRITTEN = 1 << 30


class StructureCheck:
    """The check of the pages of one state of a file, that of one header.

    Attributes:
        used: one byte for each page, not zero if the page is in use. Known after the check.
    """

    def __init__(self, pages: Pages, meta: Meta, report: Report) -> None:
        self._pages = pages
        self._meta = meta
        self._report = report
        # A damaged header may count any number of pages.
        self._is_possible = meta.last_page * pages.size <= 4 * pages.length + _UNWRITTEN
        self.used = bytearray(meta.last_page + 1 if self._is_possible else 0)

    def run(self, see: Callable[[list[Node]], None] | None = None) -> TreeWalk | None:
        """Walk over all pages in use, and call ``see`` with the rows of each leaf.

        Returns the walk; None if the header is not possible.
        """
        meta = self._meta
        if not self._is_possible:
            self._report.add("header", "header", f"counts {meta.last_page} pages")
            return None
        if meta.main_flags or meta.free_flags & ~FILE_WITHOUT_DIRECTORY != INTEGER_KEYS:
            self._report.add("header", "header", f"has trees of kinds {meta.free_flags:#x} and {meta.main_flags:#x}")
            return None
        before = len(self._report.problems)
        free_walk = TreeWalk(self._pages, meta.last_page, self.used, self._add)
        free = list(free_pages(free_walk, self._pages, meta))
        walk = TreeWalk(self._pages, meta.last_page, self.used, self._add)
        for leaf in walk.leaves(meta.main_root, meta.main_depth):
            if see is not None:
                see(leaf)
        if len(self._report.problems) == before:
            self._compare_counts("the list of free pages", free_walk.counts, meta.free_counts)
            self._compare_counts("the tree", walk.counts, meta.main_counts)
            self._compare_free(free)
        return walk

    def _add(self, number: int, message: str) -> None:
        self._report.add("page", f"page {number}", message)

    def _compare_counts(self, what: str, found: Counts, said: Counts) -> None:
        for name, number, expected in zip(Counts._fields, found, said, strict=True):
            if number != expected:
                self._report.add("count", "header", f"{what} has {number} {name.replace('_', ' ')}, not {expected}")

    def _compare_free(self, free: list[int]) -> None:
        """Check that each page is either in use or free."""
        listed = bytearray(len(self.used))
        for number in free:
            if not FIRST_PAGE <= number < len(listed):
                self._report.add("free list", f"page {number}", "is listed as free, and does not exist")
            elif self.used[number]:
                self._report.add("free list", f"page {number}", "is in use, and listed as free")
            elif listed[number]:
                self._report.add("free list", f"page {number}", "is listed as free twice")
            else:
                listed[number] = 1
        neither = len(listed) - FIRST_PAGE - sum(listed) - sum(self.used)
        if neither > 0:
            self._report.add(
                "free list", "list of free pages", f"{neither} pages are neither in use nor listed as free"
            )


def first_problem(descriptor: int, path: str) -> Problem | None:
    """The first thing that is wrong in the structure of the newest header's state."""
    meta = newest_of(read_metas(descriptor, path))
    report = Report(path)
    StructureCheck(Pages(descriptor, meta.page_size), meta, report).run()
    return report.problems[0] if report.problems else None


def row_without_lmdb(descriptor: int, path: str) -> ShelfRow | None:
    """The shelf row of a file that may be of any kind, and in any state; None if it is not found."""
    metas = read_metas(descriptor, path)
    if not metas:
        return None
    try:
        return unpack_row(first_rows(descriptor, metas).get(ROW_KEY), path)
    except CoshelfError:
        return None


def is_own(pages: Pages, meta: Meta, path: str) -> bool:
    """Whether this user made the file on this machine. The first two rows say that."""
    return is_marked(pages, {node.key: pages.value(node) for node in _first_rows(pages, meta)}, path)


def first_rows(descriptor: int, metas: list[Meta]) -> dict[bytes, bytes]:
    """The first two rows, which are the shelf row and the mark, if they are where they should be."""
    meta = newest_of(metas)
    pages = Pages(descriptor, meta.page_size)
    return {node.key: pages.value(node) for node in _first_rows(pages, meta)}


def is_marked(pages: Pages, rows: dict[bytes, bytes], path: str) -> bool:
    """Do the same as :func:`is_own`, by the first two ``rows``."""
    information = pages.status
    try:
        store_id = unpack_row(rows.get(ROW_KEY), path).store_id
    except CoshelfError:
        return False
    mark = rows.get(marks.ROW_KEY)
    row = None if mark is None else mark[: -records.TRAILER]
    return marks.is_marked(store_id, information.st_dev, information.st_ino, row)


def _first_rows(pages: Pages, meta: Meta) -> Iterator[Node]:
    """The first two rows of the tree, if they are where they should be."""
    number = meta.main_root
    for depth in range(min(meta.main_depth, DEEPEST), 0, -1):
        page = pages.read(number)
        if page is None:
            return
        if depth == 1:
            yield from (node for node in islice(nodes_of(number, page), 2) if node is not None)
            return
        number = first_child(page)
