"""Copies what is readable in a damaged file to a new shelf. The file is only read, and LMDB is not used.

A salvage takes what the newest tree leads to. Where damage cuts off a part of the tree, it looks for the rows of that
part in all other pages: first in those that are in use, then in those that may be free. The latter also hold
overwritten and deleted rows, so the report names what comes from them. The commits in the delta are newer than all of
this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from coshelf import records
from coshelf.contract import RESERVED
from coshelf.engines.lmdb.blobs.blob_file import open_blob, problem_with
from coshelf.engines.lmdb.blobs.catalogue import is_about_blobs
from coshelf.engines.lmdb.blobs.folder import blob_path, folder_of
from coshelf.engines.lmdb.checks.file import opened_alone
from coshelf.engines.lmdb.checks.left_delta import waiting_rows
from coshelf.engines.lmdb.delta.delta import is_deletion
from coshelf.engines.lmdb.files.copies import write_new
from coshelf.engines.lmdb.layer_map import is_in_layer, is_link
from coshelf.engines.lmdb.pages.closing_stamp import is_stamped_header
from coshelf.engines.lmdb.pages.found_trees import FoundTree, Survey, find_tree
from coshelf.engines.lmdb.pages.header import Meta, read_metas
from coshelf.engines.lmdb.pages.layout import FIRST_PAGE, PAGE_SIZES, Node, nodes_of, number_of
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.engines.lmdb.shelf_row import new_row
from coshelf.engines.lmdb.watching.history import is_of_history
from coshelf.errors import DamagedRecord, FormatTooNew, NotAShelf, ShelfLocked
from coshelf.inspection.reports import Progress, SalvageReport, shown_key
from coshelf.keys import FIRST, LAST, decode
from coshelf.trust import marks
from coshelf.values.blobs import Reference, reference_in
from coshelf.values.envelope import rows_of
from coshelf.values.expiry import MARK

__all__ = ["salvage"]


_AT_ONCE = 256
_BYTES_AT_ONCE = 1 << 20
_NAMED = 1_000  # entries of doubtful origin that are named one by one
_STEP = 256


class _Found(NamedTuple):
    """Where the best record for a key is. The more certain record wins; of two equally certain ones, the newer."""

    certainty: int
    version: int
    page: int
    size: int


_IN_TREE, _IN_USE, _DOUBTFUL = 2, 1, 0


def salvage(
    source: str, target: str | bytes | os.PathLike[str] | os.PathLike[bytes], progress: Progress | None
) -> SalvageReport:
    """Make a new shelf from what can be read in a file."""
    with opened_alone(source) as descriptor:
        if descriptor is None:
            raise ShelfLocked(f"shelf is locked: {source}\n  it is open; close it first, or use its backup()")
        report = SalvageReport(source)
        work = _Salvage(descriptor, report, progress)
        work.find()
        mark = work.is_marked()
        row = new_row(work.newest, work.store_id)
        report.entries = write_new(target, row, work.pages(), source, views=work.views, marked=mark, overwrite=False)
        return report


class _Salvage:
    """One salvage. It notes where each record is, and reads it again when it writes the new shelf."""

    def __init__(self, descriptor: int, report: SalvageReport, progress: Progress | None) -> None:
        self._descriptor = descriptor
        self._report = report
        self._progress = progress
        self._folder = folder_of(report.name)
        self._metas = self._read_metas()
        self._pages = Pages(descriptor, self._metas[0].page_size if self._metas else self._guess_page_size())
        self._survey = Survey(self._pages)
        self._tree = FoundTree()
        self._found: dict[bytes, _Found] = {}
        self._newer: dict[bytes, bytes] = {}  # the rows that wait in the delta
        self.newest = 1
        report.pages = self._survey.last_page + 1

    def _read_metas(self) -> list[Meta]:
        try:
            return sorted(read_metas(self._descriptor, self._report.name), key=lambda meta: -meta.transaction)
        except FormatTooNew:  # or damage that looks like it: then the headers are not used
            return []

    def _guess_page_size(self) -> int:
        """The page size with which the most pages have the right number."""

        def fitting(size: int) -> int:
            pages = Pages(self._descriptor, size)
            some = ((number, pages.read(number)) for number in range(FIRST_PAGE, 1_000))
            return sum(page is not None and number_of(page) == number for number, page in some)

        return max(PAGE_SIZES, key=fitting)

    @property
    def store_id(self) -> bytes:
        """The id of the damaged shelf, to which its signatures are bound; empty if it is lost."""
        return b"" if self._survey.row is None else self._survey.row.store_id

    def is_marked(self) -> bool:
        """Whether the file bears this user's mark. The new shelf gets one if it does."""
        if self._survey.row is None:
            return False
        information = os.fstat(self._descriptor)
        found = self._found.get(marks.ROW_KEY)
        row = None if found is None else self._read(marks.ROW_KEY, found)[: -records.TRAILER]
        return marks.is_marked(self._survey.row.store_id, information.st_dev, information.st_ino, row)

    # --- finding -----------------------------------------------------------------------------------------------------

    def find(self) -> None:
        """Find the best record of each key."""
        last = self._survey.last_page
        for number in range(FIRST_PAGE, last + 1):
            self._survey.look_at(number)
            if self._progress is not None and not number % _STEP:
                self._progress(number, last + 1)
        if not self._survey.leaves:
            raise NotAShelf(f"{self._report.name} has no page with entries, so no shelf was made")
        self._survey.layers.resolve()
        tree = self._tree = find_tree(self._survey, self._metas)
        for number, wrong in tree.problems:
            self._report.add("page", f"page {number}", wrong)
        self._report.unreadable_pages = len({number for number, _ in tree.problems})
        if len(self._metas) < 2:
            self._report.add(
                "header", "header", f"{2 - len(self._metas)} of 2 are lost: the last commit may be missing"
            )
        lost = tree.lost
        for leaf in tree.rows:
            for node in leaf:
                if not self._take(node, _IN_TREE):
                    lost.append((node.key, node.key + b"\0"))
        if tree.is_guess and self._is_outdated():
            self._found.clear()
            self._tree = tree = FoundTree(lost=[(b"", None)])
            lost = tree.lost
        sequence = tree.row.sequence if tree.row is not None else None
        newest = self._survey.row.sequence if self._survey.row is not None else 0
        if sequence is not None and newest > sequence:
            self._report.add(
                "header", "header", "the one of the last commit is lost: entries that it deleted are in the new shelf"
            )
        else:
            sequence = None
        if lost or sequence is not None:
            self._look_elsewhere(lost, sequence)
        # An interrupted flush can leave the row of a commit that no header names. So the tree's own row comes first.
        self._newer = self._newest(waiting_rows(self._descriptor, (tree.row, self._survey.row), self._report))
        self._report_lost()
        self._take_newer()
        self._report_doubts()
        if self._progress is not None:
            self._progress(last + 1, last + 1)

    def _take(self, node: Node, certainty: int) -> bool:
        """Take a row's record if it is whole and better than the one so far. Returns False if the row is damaged."""
        if is_link(node.key) or node.key < RESERVED[0][0]:
            return True
        key = self._survey.layers.key(node.key) if is_in_layer(node.key) else node.key
        if key is None or key >= LAST or not self._pages.is_record(node, key):
            return False
        try:
            if key >= FIRST:
                decode(key)
        except DamagedRecord:
            return False
        found = _Found(certainty, self._pages.version(node), node.page, node.size)
        if key not in self._found or found > self._found[key]:
            self._found[key] = found
        return True

    def _look_elsewhere(self, lost: list[tuple[bytes, bytes | None]], sequence: int | None) -> None:
        """Look for rows that were lost in pages that the tree does not lead to, and for those of later commits."""
        whole = {leaf[0].page for leaf in self._tree.rows if leaf} - {number for number, _ in self._tree.problems}
        others = [number for number in self._survey.leaves if number not in whole]
        free = self._tree.free
        in_use = [] if free is None else [number for number in others if number not in free]
        self._look_in(in_use, lost, sequence, _IN_USE)
        if self._tree.counts is None or len(whole) + len(in_use) != self._tree.counts.leaf_pages:
            self._look_in(sorted(set(others) - set(in_use)), lost, sequence, _DOUBTFUL)

    def _look_in(
        self, numbers: list[int], lost: list[tuple[bytes, bytes | None]], sequence: int | None, certainty: int
    ) -> None:
        for number in numbers:
            for node in nodes_of(number, self._pages.read(number) or b""):
                if node is None:
                    continue
                if sequence is not None and self._pages.version(node) > sequence:
                    self._take(node, _IN_TREE)
                elif any(low <= node.key and (high is None or node.key < high) for low, high in lost):
                    self._take(node, certainty)

    def _is_outdated(self) -> bool:
        """Whether a guessed tree has an older record of a key than another page."""
        for number in self._survey.leaves:
            for node in nodes_of(number, self._pages.read(number) or b""):
                known = None if node is None else self._found.get(node.key)
                if (
                    node is not None
                    and known is not None
                    and self._pages.version(node) > known.version
                    and self._pages.is_record(node, node.key)
                ):
                    return True
        return False

    def _newest(self, waiting: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """The rows of the delta that are newer than those of the base for the same keys."""
        return {
            key: record
            for key, record in waiting.items()
            if key not in self._found or self._found[key].version <= records.version(record)
        }

    def _report_lost(self) -> None:
        """Count and name what was lost. A key that has a newer record in the delta is not lost."""
        replaced: set[bytes] = set()
        named = 0
        for leaf in self._tree.rows:
            for node in leaf:
                if is_link(node.key) or node.key < RESERVED[0][0]:
                    continue
                key = self._survey.layers.key(node.key) if is_in_layer(node.key) else node.key
                if key is not None and key not in self._found and key in self._newer:
                    replaced.add(key)
                elif key is None or key not in self._found:
                    named += 1
                    where = f"page {node.page}, key {shown_key(key or node.key)}"
                    self._report.add("lost", where, "its record is damaged")
        self._report.lost += self._compare_count(named, replaced)

    def _take_newer(self) -> None:
        """Replace records of the base by newer ones of the delta."""
        report = self._report
        for key, record in self._newer.items():
            self._found.pop(key, None)
            self.newest = max(self.newest, records.version(record))
            if key >= FIRST and not is_deletion(record):
                report.from_delta += 1
                report.bytes += len(key) + len(record)

    def _report_doubts(self) -> None:
        """Name the entries that may be old."""
        report = self._report
        for key, found in self._found.items():
            self.newest = max(self.newest, found.version)
            if key >= FIRST:
                report.bytes += len(key) + found.size
            if found.certainty == _DOUBTFUL:
                report.resurrected += 1
                if report.resurrected <= _NAMED:
                    where = f"page {found.page}, key {shown_key(key)}"
                    report.add("resurrected?", where, "may be an older value, or have been deleted")
        if report.resurrected > _NAMED:
            report.add("resurrected?", "all", f"{report.resurrected} entries in all may be older, or have been deleted")

    def _compare_count(self, named: int, replaced: set[bytes]) -> int:
        """The number of entries that are missing from the base, including those whose keys are not known.

        ``named`` entries are missing for certain. The keys ``replaced`` were damaged in the base, and the delta has
        newer records for them.
        """
        report, tree = self._report, self._tree
        stamped = is_stamped_header(self._descriptor, self._metas[0]) if len(self._metas) == 2 else False
        counted = None if stamped is False else tree.entries
        if counted is None:
            report.lost_is_known = False
            report.add("lost", "header", "the number of entries is not known: more may be lost than are named here")
            return named
        missing = counted - sum(key >= FIRST for key in self._found) - sum(key >= FIRST for key in replaced)
        if missing <= named:
            return named
        # A page with an older state of its own content looks right, and so does a wrong count.
        is_right = bool(stamped or tree.problems)
        doubt = "" if is_right else ", if that count is right"
        report.add("lost", "header", f"counts {counted:,} entries; {missing:,} are nowhere in the file{doubt}")
        # The keys of the missing entries are not known. The delta may have newer records for some of them.
        perhaps = sum(key >= FIRST and key not in self._found for key in self._newer.keys() - replaced)
        if not is_right or perhaps:
            report.lost_is_known = False
        return max(named, missing - perhaps)

    # --- writing -----------------------------------------------------------------------------------------------------

    def pages(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """The records that were found, in the order of their keys. The mark is left out: it belongs to the old file."""
        page: list[tuple[bytes, bytes]] = []
        rows: list[tuple[bytes, bytes]] = []  # of the indexes, which may be damaged where their entries are whole
        size = 0
        for key in sorted(self._found.keys() | self._newer.keys()):
            if key == marks.ROW_KEY or is_about_blobs(key) or is_of_history(key):  # of the history, rows may be lost
                continue
            record = self._newer[key] if key in self._newer else self._read(key, self._found[key])
            if is_deletion(record) or not self._has_whole_blob(key, record):
                continue
            page.append((key, record))
            size += len(record)
            if key >= FIRST:
                number = records.version(record)
                rows += ((row, records.seal(MARK, records.checksum(row, MARK), number)) for row in rows_of(key, record))
            if len(page) == _AT_ONCE or size > _BYTES_AT_ONCE:
                yield page
                yield sorted(rows)
                page, rows, size = [], [], 0
        yield page
        yield sorted(rows)

    def _has_whole_blob(self, key: bytes, record: bytes) -> bool:
        """Whether the blob that a record names is whole, if it names one. If it is not whole, the entry is lost."""
        reference = reference_in(record)
        if reference is None:
            return True
        problem = problem_with(blob_path(self._folder, reference.id), self.store_id or None, reference)
        if problem is not None:
            self._report.lost += 1
            self._report.add("lost", f"key {shown_key(key)}", f"its large buffers: {problem}")
        return problem is None

    def views(self, reference: Reference) -> list[memoryview]:
        """The buffers of a blob of the damaged shelf."""
        return open_blob(blob_path(self._folder, reference.id), self.store_id or None, reference)

    def _read(self, key: bytes, found: _Found) -> bytes:
        for node in nodes_of(found.page, self._pages.read(found.page) or b""):
            if node is None or node.size != found.size:
                continue
            name = self._survey.layers.key(node.key) if is_in_layer(node.key) else node.key
            if name == key and self._pages.is_record(node, key):
                return self._pages.value(node)
        raise DamagedRecord(f"{self._report.name} changed while it was read", key)
