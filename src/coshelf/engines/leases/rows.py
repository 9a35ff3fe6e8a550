"""The rows of lines: who stands in a line, which members there are, and the last token. docs/format.md has the bytes.

A place belongs to a member: a process with the shelf open, as one handle of it. A member that is gone has no row, and
its places are over, whatever lines still say.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Final

from coshelf.contract import BARRIER, TURNS, Line, Who
from coshelf.records import TRAILER

__all__ = ["BELLS", "LINES", "MEMBERS", "TOKENS", "Row", "Seat", "line_key", "packed", "unpacked"]

LINES: Final = (TURNS[0] + b"L", TURNS[0] + b"M")
"""The range of the rows of lines."""
MEMBERS: Final = (TURNS[0] + b"M", TURNS[0] + b"N")
"""The range of the rows of members."""
TOKENS: Final = TURNS[0] + b"T"
"""The row of the last token."""
BELLS: Final = TURNS[0] + b"B"
"""The row that is written to ring a bell."""

_HEAD = b"\x80\x03B"  # the row is a pickle of bytes, because the files engine keeps pickles alone
_LENGTH = 4
_DIGEST = 16


def line_key(name: bytes) -> bytes:
    """The key of the row of a line."""
    return LINES[0] + blake2b(name, digest_size=_DIGEST).digest()


def packed(content: object) -> bytes:
    """The body of a row."""
    text = json.dumps(content, separators=(",", ":")).encode("ascii")
    return _HEAD + len(text).to_bytes(_LENGTH, "little") + text + b"."


def unpacked(record: bytes) -> Any:
    """What a record says. None if it cannot be read: it is damaged, or of a later version."""
    try:
        return json.loads(record[len(_HEAD) + _LENGTH : -TRAILER - 1])
    except (ValueError, RecursionError):
        return None


@dataclass(slots=True)
class Seat:
    """A place, as its line has it.

    Attributes:
        id: its random name.
        member: the id of its member.
        who: host, process, program, task and since when, for people.
        has_turn: whether it has the turn.
        token: its token; None as long as it has drawn none.
    """

    id: str
    member: str
    who: Who
    has_turn: bool = False
    token: int | None = None

    def begin(self, token: int) -> None:
        """The turn begins, with its token."""
        self.token = token
        self.who = replace(self.who, since=time.time(), token=token)


@dataclass(slots=True)
class Row:
    """A line.

    Attributes:
        name: its name.
        most: how many have the turn at once.
        parties: how many have to wait, for a barrier.
        seats: its places, in order of arrival. The first ones have the turn.
    """

    name: bytes
    most: int = 1
    parties: int = 1
    seats: list[Seat] = field(default_factory=list)

    @classmethod
    def read(cls, name: bytes | None, record: bytes) -> Row | None:
        """The line that a record has. None if it cannot be read, or has another name."""
        found = unpacked(record)
        try:
            row = cls(bytes.fromhex(found["name"]), int(found["most"]), int(found["parties"]))
            row.seats = [_seat(*seat) for seat in found["seats"]]
        except (TypeError, ValueError, KeyError, OverflowError):
            return None
        return row if name is None or name == row.name else None

    def body(self) -> bytes:
        """The body of the row."""
        seats = [_plain(seat) for seat in self.seats]
        return packed({"name": self.name.hex(), "most": self.most, "parties": self.parties, "seats": seats})

    def seat(self, id: str) -> Seat | None:
        """The place of an id."""
        return next((seat for seat in self.seats if seat.id == id), None)

    def call(self) -> None:
        """Give the turn to those that can have it."""
        waiting = list(itertools.dropwhile(lambda seat: seat.has_turn, self.seats))
        if self.most == BARRIER:
            free = self.parties if len(waiting) >= self.parties else 0
        else:
            free = max(self.most - len(self.seats) + len(waiting), 0)
        for seat in waiting[:free]:
            seat.has_turn = True

    def remove(self, is_over: Callable[[Seat], bool]) -> bool:
        """Remove places, and call those that are next. Return whether there were any."""
        left = [seat for seat in self.seats if not is_over(seat)]
        is_changed = len(left) != len(self.seats)
        self.seats = left
        self.call()
        return is_changed

    def shown(self, living: Iterable[str]) -> Line:
        """The line, with the places of the members that live."""
        members = frozenset(living)
        seats = [seat for seat in self.seats if seat.member in members]
        holders = tuple(seat.who for seat in seats if seat.has_turn)
        return Line(self.name, self.most, holders, tuple(seat.who for seat in seats if not seat.has_turn))


def _plain(seat: Seat) -> list[object]:
    who = seat.who
    parts = [who.host, who.pid, who.program, who.task, who.since]
    return [seat.id, seat.member, *parts, seat.has_turn, seat.token]


def _seat(
    id: str, member: str, host: str, pid: int, program: str, task: str, since: float, has_turn: bool, token: int | None
) -> Seat:
    who = Who(str(host), int(pid), str(program), str(task), float(since))
    number = None if token is None else int(token)
    return Seat(str(id), str(member), replace(who, token=number), bool(has_turn), number)
