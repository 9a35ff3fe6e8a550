"""The check of a shelf's file by its path, while no process has it open. All problems go to a report."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from coshelf.engines.lmdb.checks.records import StateCheck, check_newer
from coshelf.engines.lmdb.delta.left import left_rows
from coshelf.engines.lmdb.locks.shelf_lock import try_to_lock
from coshelf.engines.lmdb.pages.closing_stamp import Changes, changes_since_closing
from coshelf.engines.lmdb.pages.header import Meta, in_order, read_metas, wrong_with
from coshelf.engines.lmdb.pages.layout import header_page_of
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.engines.lmdb.pages.structure import row_without_lmdb
from coshelf.engines.lmdb.shelf_row import ShelfRow
from coshelf.engines.wrong_places import a_directory
from coshelf.errors import FormatTooNew, NotAShelf, ShelfNotFound
from coshelf.inspection.reports import Progress, Report
from coshelf.system.files.flags import CLOSE_ON_EXEC, NO_WAIT
from coshelf.system.files.os_errors import translate
from coshelf.system.locks import whole_file

__all__ = ["check_closed", "opened_alone"]


def check_closed(path: str, progress: Progress | None) -> Report | None:
    """Check all of a file that no process has open. Return None if a process has it open."""
    with opened_alone(path) as descriptor:
        if descriptor is None:
            return None
        report = Report(path)
        row = _row(path, descriptor)
        left = {} if row is None else left_rows(path, descriptor, row)
        _check_whole(descriptor, report, progress, left)
        if row is not None:
            check_newer(report, left, row.store_id)
        return report


@contextmanager
def opened_alone(path: str) -> Iterator[int | None]:
    """A descriptor for reading, for a block in which no process can open the shelf; None if one has it open."""
    try:
        descriptor = os.open(path, os.O_RDONLY | CLOSE_ON_EXEC | NO_WAIT)
    except FileNotFoundError as error:
        raise ShelfNotFound(errno.ENOENT, "there is no file", path) from error
    except OSError as error:
        raise translate(error, "read", "the file", path) from error
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise NotAShelf(a_directory(path))
        if try_to_lock(descriptor, whole_file.EXCLUSIVE, path):
            yield descriptor
            whole_file.release(descriptor)
        else:
            yield None
    finally:
        os.close(descriptor)


def _row(path: str, descriptor: int) -> ShelfRow | None:
    """The shelf row, if the file has one."""
    try:
        return row_without_lmdb(descriptor, path)
    except FormatTooNew:
        return None


def _check_whole(descriptor: int, report: Report, progress: Progress | None, left: dict[bytes, bytes]) -> None:
    try:
        metas = in_order(read_metas(descriptor, report.name))
    except FormatTooNew as error:
        report.add("header", "header", str(error))
        return
    if not metas:
        size = os.fstat(descriptor).st_size
        report.add(
            "header", "header", f"not found in {size} bytes: this is not a shelf, or both headers are overwritten"
        )
        return
    meta = metas[-1]
    if len(metas) < 2:
        report.add("header", f"page {header_page_of(meta.transaction + 1)}", "is not a header any more")
    elif wrong := wrong_with(metas):
        report.add("header", "header", wrong)
    state = StateCheck(Pages(descriptor, meta.page_size), meta, report, progress, left)
    state.run()
    changes = changes_since_closing(descriptor, metas[0], meta) if len(metas) == 2 else None
    if changes is not None:
        _report_changes(changes, meta, state.used, report)


def _report_changes(changes: Changes, meta: Meta, used: bytearray, report: Report) -> None:
    """Report what has changed since the shelf was closed. A free page may change."""
    if changes.is_older:
        report.add("stamp", "header", "is not the one that was written last")
    if changes.inner:
        report.add("stamp", "inner pages", "are not what they were when the shelf was closed")
    if changes.header:
        header = header_page_of(meta.transaction)
        report.add("stamp", f"page {header}", "the header is not what it was when the shelf was closed")
    for number in sorted(changes.pages):
        if number < len(used) and used[number]:
            report.add("stamp", f"page {number}", "is not what it was when the shelf was closed")
