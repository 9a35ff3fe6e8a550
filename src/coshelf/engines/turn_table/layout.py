"""The bytes of the table of turns. docs/format.md, "The table of turns". Numbers are in the machine's byte order."""

from __future__ import annotations

import struct
from typing import NamedTuple

from coshelf.contract import Line, Who

__all__ = [
    "BELLS",
    "BELLS_AT",
    "BOOT",
    "CALLED_AT",
    "HASHES_AT",
    "HEADER",
    "LONGEST_NAME",
    "LONGEST_TASK",
    "MAGIC",
    "MUTEX_AT",
    "PLACE",
    "PLACES",
    "PLACES_AT",
    "ROW",
    "ROWS",
    "ROWS_AT",
    "SIZE",
    "PlaceRow",
    "ProcessRow",
    "lines_in",
    "process_rows_in",
]

MAGIC = b"coshtrn\1"
HEADER = struct.Struct("=8sII16s")  # magic, size of the mutex, C library, boot id
MUTEX_AT = 64
BOOT = slice(16, 32)

ROWS_AT, ROWS = 4096, 1024
ROW = struct.Struct("=IIQQII32s64s")
CALLED_AT = 28  # of a word in a row

BELLS_AT, BELLS = ROWS_AT + ROWS * ROW.size, 512

PLACES = 4096
HASHES_AT = BELLS_AT + 8 * BELLS
PLACES_AT = HASHES_AT + 8 * PLACES
PLACE = struct.Struct("=IIIIQQdIIHHIQ64s256s")
LONGEST_TASK, LONGEST_NAME = 64, 256

SIZE = PLACES_AT + PLACES * PLACE.size

_FREE, _WAITING, _HOLDING = range(3)


class ProcessRow(NamedTuple):
    """An open shelf of a process.

    Attributes:
        state: 1 if the row is in use.
        pid: the process.
        start: when it began, in ticks since the boot.
        namespace: the pid namespace in which it has this pid.
        number: of the use of the row.
        called: a futex word, which changes when a place is called whose owner waits here.
        host: the name of its machine.
        program: its command line, shortened.
    """

    state: int
    pid: int
    start: int
    namespace: int
    number: int
    called: int
    host: bytes
    program: bytes


class PlaceRow(NamedTuple):
    """A place, as the table has it."""

    state: int
    word: int
    number: int
    row: int
    arrival: int
    token: int
    since: float
    most: int
    parties: int
    name_length: int
    task_length: int
    tells_row: int
    unused: int
    task: bytes
    name: bytes

    @property
    def line(self) -> bytes:
        """The name of its line."""
        return self.name[: self.name_length]


def process_rows_in(table: bytes | memoryview) -> dict[int, ProcessRow]:
    """The rows in use, by their index."""
    rows = map(ProcessRow._make, ROW.iter_unpack(table[ROWS_AT : ROWS_AT + ROWS * ROW.size]))
    return {at: row for at, row in enumerate(rows) if row.state}


def places_in(table: bytes) -> list[PlaceRow]:
    """The places in use, in order of arrival."""
    places = map(PlaceRow._make, PLACE.iter_unpack(table[PLACES_AT:]))
    return sorted((place for place in places if place.state in (_WAITING, _HOLDING)), key=lambda place: place.arrival)


def lines_in(table: bytes) -> dict[bytes, Line]:
    """The lines that have places."""
    rows = process_rows_in(table)
    places: dict[bytes, list[PlaceRow]] = {}
    for place in places_in(table):
        if place.row in rows:
            places.setdefault(place.line, []).append(place)
    return {name: _line(name, each, rows) for name, each in places.items()}


def _line(name: bytes, places: list[PlaceRow], rows: dict[int, ProcessRow]) -> Line:
    holders = sorted((place for place in places if place.state == _HOLDING), key=lambda place: place.token)
    waiting = [place for place in places if place.state == _WAITING]
    return Line(
        name,
        places[-1].most,
        tuple(_who(place, rows[place.row]) for place in holders),
        tuple(_who(place, rows[place.row]) for place in waiting),
    )


def _who(place: PlaceRow, row: ProcessRow) -> Who:
    return Who(
        host=_text(row.host),
        pid=row.pid,
        program=_text(row.program),
        task=_text(place.task[: place.task_length]),
        since=place.since,
        token=place.token if place.state == _HOLDING else None,
    )


def _text(found: bytes) -> str:
    """Text that may be cut in the middle of a character."""
    return found.rstrip(b"\0").decode("utf-8", "ignore")
