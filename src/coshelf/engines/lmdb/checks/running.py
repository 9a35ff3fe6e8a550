"""Checks of a running shelf: what its readers compare as they read, and the check of all that a snapshot shows.

A scan must meet rows in order, and a scan of everything must meet as many as the shelf counts. Both comparisons are
cheap, and they often show damage to the pages of an open shelf.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING, Any

from coshelf import records
from coshelf.engines.lmdb.pages.header import Meta, read_metas
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.errors import DamagedShelf, SnapshotLost
from coshelf.inspection.reports import Progress, Report
from coshelf.keys import FIRST

if TYPE_CHECKING:
    import lmdb

__all__ = ["ScanCheck", "check_open", "refuse_absence", "visibly_damaged"]

# Rows that are compared are this far apart. Unless values are large, a page of LMDB has more rows than that, so a page
# in the place of another one is noticed.
_STEP = 8


class ScanCheck:
    """Checks the pages of one scan. A page has keys, or rows, which compare like their keys."""

    def __init__(self, path: str, *, reverse: bool) -> None:
        self._path = path
        self._follows = operator.gt if reverse else operator.lt
        self._last: list[Any] = []
        self._seen = 0

    def see(self, page: list[Any]) -> None:
        """Raise :class:`DamagedShelf` if a page is not in order, or does not follow those before it."""
        looked_at = [*self._last, *page[::_STEP]]
        if not all(map(self._follows, looked_at, islice(looked_at, 1, None))):
            raise DamagedShelf(f"{self._path} is damaged: its entries are not in order\n  hint: restore it from a copy")
        self._last = page[-1:]
        self._seen += len(page)

    def end(self, counted: int) -> None:
        """Raise :class:`DamagedShelf` if a scan of everything has not seen as many entries as the shelf counts."""
        if self._seen != counted:
            raise DamagedShelf(
                f"{self._path} is damaged: it counts {counted} entries, and {self._seen} can be found\n"
                "  hint: restore it from a copy"
            )


def visibly_damaged(key: bytes, record: bytes) -> bytes:
    """The record. A damaged record is cut so short that its reader notices the damage.

    Readers verify small records themselves, so this looks at large ones.
    """
    if len(record) <= records.VERIFIED_ON_READ or records.is_intact(key, record):
        return record
    return record[-records.TRAILER :]


def refuse_absence(key: bytes, path: str) -> None:
    """Raise :class:`DamagedShelf` for a key of the user: damaged records may hide it, so it may not be absent."""
    if key >= FIRST:
        raise DamagedShelf(
            f"{path} has damaged records: this key is not found, but one of them may be its record\n"
            "  hint: read all items to find those, and delete or overwrite them; then open the shelf again"
        )


def check_open(
    path: str,
    descriptor: int,
    store_id: bytes,
    begin: Callable[[], AbstractContextManager[lmdb.Transaction[bytes]]],
    newer: dict[bytes, bytes],
    progress: Progress | None,
) -> Report:
    """Check what a snapshot shows, while others write. The snapshot's pages do not change while it is held.

    Args:
        path: the shelf's path, for the report.
        descriptor: the descriptor of its file.
        store_id: the shelf's id, which its blobs name.
        begin: the snapshot's read transaction of the base.
        newer: the rows that the snapshot has from the delta.
        progress: called with the pages that are done, and those there may be.

    Raises:
        SnapshotLost: commits have overwritten pages of a snapshot that has no lock.
    """
    from coshelf.engines.lmdb.checks.records import StateCheck, check_newer

    report = Report(path)
    with begin() as transaction:
        meta = _header_of(descriptor, path, transaction.id())
    StateCheck(Pages(descriptor, meta.page_size), meta, report, progress, newer).run()
    check_newer(report, newer, store_id)
    with begin():
        pass  # raises SnapshotLost if pages were overwritten meanwhile
    return report


def _header_of(descriptor: int, path: str, transaction: int) -> Meta:
    for meta in read_metas(descriptor, path):
        if meta.transaction == transaction:
            return meta
    raise SnapshotLost(f"{path} was committed to twice before its header could be read\n  hint: try again")
