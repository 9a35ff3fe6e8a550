"""The changes of commits as rows of the history. docs/format.md, "Changes"."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final, NamedTuple

from coshelf import records
from coshelf.contract import HISTORY
from coshelf.contract.changes import Kind
from coshelf.keys import FIRST, LAST
from coshelf.values.expiry import INDEX, row_of

__all__ = [
    "DELETED",
    "EXPIRED",
    "KINDS",
    "SET",
    "Commit",
    "Packing",
    "Told",
    "changes_of",
    "commits_in",
    "first_row",
    "grouped",
    "number_of",
    "rows_of",
]

Told = tuple[int, bytes, bytes]
"""What a commit did to an entry: how, the key, and the record; no bytes if none was stored, or is not kept."""

SET: Final = 0
DELETED: Final = 1
EXPIRED: Final = 2
KINDS: Final[tuple[Kind, ...]] = ("set", "deleted", "expired")

_HEAD = b"\x02\x00"
_CHANGE = struct.Struct("<BII")  # kind, lengths of key and record
_ROW = struct.Struct(">QI")  # the number of the commit, and the part of it
_MOST_OF_PART = 256 << 10  # bytes
_LARGEST_KEPT = 64 << 10  # bytes of a record: a larger one is looked up in its entry

Row = tuple[bytes, bytes]


class Commit(NamedTuple):
    """The changes of one commit, in any order, each key once."""

    number: int
    changes: list[Told]


def grouped(rows: list[tuple[int, bytes, bytes]], now: int) -> Iterator[Commit]:
    """The commits of a log, from its records: number, key and record. Those without changes are left out.

    ``now``: an entry that goes together with the row of its time has expired if that time has come.
    """
    at, end = 0, len(rows)
    while at < end:
        number, key, record = rows[at]
        start, at = at, at + 1
        while at < end and rows[at][0] == number:
            at += 1
        if at - start > 1:
            changes = changes_of(((key, record) for _, key, record in rows[start:at]), now)
        elif key < FIRST:
            continue
        else:  # most commits
            changes = [(SET, key, record) if len(record) > records.TRAILER else (DELETED, key, b"")]
        if changes:
            yield Commit(number, changes)


def changes_of(rows: Iterable[Row], now: int) -> list[Told]:
    """What the rows of one commit did to entries. Of several rows of one key the last one counts."""
    found: dict[bytes, Told] = {}
    for key, record in rows:
        if key >= FIRST:
            is_set = len(record) > records.TRAILER
            kind = SET if is_set else EXPIRED if found.get(key) == _TIMED else DELETED
            found[key] = (kind, key, record if is_set else b"")
        elif INDEX[0] <= key < INDEX[1] and len(record) == records.TRAILER:
            _see_time(found, key, now)
    return [told for told in found.values() if told != _TIMED]


_TIMED: Told = (-1, b"", b"")


def _see_time(found: dict[bytes, Told], row: bytes, now: int) -> None:
    """A row of the index of times goes. Its entry, before or after it in the commit, has expired if it goes, too."""
    time, key = row_of(row)
    if time > now or not FIRST <= key < LAST:
        return
    known = found.setdefault(key, _TIMED)
    if known[0] == DELETED:
        found[key] = (EXPIRED, key, b"")


# --- rows ------------------------------------------------------------------------------------------------------------


def first_row(number: int) -> bytes:
    """The key of the first row of a commit."""
    return HISTORY[0] + _ROW.pack(number, 0)


def number_of(row: bytes) -> int:
    """The number of the commit in the key of a row."""
    return int(_ROW.unpack_from(row, 1)[0])


class Packing:
    """Makes the rows of one commit. Its changes may come in parts."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._part = 0
        self._changes: list[bytes] = []
        self._size = 0

    def add(self, changes: Iterable[Told]) -> list[Row]:
        """Add changes. Return the rows that are full by now."""
        rows = []
        for kind, key, record in changes:
            kept = record if len(record) <= _LARGEST_KEPT else b""
            packed = b"".join((_CHANGE.pack(kind, len(key), len(kept)), key, kept))
            self._changes.append(packed)
            self._size += len(packed)
            if self._size > _MOST_OF_PART:
                rows.append(self._row())
        return rows

    def end(self) -> list[Row]:
        """The rest of the rows."""
        return [self._row()] if self._changes else []

    def _row(self) -> Row:
        key = HISTORY[0] + _ROW.pack(self.number, self._part)
        body = b"".join((_HEAD, *self._changes))
        self._part += 1
        self._changes, self._size = [], 0
        return key, records.seal(body, records.checksum(key, body), self.number)


def rows_of(commit: Commit) -> list[Row]:
    """All rows of a commit."""
    number, changes = commit
    if len(changes) == 1 and len(changes[0][2]) <= _LARGEST_KEPT:
        kind, key, record = changes[0]
        row = HISTORY[0] + _ROW.pack(number, 0)
        body = b"".join((_HEAD, _CHANGE.pack(kind, len(key), len(record)), key, record))
        return [(row, records.seal(body, records.checksum(row, body), number))]
    packing = Packing(commit.number)
    return packing.add(commit.changes) + packing.end()


def changes_in(row: Row) -> list[Told]:
    """The changes in a row, which is intact. Raises ValueError if it is not what a commit wrote."""
    _, record = row
    end = len(record) - records.TRAILER
    at = len(_HEAD)
    if not record.startswith(_HEAD) or at > end:
        raise ValueError("this is no row of changes")
    changes: list[Told] = []
    while at < end:
        if at + _CHANGE.size > end:
            raise ValueError("a change in this row is not whole")
        kind, key_length, record_length = _CHANGE.unpack_from(record, at)
        behind_key = at + _CHANGE.size + key_length
        at = behind_key + record_length
        if at > end or kind >= len(KINDS):
            raise ValueError("a change in this row is not whole")
        changes.append((kind, record[behind_key - key_length : behind_key], record[behind_key:at]))
    return changes


def commits_in(rows: Iterable[Row]) -> Iterator[Commit]:
    """The commits in rows that come in order. Raises ValueError if a row is damaged."""
    for number, some in groupby(rows, lambda row: number_of(row[0])):
        changes: list[Told] = []
        for row in some:
            if not records.is_intact(*row):
                raise ValueError("a row of changes is damaged")
            changes += changes_in(row)
        yield Commit(number, changes)
