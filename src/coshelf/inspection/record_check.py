"""Checks one record, or all records of an engine. It unpickles nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from coshelf import records
from coshelf.errors import DamagedRecord
from coshelf.inspection.reports import Progress, Report, shown_key
from coshelf.keys import FIRST, LAST, decode

if TYPE_CHECKING:
    from coshelf.contract import Engine, Entry

__all__ = ["check_record", "check_records"]

_STEP = 256


def check_record(
    report: Report, key: bytes, size: int, damaged: bytes | None, *, page: int | None = None, counted: bool = True
) -> None:
    """Count a whole entry, or note a damaged one. ``damaged`` is what is left of a damaged record, or None."""
    where = f"key {shown_key(key)}" if page is None else f"page {page}, key {shown_key(key)}"
    if damaged is not None:
        from coshelf.inspection.preview import preview_of

        looks = preview_of(damaged)
        kind = "" if looks.type == "?" else f"; what is left looks like {looks.type}: {looks.text}"
        report.add("record", where, f"its {size} bytes do not match their checksum{kind}")
        return
    if key < FIRST:
        return
    try:
        if key >= LAST:
            raise DamagedRecord("begins with a byte that no key begins with")
        decode(key)
    except DamagedRecord as error:
        report.add("key", where, str(error))
        return
    if counted:
        report.entries += 1
        report.bytes += len(key) + size


def check_records(engine: Engine, progress: Progress | None) -> Report:
    """Check the entries of an engine by reading them: those of one instant, if all can be read."""
    try:
        return _check(engine, engine.scan(FIRST, LAST), progress)
    except DamagedRecord:  # it ends a scan, so the entries behind it were not read
        return _check(engine, _one_by_one(engine), progress)


def _check(
    engine: Engine,
    found: Iterable[tuple[bytes, Entry | DamagedRecord | None]],
    progress: Progress | None,
) -> Report:
    report = Report(engine.where)
    total = engine.count(FIRST, LAST) if progress is not None else 0
    done = 0
    for key, entry in found:
        if isinstance(entry, DamagedRecord):
            report.add("record", f"key {shown_key(key)}", str(entry).partition("\n")[0])
        else:
            assert entry is not None
            damaged = None if records.is_intact(key, entry.record) else entry.record
            check_record(report, key, len(entry.record), damaged)
        done += 1
        if progress is not None and not done % _STEP:
            progress(done, total)
    if progress is not None:
        progress(done, done)
    return report


def _one_by_one(engine: Engine) -> Iterator[tuple[bytes, Entry | DamagedRecord]]:
    for key, _ in engine.scan(FIRST, LAST, keys_only=True):
        try:
            entry = engine.get(key)
        except DamagedRecord as error:
            yield key, error
            continue
        if entry is not None:
            yield key, entry
        elif engine.count(key, key + b"\0"):  # it was not deleted meanwhile
            yield key, DamagedRecord(f"{engine.where} lists the key, and has no entry for it", key)
