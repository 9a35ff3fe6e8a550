"""Looking at every page and every record of a shelf's file, one state of it. Nothing is unpickled, and LMDB not asked.

An open shelf is looked at as a read transaction sees it, beside writers, and a closed one whole.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from coshelf import records
from coshelf.engines.lmdb.blobs.checking import BlobCheck
from coshelf.engines.lmdb.layer_map import LayerMap, is_in_layer, is_link
from coshelf.engines.lmdb.pages.header import Counts, Meta
from coshelf.engines.lmdb.pages.layout import FILE_WITHOUT_DIRECTORY, FIRST_PAGE, INTEGER_KEYS, Node, nodes_of
from coshelf.engines.lmdb.pages.page_walk import TreeWalk, free_pages
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, unpack_row
from coshelf.errors import CoshelfError
from coshelf.inspection.reports import Progress, Report, check_record, shown_key
from coshelf.keys import FIRST

__all__ = ["Progress", "StateCheck"]


# Bytes that a header may count beyond the end of the file: pages that were taken and never written.
_UNWRITTEN = 1 << 30
_LARGEST_SHOWN = 1 << 20  # bytes of a damaged record that is looked at


class StateCheck:
    """The check of one state of a file, that of one header. Entries that are ``outdated`` are not counted."""

    def __init__(
        self, pages: Pages, meta: Meta, report: Report, progress: Progress | None, outdated: Container[bytes] = ()
    ) -> None:
        self._pages = pages
        self._meta = meta
        self._report = report
        self._progress = progress
        self._outdated = outdated
        self._done = 0
        self._extra = 0
        self._layers = LayerMap()
        self._layer_pages: list[int] = []
        self._row: ShelfRow | None = None
        self._blobs = BlobCheck(report.name, report, outdated)
        self.used = bytearray(meta.last_page + 1 if self._is_possible() else 0)

    def _is_possible(self) -> bool:
        """Whether the file can have as many pages: a damaged header may count anything."""
        return self._meta.last_page * self._pages.size <= 4 * self._pages.length + _UNWRITTEN

    def look_at_structure(self) -> None:
        """Look at the pages alone, and not at what is in the rows: at all that LMDB follows."""
        self._look_at_pages(lambda _: None)

    def run(self) -> None:
        """Look at everything; all that is found goes to the report."""
        walk = self._look_at_pages(self._look_at_leaf)
        if walk is None:
            return
        self._look_at_layers()
        if self._row is None:
            self._report.add("record", "shelf row", "is not there, or not what was written")
        elif not walk.lost and self._row.extra_rows != self._extra:
            self._report.add(
                "count", "shelf row", f"counts {self._row.extra_rows} rows of ours; there are {self._extra}"
            )
        if self._row is not None:
            self._blobs.finish(self._row.store_id)
        if self._progress is not None:
            self._progress(self._meta.last_page + 1, self._meta.last_page + 1)

    def _look_at_pages(self, look: Callable[[list[Node]], None]) -> TreeWalk | None:
        """Walk over all pages in use, and have a look at the rows of each leaf; None if that cannot be."""
        meta = self._meta
        if not self._is_possible():
            self._report.add("header", "header", f"counts {meta.last_page} pages")
            return None
        if meta.main_flags or meta.free_flags & ~FILE_WITHOUT_DIRECTORY != INTEGER_KEYS:
            self._report.add("header", "header", f"has trees of kinds {meta.free_flags:#x} and {meta.main_flags:#x}")
            return None
        before = len(self._report.problems)
        free_walk = TreeWalk(self._pages, meta.last_page, self.used, self._page_problem)
        free = list(free_pages(free_walk, self._pages, meta))
        walk = TreeWalk(self._pages, meta.last_page, self.used, self._page_problem)
        for leaf in walk.leaves(meta.main_root, meta.main_depth):
            look(leaf)
        if len(self._report.problems) == before:
            self._compare_counts("the list of free pages", free_walk.counts, meta.free_counts)
            self._compare_counts("the tree", walk.counts, meta.main_counts)
            self._compare_free(free)
        return walk

    def _page_problem(self, number: int, message: str) -> None:
        self._report.add("page", f"page {number}", message)

    # --- rows --------------------------------------------------------------------------------------------------------

    def _look_at_leaf(self, leaf: list[Node]) -> None:
        for node in leaf:
            if is_in_layer(node.key) and self._layer_pages[-1:] != [node.page]:
                self._layer_pages.append(node.page)
            if is_link(node.key):
                self._look_at_link(node)
            elif is_in_layer(node.key):
                continue
            elif node.key == ROW_KEY:
                self._look_at_row(node)
            else:
                self._look_at_record(node, node.key)
        if self._progress is not None and leaf:
            self._done += 1
            if not self._done % 64:
                self._progress(self._done, self._meta.last_page + 1)

    def _look_at_link(self, node: Node) -> None:
        self._extra += 1
        self._layers.add_link(node.key)
        if node.value != b"\x00":
            self._report.add("long key", f"page {node.page}", f"a link to long keys holds {node.size} bytes")

    def _look_at_layers(self) -> None:
        """The rows of layers, whose keys are known once all links are."""
        self._layers.resolve()
        for number in self._layer_pages:
            page = self._pages.read(number)
            for node in nodes_of(number, page or b""):
                if node is None or not is_in_layer(node.key):
                    continue
                key = self._layers.key(node.key)
                if key is None:
                    self._report.add("long key", f"page {number}", "a row is in a layer that no link leads to")
                elif not is_link(node.key):
                    self._look_at_record(node, key)
        for beginning in self._layers.unused():
            self._report.add("long key", f"key {shown_key(beginning)}...", "a link leads to no long keys")

    def _look_at_row(self, node: Node) -> None:
        self._extra += 1
        try:
            self._row = unpack_row(self._pages.value(node), self._report.name)
        except CoshelfError as error:
            self._report.add("record", f"page {node.page}, shelf row", str(error))

    def _look_at_record(self, node: Node, key: bytes) -> None:
        damaged = None
        if not self._pages.is_record(node, key):
            damaged = self._pages.value(node) if node.size <= _LARGEST_SHOWN else b""
        counted = key not in self._outdated
        check_record(self._report, key, node.size, damaged, page=node.page, counted=counted)
        if key < FIRST:
            self._extra += 1
        if damaged is None and counted and (key < FIRST or self._pages.first_byte(node) == records.HEADERED):
            self._blobs.see(key, self._pages.value(node))

    # --- numbers -----------------------------------------------------------------------------------------------------

    def _compare_counts(self, what: str, found: Counts, said: Counts) -> None:
        for name, number, expected in zip(Counts._fields, found, said, strict=True):
            if number != expected:
                self._report.add("count", "header", f"{what} has {number} {name.replace('_', ' ')}, not {expected}")

    def _compare_free(self, free: list[int]) -> None:
        """Each page is in use or free, not both, and not neither."""
        listed = bytearray(len(self.used))
        for number in free:
            if not FIRST_PAGE <= number < len(listed):
                self._report.add("free list", f"page {number}", "is listed as free, and there is no such page")
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
