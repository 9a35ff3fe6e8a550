"""The steps of ``native/lines.c`` in Python, over the same bytes: joining, leaving, calling the next one, repairing.

The caller of each holds the mutex. Fields are written one by one, in the order in which C writes them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from coshelf.contract import BARRIER
from coshelf.engines.turn_table.layout import (
    BELLS,
    BELLS_AT,
    CALLED_AT,
    HASHES_AT,
    LONGEST_NAME,
    PLACE,
    PLACES,
    PLACES_AT,
    ROW,
    ROWS,
    ROWS_AT,
)
from coshelf.system.memory import futex

__all__ = ["CALLED", "OVER", "WAITING", "PythonTable", "Request", "hash_of", "word_at"]

OVER, WAITING, CALLED = range(3)
"""What the word of a place says."""

_FREE, _WAITS, _HOLDS = range(3)
_TOKEN, _ARRIVAL, _USED, _OPENING = 128 // 8, 136 // 8, 144 // 4, 152 // 8

# Words of a place, and their multiples.
_STATE, _WORD, _NUMBER, _ROW, _MOST, _PARTIES, _LENGTHS, _TELLS_ROW = 0, 1, 2, 3, 10, 11, 12, 13
_ARRIVAL_OF, _TOKEN_OF, _SINCE_OF = 16 // 8, 24 // 8, 32 // 8
_TASK_OF, _NAME_OF = 64, 128
_ROW_NUMBER, _ROW_CALLED = 24 // 4, CALLED_AT // 4

_U32, _U64 = (1 << 32) - 1, (1 << 64) - 1


class Request(NamedTuple):
    """Who joins which line."""

    name: bytes
    most: int
    parties: int
    task: bytes
    row: int


def _folded(left: int, right: int) -> int:
    product = left * right
    return (product ^ product >> 64) & _U64


def hash_of(name: bytes) -> int:
    """The hash of the name of a line. It is never 0."""
    found = len(name) ^ 0x9E3779B97F4A7C15
    for at in range(0, len(name), 8):
        word = int.from_bytes(name[at : at + 8], "little")
        found = _folded(word ^ 0xD6E8FEB86659FD93, found ^ 0xA0761D6478BD642F)
    return found or 1


def word_at(place: int) -> int:
    """Where the word of a place is, in bytes."""
    return PLACES_AT + place * PLACE.size + 4 * _WORD


class PythonTable:
    """The table."""

    def __init__(self, memory: memoryview) -> None:
        self.memory = memory
        self.words = memory.cast("I")
        self.longs = memory.cast("Q")
        self._doubles = memory.cast("d")

    # --- fields ------------------------------------------------------------------------------------------------------

    def _get(self, place: int, field: int) -> int:
        return self.words[(PLACES_AT + place * PLACE.size) // 4 + field]

    def _set(self, place: int, field: int, value: int) -> None:
        self.words[(PLACES_AT + place * PLACE.size) // 4 + field] = value

    def _long(self, place: int, field: int) -> int:
        return self.longs[(PLACES_AT + place * PLACE.size) // 8 + field]

    def _set_long(self, place: int, field: int, value: int) -> None:
        self.longs[(PLACES_AT + place * PLACE.size) // 8 + field] = value

    def _set_since(self, place: int) -> None:
        self._doubles[(PLACES_AT + place * PLACE.size) // 8 + _SINCE_OF] = time.time()

    def word(self, place: int) -> int:
        return self._get(place, _WORD)

    def number(self, place: int) -> int:
        return self._get(place, _NUMBER)

    def token(self, place: int) -> int:
        return self._long(place, _TOKEN_OF)

    def _name(self, place: int) -> bytes:
        length = min(self._get(place, _LENGTHS) & 0xFFFF, LONGEST_NAME)
        at = PLACES_AT + place * PLACE.size + _NAME_OF
        return bytes(self.memory[at : at + length])

    def row_number(self, row: int) -> int:
        return self.words[(ROWS_AT + row * ROW.size) // 4 + _ROW_NUMBER]

    def row_is_used(self, row: int) -> bool:
        return self.words[(ROWS_AT + row * ROW.size) // 4] != 0

    @property
    def used(self) -> int:
        return min(self.words[_USED], PLACES)

    def _hash(self, place: int) -> int:
        return self.longs[HASHES_AT // 8 + place]

    def _set_hash(self, place: int, value: int) -> None:
        self.longs[HASHES_AT // 8 + place] = value

    def _next_number(self, at: int) -> int:
        number = self.longs[at] + 1 & _U64
        self.longs[at] = number
        return number

    # --- lines -------------------------------------------------------------------------------------------------------

    def _line(self, name: bytes, hashed: int) -> Iterator[int]:
        hashes = self.longs[HASHES_AT // 8 : HASHES_AT // 8 + self.used].tolist()
        for at, found in enumerate(hashes):
            if found == hashed and self._get(at, _STATE) != _FREE and self._name(at) == name:
                yield at

    def _say(self, place: int, word: int) -> None:
        self._set(place, _WORD, word)
        futex.wake_all(self.memory, word_at(place))
        row = self._get(place, _ROW)
        if self._get(place, _TELLS_ROW) and row < ROWS:
            at = (ROWS_AT + row * ROW.size) // 4 + _ROW_CALLED
            self.words[at] = self.words[at] + 1 & _U32
            futex.wake_all(self.memory, 4 * at)

    def _call(self, place: int) -> None:
        self._set_since(place)
        self._set_long(place, _TOKEN_OF, self._next_number(_TOKEN))
        self._set(place, _STATE, _HOLDS)
        self._say(place, CALLED)

    def _settle(self, name: bytes, hashed: int) -> None:
        """Call all places of a line whose turn it is."""
        places = sorted(self._line(name, hashed), key=lambda place: self._long(place, _ARRIVAL_OF))
        waiting = [place for place in places if self._get(place, _STATE) == _WAITS]
        if not waiting:
            return
        most, parties = self._get(places[-1], _MOST), self._get(places[-1], _PARTIES)
        if most != BARRIER:
            for place in waiting[: max(most - len(places) + len(waiting), 0)]:
                self._call(place)
        elif len(waiting) >= parties:
            self._open(hashed)

    def _open(self, hashed: int) -> None:
        """Open a barrier. If this process dies meanwhile, the repair does the rest."""
        self.longs[_OPENING] = hashed
        for place in range(self.used):
            if self._hash(place) == hashed and self._get(place, _STATE) == _WAITS and not self._get(place, _MOST):
                self._call(place)
        self.longs[_OPENING] = 0

    def join(self, request: Request) -> tuple[int, int] | None:
        """Take a place, and return it and the number of its use; None if every place is in use.

        The caller notes the place, and then calls :meth:`enter`.
        """
        used = self.used
        hashes = self.longs[HASHES_AT // 8 : HASHES_AT // 8 + used].tolist()
        place = next((at for at in range(used) if not hashes[at] and self._get(at, _STATE) == _FREE), used)
        if place == PLACES:
            return None
        number = self._get(place, _NUMBER) + 1 & _U32
        self._set(place, _WORD, WAITING)
        self._set(place, _NUMBER, number)
        self._set(place, _ROW, request.row)
        self._set_long(place, _ARRIVAL_OF, self._next_number(_ARRIVAL))
        self._set_long(place, _TOKEN_OF, 0)
        self._set_since(place)
        self._set(place, _MOST, request.most)
        self._set(place, _PARTIES, request.parties)
        self._set(place, _LENGTHS, len(request.name) | len(request.task) << 16)
        self._set(place, _TELLS_ROW, 0)
        at = PLACES_AT + place * PLACE.size
        self.memory[at + _NAME_OF : at + _NAME_OF + len(request.name)] = request.name
        self.memory[at + _TASK_OF : at + _TASK_OF + len(request.task)] = request.task
        return place, number

    def enter(self, place: int, request: Request) -> None:
        """Put a place that was taken into its line."""
        hashed = hash_of(request.name)
        for other in self._line(request.name, hashed):
            self._set(other, _MOST, request.most)
            self._set(other, _PARTIES, request.parties)
        if place == self.used:
            self.words[_USED] = place + 1
        self._set_hash(place, hashed)
        self._set(place, _STATE, _WAITS)
        self._settle(request.name, hashed)

    def leave(self, place: int, number: int) -> None:
        """Leave a line, unless that was done."""
        if self._get(place, _NUMBER) == number and self._get(place, _STATE) != _FREE:
            self._end(place)

    def _end(self, place: int) -> None:
        name, hashed = self._name(place), self._hash(place)
        self._set(place, _STATE, _FREE)
        self._set_hash(place, 0)
        self._shrink()
        self._say(place, OVER)
        self._settle(name, hashed)

    def _shrink(self) -> None:
        used = self.used
        while used and not self._hash(used - 1) and self._get(used - 1, _STATE) == _FREE:
            used -= 1
        self.words[_USED] = used

    def leave_all(self, row: int) -> None:
        """Leave all lines on behalf of an open shelf, and free its row."""
        for state in (_WAITS, _HOLDS):  # first those that wait, so that none of them is called
            for place in range(self.used):
                if self._get(place, _ROW) == row and self._get(place, _STATE) == state:
                    self._end(place)
        self.words[(ROWS_AT + row * ROW.size) // 4] = 0

    def take_row(self, row: int, pid: int, start: int, namespace: int, host: bytes, program: bytes) -> bool:
        """Take a row for an open shelf, if it is free."""
        if self.row_is_used(row):
            return False
        at = ROWS_AT + row * ROW.size
        number, called = self.row_number(row) + 1 & _U32, self.words[at // 4 + _ROW_CALLED]
        packed = ROW.pack(0, pid, start, namespace, number, called, host, program)
        self.memory[at : at + ROW.size] = packed
        self.words[at // 4] = 1
        return True

    def tell_row(self, place: int, number: int) -> bool:
        """Have the row's word change, too, when a place is called. Return whether that is still to come."""
        if self._get(place, _NUMBER) != number or self._get(place, _STATE) != _WAITS:
            return False
        self._set(place, _TELLS_ROW, 1)
        return True

    def ahead(self, place: int) -> dict[int, int]:
        """The rows of places ahead of one that waits, other than its own, and the numbers of their uses."""
        if self._get(place, _STATE) != _WAITS:
            return {}
        mine, arrival = self._get(place, _ROW), self._long(place, _ARRIVAL_OF)
        others = (
            at for at in self._line(self._name(place), self._hash(place)) if self._long(at, _ARRIVAL_OF) < arrival
        )
        rows = {self._get(at, _ROW) for at in others} - {mine}
        return {row: self.row_number(row) for row in rows if row < ROWS}

    def repair(self) -> None:
        """Make anew what follows from the places, after a step that was not finished."""
        self.words[_USED] = PLACES
        for place in range(PLACES):
            if self._get(place, _ROW) >= ROWS or self._get(place, _STATE) > _HOLDS:
                self._set(place, _STATE, _FREE)
            state = self._get(place, _STATE)
            self._set_hash(place, hash_of(self._name(place)) if state != _FREE else 0)
            if state == _FREE and self._get(place, _WORD) == WAITING:
                self._say(place, OVER)
            elif state == _HOLDS:
                self._say(place, CALLED)
        self._shrink()
        if self.longs[_OPENING]:
            self._open(self.longs[_OPENING])
        for place in range(self.used):
            if self._get(place, _STATE) == _WAITS:
                self._settle(self._name(place), self._hash(place))
        for bell in range(BELLS):
            if self.words[BELLS_AT // 4 + 2 * bell + 1]:
                futex.wake_all(self.memory, BELLS_AT + 8 * bell)
