"""The commits that wait in the delta beside a damaged shelf, for a salvage. LMDB is not used."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from coshelf.engines.lmdb.delta.check import DeltaRows, read_delta
from coshelf.engines.lmdb.delta.files import belongs
from coshelf.engines.lmdb.delta.left import left_state
from coshelf.engines.lmdb.files.exposed_sidecars import refuse_exposed
from coshelf.engines.lmdb.files.sidecar_directory import delta_path, sidecar_directory
from coshelf.engines.lmdb.shelf_row import ShelfRow
from coshelf.errors import CoshelfError
from coshelf.inspection.reports import SalvageReport, shown_key
from coshelf.system.files.flags import ASIDE

__all__ = ["waiting_rows"]

_FLAGS = os.O_RDONLY | ASIDE
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def waiting_rows(descriptor: int, rows: Iterable[ShelfRow | None], report: SalvageReport) -> dict[bytes, bytes]:
    """The rows of the delta that are newer than the base, by key, deletions included.

    ``rows`` are shelf rows that the base may have; the preferred one comes first. The caller has the shelf's file
    locked. What cannot be taken goes to the report: rows that are not whole, and a delta that belongs to none of these
    states of the base.
    """
    try:
        found = _read(report.name, descriptor, rows, report)
    except CoshelfError as error:
        _add(report, f"its commits are not taken: {str(error).partition(chr(10))[0]}")
        report.lost_is_known = False
        return {}
    except OSError as error:
        if error.errno not in _ABSENT:
            _add(report, f"its commits are not taken: {error.strerror}")
            report.lost_is_known = False
        return {}
    for page, message in found.problems:
        _add(report, f"page {page} {message}")
    if not found.is_complete:
        report.lost_is_known = False
    for page, key in found.damaged:
        report.lost += 1
        report.add(
            "lost",
            f"delta, page {page}, key {shown_key(key)}",
            "its last record is damaged; an older value may be taken instead",
        )
    return found.newer


def _read(path: str, descriptor: int, rows: Iterable[ShelfRow | None], report: SalvageReport) -> DeltaRows:
    nothing = DeltaRows({}, [], [], is_complete=True)
    state = left_state(path, descriptor)
    if state is None:
        return nothing
    row = next((row for row in rows if row is not None and belongs(path, row, state)), None)
    if row is None:
        if not state.is_clean():
            _add(report, "its commits are not taken: it does not belong to this state of the shelf, or to this boot")
            report.lost_is_known = False
        return nothing
    name = delta_path(path, state.identity().generation)
    delta = os.open(name, _FLAGS)
    try:
        refuse_exposed(path, descriptor, name, delta)
        return read_delta(delta, name, row, state)
    finally:
        os.close(delta)


def _add(report: SalvageReport, message: str) -> None:
    report.add("delta", sidecar_directory(report.name), message)
