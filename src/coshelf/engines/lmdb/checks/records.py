"""The check of the records of one state of a shelf's file: all rows in all pages in use. LMDB is not used.

It unpickles nothing. The state is that of a closed file, or what a read transaction of an open one shows.
"""

from __future__ import annotations

from collections.abc import Container

from coshelf import records
from coshelf.engines.lmdb.blobs.checking import BlobCheck
from coshelf.engines.lmdb.delta.delta import is_deletion
from coshelf.engines.lmdb.layer_map import LayerMap, is_in_layer, is_link
from coshelf.engines.lmdb.pages.header import Meta
from coshelf.engines.lmdb.pages.layout import Node, nodes_of
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.engines.lmdb.pages.structure import StructureCheck
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, unpack_row
from coshelf.errors import CoshelfError
from coshelf.inspection.record_check import check_record
from coshelf.inspection.reports import Progress, Report, shown_key
from coshelf.keys import FIRST

__all__ = ["StateCheck", "check_newer"]

_LARGEST_SHOWN = 1 << 20  # bytes of the largest damaged record that is read for the report
_STEP = 64  # leaves


class StateCheck:
    """The check of the pages and records of one state of a file, that of one header.

    Entries that are ``outdated`` are not counted: the delta has newer records for them.
    """

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
        self._structure = StructureCheck(pages, meta, report)

    @property
    def used(self) -> bytearray:
        """One byte for each page. It is not zero if the page is in use. Known after the check."""
        return self._structure.used

    def run(self) -> None:
        """Check everything; all that is found goes to the report."""
        walk = self._structure.run(self._look_at_leaf)
        if walk is None:
            return
        self._look_at_layers()
        if self._row is None:
            self._report.add("record", "shelf row", "is missing, or is not what was written")
        elif not walk.lost and self._row.extra_rows != self._extra:
            self._report.add(
                "count", "shelf row", f"counts {self._row.extra_rows} rows of ours; {self._extra} can be found"
            )
        if self._row is not None:
            self._blobs.finish(self._row.store_id)
        if self._progress is not None:
            self._progress(self._meta.last_page + 1, self._meta.last_page + 1)

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
            if not self._done % _STEP:
                self._progress(self._done, self._meta.last_page + 1)

    def _look_at_link(self, node: Node) -> None:
        self._extra += 1
        self._layers.add_link(node.key)
        if node.value != b"\x00":
            self._report.add("long key", f"page {node.page}", f"a link to long keys holds {node.size} bytes")

    def _look_at_layers(self) -> None:
        """Check the rows of layers. Their keys are known once all links have been seen."""
        self._layers.resolve()
        for number in self._layer_pages:
            page = self._pages.read(number)
            for node in nodes_of(number, page or b""):
                if node is None or not is_in_layer(node.key):
                    continue
                if not self._layers.leads_to(node.key):
                    self._report.add("long key", f"page {number}", "a row is in a layer that no link leads to")
                elif not is_link(node.key) and (key := self._layers.key(node.key)) is not None:
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


def check_newer(report: Report, newer: dict[bytes, bytes], store_id: bytes) -> None:
    """Check rows of the delta, and their large buffers."""
    blobs = BlobCheck(report.name, report)
    for key, record in newer.items():
        if not is_deletion(record):
            check_record(report, key, len(record), None if records.is_intact(key, record) else record)
            blobs.look_at_newer(key, record, store_id)
