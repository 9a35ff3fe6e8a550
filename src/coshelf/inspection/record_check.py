"""Looking at each record of a shelf, on engines that have nothing below records to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coshelf import records
from coshelf.inspection.reports import Progress, Report, check_record
from coshelf.keys import FIRST, LAST

if TYPE_CHECKING:
    from coshelf.contract import Engine

__all__ = ["check_records"]

_STEP = 256


def check_records(engine: Engine, progress: Progress | None) -> Report:
    """The report of an engine's entries, all of one instant."""
    report = Report(engine.where)
    total = engine.count(FIRST, LAST) if progress is not None else 0
    done = 0
    for key, entry in engine.scan(FIRST, LAST):
        assert entry is not None
        damaged = None if records.is_intact(key, entry.record) else entry.record
        check_record(report, key, len(entry.record), damaged)
        done += 1
        if progress is not None and not done % _STEP:
            progress(done, total)
    if progress is not None:
        progress(done, done)
    return report
