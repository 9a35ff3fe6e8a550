"""Checking a shelf's file: one that nobody has open, whole, and the state that a snapshot of an open one shows."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from coshelf import records
from coshelf.engines.lmdb.blobs.checking import BlobCheck
from coshelf.engines.lmdb.checks.damage import is_older
from coshelf.engines.lmdb.checks.records import Progress, StateCheck
from coshelf.engines.lmdb.delta.left import left_rows
from coshelf.engines.lmdb.delta.rows import is_deletion
from coshelf.engines.lmdb.pages.closing_stamp import ALL, read_stamp, take_checksums
from coshelf.engines.lmdb.pages.header import Meta, read_metas, wrong_with
from coshelf.engines.lmdb.pages.page_walk import Pages
from coshelf.engines.lmdb.pages.structure import row_without_lmdb
from coshelf.engines.lmdb.shelf_row import ShelfRow
from coshelf.errors import (
    FormatTooNew,
    NotAShelf,
    ShelfNotFound,
    SnapshotLost,
)
from coshelf.inspection.reports import Report, check_record
from coshelf.system.os_errors import translate

if TYPE_CHECKING:
    from coshelf.engines.lmdb.environment import Environment
    from coshelf.engines.lmdb.instant import LmdbSnapshot

__all__ = ["check_closed", "check_open", "opened_alone"]

_PATIENCE = 50  # attempts to see a header before two more commits have overwritten it


def check_closed(path: str, progress: Progress | None) -> Report | None:
    """Look at all of a file that nobody has open; None if somebody has."""
    with opened_alone(path) as descriptor:
        if descriptor is None:
            return None
        report = Report(path)
        row = _row(path, descriptor)
        left = {} if row is None else left_rows(path, descriptor, row)
        _check_whole(descriptor, report, progress, left)
        if row is not None:
            _check_newer(report, left, row.store_id)
        return report


def _row(path: str, descriptor: int) -> ShelfRow | None:
    """The shelf row, if the file has one."""
    try:
        return row_without_lmdb(descriptor, path)
    except FormatTooNew:
        return None


def _check_newer(report: Report, newer: dict[bytes, bytes], store_id: bytes) -> None:
    """Look at rows of the delta, and at their large buffers."""
    blobs = BlobCheck(report.name, report)
    for key, record in newer.items():
        if not is_deletion(record):
            check_record(report, key, len(record), None if records.is_intact(key, record) else record)
            blobs.look_at_newer(key, record, store_id)


def check_open(environment: Environment, snapshot: LmdbSnapshot, progress: Progress | None) -> Report:
    """Look at what a snapshot shows, while others write: its pages stay as they are for as long as it is held."""
    report = Report(environment.path)
    with environment.inside():
        descriptor = os.dup(environment.files.descriptor)  # so that closing the shelf meanwhile does no harm
    try:
        with snapshot.transaction() as transaction:
            meta = _meta_of(descriptor, environment.path, transaction.id())
        StateCheck(Pages(descriptor, meta.page_size), meta, report, progress, snapshot.newer).run()
        _check_newer(report, snapshot.newer, environment.row.store_id)
        with snapshot.transaction():
            pass  # who reads without locks learns here that pages were overwritten meanwhile
    finally:
        os.close(descriptor)
    return report


def _meta_of(descriptor: int, path: str, transaction: int) -> Meta:
    for meta in read_metas(descriptor, path):
        if meta.transaction == transaction:
            return meta
    raise SnapshotLost(f"{path} was committed to twice before its header could be read\n  hint: try again")


@contextmanager
def opened_alone(path: str) -> Iterator[int | None]:
    """A descriptor for reading, with others kept from opening the shelf; None if somebody has it open."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise ShelfNotFound(errno.ENOENT, "there is no file", path) from error
    except OSError as error:
        raise translate(error, "read", "the file", path) from error
    try:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise NotAShelf(f"{path} is a directory; a shelf is a file")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _check_whole(descriptor: int, report: Report, progress: Progress | None, left: Container[bytes]) -> None:
    try:
        metas = sorted(read_metas(descriptor, report.name), key=lambda meta: meta.transaction)
    except FormatTooNew as error:
        report.add("header", "header", str(error))
        return
    if not metas:
        size = os.fstat(descriptor).st_size
        report.add(
            "header", "header", f"no page of {size} bytes is a header: this is no shelf, or both are overwritten"
        )
        return
    meta = metas[-1]
    if len(metas) < 2:
        report.add("header", f"page {1 - meta.transaction % 2}", "is no header any more")
    elif wrong := wrong_with(metas):
        report.add("header", "header", wrong)
    state = StateCheck(Pages(descriptor, meta.page_size), meta, report, progress, left)
    state.run()
    if len(metas) == 2:
        _compare_stamp(descriptor, metas[0], meta, state.used, report)


def _compare_stamp(descriptor: int, older: Meta, meta: Meta, used: bytearray, report: Report) -> None:
    known = read_stamp(descriptor, meta.page_size)
    if known is None:
        return
    if is_older(known, older, meta):
        report.add("stamp", "header", "is not the one that was written last")
        return
    if known.transaction < meta.transaction:
        return  # somebody wrote after it and was killed
    if known.last_page != meta.last_page:
        report.add("stamp", "header", f"counts {meta.last_page} pages, and {known.last_page} when the shelf was closed")
        return
    found = take_checksums(descriptor, meta, known.kind)
    if found == known.checksums:
        return
    if found is None or known.kind != ALL:
        report.add("stamp", "inner pages", "are not what they were when the shelf was closed")
        return
    if found[0] != known.checksums[0]:
        report.add("stamp", f"page {meta.transaction % 2}", "the header is not what it was when the shelf was closed")
    for number, (was, now) in enumerate(zip(known.checksums[1:], found[1:], strict=False), 2):
        if was != now and number < len(used) and used[number]:
            report.add("stamp", f"page {number}", "is not what it was when the shelf was closed")
