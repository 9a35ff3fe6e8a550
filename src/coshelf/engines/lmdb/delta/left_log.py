"""Checks and reads a log that was left beside a shelf. See :mod:`check`."""

from __future__ import annotations

import os
from typing import NamedTuple

from coshelf import records
from coshelf.engines.lmdb.delta.log_file import LogContent, read_log
from coshelf.engines.lmdb.delta.state import DeltaState
from coshelf.engines.lmdb.delta.whole_rows import is_possible_key, is_sealed
from coshelf.engines.lmdb.shelf_row import ShelfRow
from coshelf.errors import DamagedShelf
from coshelf.system.memory.shared import PAGE_SIZE

__all__ = ["LeftLog", "newer_rows", "read_left_log", "wrong_with_log"]

_LARGEST_NUMBER = 1 << 62
_MOST_GENERATIONS = 1 << 31


class LeftLog(NamedTuple):
    """What could be read of a left log: as ``DeltaRows`` of :mod:`check`."""

    newer: dict[bytes, bytes]
    damaged: list[tuple[int, bytes]]
    problems: list[tuple[int, str]]
    is_complete: bool


def read_left_log(descriptor: int, name: str, row: ShelfRow, state: DeltaState) -> LeftLog:
    """The rows of a log that belongs to this shelf, as far as they are whole. Raises :class:`DamagedShelf`."""
    found = read_log(descriptor, name)
    wrong = _wrong_numbers(descriptor, found, row, state)
    if wrong is not None:
        raise DamagedShelf(f"{name} is damaged: {wrong}")
    newer: dict[bytes, bytes] = {}
    damaged = []
    for place, key, record in found.rows.values():
        if not _is_whole(key, record, found.number):
            damaged.append((place // PAGE_SIZE, key))
        elif records.version(record) > row.sequence:
            newer[key] = record
    problems = [] if found.problem is None else [(found.problem[0] // PAGE_SIZE, found.problem[1])]
    return LeftLog(newer, damaged, problems, not problems)


def newer_rows(descriptor: int, name: str, flushed: int) -> dict[bytes, bytes]:
    """The rows of commits after the number ``flushed``, in order. Raises :class:`DamagedShelf`."""
    found = read_log(descriptor, name)
    if found.problem is not None:
        raise DamagedShelf(f"{name} is damaged: {found.problem[1]}")
    return {row.key: row.record for _, row in sorted(found.rows.items()) if records.version(row.record) > flushed}


def wrong_with_log(descriptor: int, name: str, row: ShelfRow, state: DeltaState) -> str | None:
    """Why coshelf could fail at a left log; None if it could not. Raises :class:`DamagedShelf`, too."""
    found = read_log(descriptor, name)
    wrong = _wrong_numbers(descriptor, found, row, state)
    if wrong is None and found.problem is not None:
        wrong = found.problem[1]
    if wrong is not None:
        return wrong
    for place, key, record in found.rows.values():
        if not _is_whole(key, record, found.number):
            return f"page {place // PAGE_SIZE} has a row that no commit up to number {found.number} wrote"
    return None


def _wrong_numbers(descriptor: int, found: LogContent, row: ShelfRow, state: DeltaState) -> str | None:
    identity = state.identity()
    size = os.fstat(descriptor).st_size
    if identity.map_size != size:
        return f"its state page names a map of {identity.map_size} bytes for a file of {size}"
    if not 0 <= identity.generation < _MOST_GENERATIONS:
        return f"its state page says that it is the delta number {identity.generation}"
    if not row.sequence <= found.number < _LARGEST_NUMBER:
        return f"its last commit has the number {found.number}, and that of the shelf is {row.sequence}"
    return None


def _is_whole(key: bytes, record: bytes, last: int) -> bool:
    return is_possible_key(key) and is_sealed(key, record) and records.version(record) <= last
