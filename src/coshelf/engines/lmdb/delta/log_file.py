"""Reads the file of a log without the module in C: one that was left, or one that is to be converted.

Everything in it is bounded before it is followed: the file may be damaged, or made to look so. docs/format.md has its
layout.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from coshelf import records
from coshelf.errors import DamagedShelf
from coshelf.system.files.positions import read_at

__all__ = ["INDEXES_END", "LogContent", "LogRow", "read_log", "undo"]

_MAGIC = b"coshlog\1"
_HEADER = struct.Struct("=8sIIQQ")  # magic, size of the mutex, C library, size of a segment, seed
_NUMBERS = struct.Struct("=QQ")  # the last number, the last that went straight to the base; from byte 128
_ACTIVE = struct.Struct("=I")  # from byte 192
_SEGMENT = struct.Struct("=QQQQQ")  # epoch, head, last number, allocated, used slots; from byte 256, 64 bytes each
_RECORD = struct.Struct("=IIIIII")  # whole length, lengths of key and record, slot, record before, tag
_SIZE = 4096
_INDEX = 8 << 16
_FIRST = 64
_SEGMENTS = 2
INDEXES_END = _SIZE + _SEGMENTS * _INDEX
"""Where the header and the two indexes end."""
_BLOCK = 512  # bytes: the unit in which the system gives a file's size on the disk


class LogRow(NamedTuple):
    """A record of the log. ``place`` is its place in the file; deletions have no body."""

    place: int
    key: bytes
    record: bytes


class LogContent(NamedTuple):
    """What a log has.

    Attributes:
        number: the number of the last commit.
        rows: the newest record of each key, by key.
        everything: all records, in the order of the commits.
        problem: what is wrong at the place from where on nothing more could be read, and that place; None if all is
            well.
    """

    number: int
    rows: dict[bytes, LogRow]
    everything: list[LogRow]
    problem: tuple[int, str] | None


class _Segment(NamedTuple):
    epoch: int
    head: int
    last: int
    allocated: int
    used: int


def read_log(descriptor: int, name: str) -> LogContent:
    """Read a log that nobody changes meanwhile. Raises :class:`DamagedShelf` if its header is not possible, OSError."""
    header = read_at(descriptor, _SIZE, 0)
    information = os.fstat(descriptor)
    if len(header) < _SIZE or header[:8] != _MAGIC:
        raise DamagedShelf(f"{name} is damaged: it does not begin as a log does")
    size = _HEADER.unpack_from(header)[3]
    if information.st_size != _SIZE + _SEGMENTS * (_INDEX + size) or size % 8:
        raise DamagedShelf(f"{name} is damaged: its header does not fit its {information.st_size} bytes")
    segments = [_Segment._make(_SEGMENT.unpack_from(header, 256 + 64 * index)) for index in range(_SEGMENTS)]
    taken = INDEXES_END + sum(segment.allocated for segment in segments)
    if taken > information.st_blocks * _BLOCK:
        raise DamagedShelf(f"{name} is damaged: its header counts more space than the file has on the disk")
    number = _NUMBERS.unpack_from(header, 128)[0]
    active = _ACTIVE.unpack_from(header, 192)[0] & 1
    rows: dict[bytes, LogRow] = {}
    everything: list[LogRow] = []
    problem: tuple[int, str] | None = None
    for index in (active ^ 1, active):  # of equal keys the active segment has the newer record
        segment = segments[index]
        start = INDEXES_END + index * size
        if segment.epoch & 1:  # it was being emptied: the base has its commits
            continue
        if not _FIRST <= segment.head <= segment.allocated <= size or segment.last > number:
            raise DamagedShelf(f"{name} is damaged: its header names places beyond its end")
        try:
            for row in _rows(read_at(descriptor, segment.head, start), start):
                rows[row.key] = row
                everything.append(row)
        except _Malformed as malformed:
            problem = malformed.place, "a record of the delta is not possible"
    return LogContent(number, rows, everything, problem)


class _Malformed(Exception):
    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place


def _rows(content: bytes, start: int) -> Iterator[LogRow]:
    at = _FIRST
    while at < len(content):
        if at + _RECORD.size > len(content):
            raise _Malformed(start + at)
        total, key_length, record_length, _, _, _ = _RECORD.unpack_from(content, at)
        end = at + _RECORD.size + key_length + record_length
        if total % 8 or record_length < records.TRAILER or end > at + total or at + total > len(content):
            raise _Malformed(start + at)
        behind_key = at + _RECORD.size + key_length
        yield LogRow(start + at, content[at + _RECORD.size : behind_key], content[behind_key:end])
        at += total


def undo(descriptor: int, page: memoryview) -> None:
    """Let no slot lead to a record that was not published. The caller holds the mutex, whose holder has died.

    ``page`` is the header and the indexes, as they are in shared memory.
    """
    words = page.cast("Q")
    active = words[192 // 8] & 1
    segment = (256 + 64 * active) // 8
    head = words[segment + 1]
    size = (os.fstat(descriptor).st_size - INDEXES_END) // _SEGMENTS
    start = INDEXES_END + active * size
    first = (_SIZE + active * _INDEX) // 8
    used = 0
    for at in range(first, first + _INDEX // 8):
        slot = words[at]
        offset = (slot & 0xFFFFFFFF) << 3
        while offset and offset >= head:
            before = 0
            if offset + _RECORD.size <= size:
                before = _RECORD.unpack(read_at(descriptor, _RECORD.size, start + offset))[4] << 3
            offset = before if before < offset else 0
        if slot:
            words[at] = slot & ~0xFFFFFFFF | offset >> 3 if offset else 0
            used += bool(offset)
    words[segment + 4] = used
    words[segment] = words[segment] + 2 & 0xFFFFFFFFFFFFFFFF  # readers that look at a record beyond the head look again
    words.release()
