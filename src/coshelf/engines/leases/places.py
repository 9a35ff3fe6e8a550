"""A place in a line of rows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Protocol

from coshelf.contract import BARRIER, Engine, Entry, Place
from coshelf.engines.leases.commits import swap
from coshelf.engines.leases.members import Member, Patience
from coshelf.engines.leases.rows import Row, Seat, line_key
from coshelf.system.threads.cooperation import ServiceThread

__all__ = ["LeasedPlace"]

_LOOK = 0.1  # seconds after which a waiter looks whether those before it still live


class _Lines(Protocol):
    """What a place needs of :class:`coshelf.engines.leases.lines.Lines`."""

    engine: Engine
    is_closed: bool

    def new_patience(self) -> Patience: ...
    def read(self, name: bytes) -> Row | None: ...
    def draw_token(self) -> int: ...
    def remove(self, name: bytes, is_over: Callable[[Seat], bool]) -> None: ...
    def join_again(self, place: LeasedPlace) -> None: ...
    def leave(self, member: Member, id: str, name: bytes) -> None: ...
    def leave_later(self, member: Member, id: str, name: bytes) -> None: ...


class LeasedPlace(Place):
    """A place that depends on the lease of its member.

    Attributes:
        id: its random name.
        name: the line.
        member: the member that it belongs to.
        wanted: how many have the turn at once, how many have to wait, and the task.
    """

    __slots__ = (
        "__weakref__",
        "_calls",
        "_drawn",
        "_is_left",
        "_lines",
        "_pid",
        "_watcher",
        "id",
        "member",
        "name",
        "wanted",
    )

    def __init__(self, lines: _Lines, name: bytes, id: str, member: Member, wanted: tuple[int, int, str]) -> None:
        self.id = id
        self.name = name
        self.member = member
        self.wanted = wanted
        self._lines = lines
        self._pid = os.getpid()
        self._drawn: int | None = None
        self._is_left = False
        self._calls: list[Callable[[], object]] = []
        self._watcher: ServiceThread | None = None

    @property
    def token(self) -> int | None:  # type: ignore[override]
        return self._drawn

    @property
    def is_lost(self) -> bool:  # type: ignore[override]
        return self._drawn is not None and self.member.is_lost and not self._is_left

    def is_over(self) -> bool:
        """Whether it was left, the shelf was closed, or this is a forked child."""
        return self._is_left or self._lines.is_closed or self._pid != os.getpid()

    def wait(self, timeout: float | None) -> bool:
        if self._drawn is not None:
            return not (self.is_over() or self.member.is_lost)
        end = None if timeout is None else time.monotonic() + timeout
        engine = self._lines.engine
        bell, patience = engine.doorbell(line_key(self.name)), self._lines.new_patience()
        while not self.is_over():
            sequence = bell.sequence()
            if self._look(patience):
                return not (self.is_over() or self.member.is_lost)
            left = _LOOK if end is None else min(_LOOK, end - time.monotonic())
            if left <= 0:
                return False
            bell.wait(sequence, left)
        return False

    def _look(self, patience: Patience) -> bool:
        """Look at the line. Return whether the turn has come."""
        while self._drawn is None and not self.is_over():
            if self.member.is_lost:
                self._lines.join_again(self)
            row = self._lines.read(self.name)
            seat = None if row is None else row.seat(self.id)
            if row is None or seat is None:
                self.member.lose()  # another process has taken this one for dead, or the rows were removed
            elif seat.has_turn:
                self.begin()
            elif not self._remove_dead(row, seat, patience):
                return False
        return self._drawn is not None

    def _remove_dead(self, row: Row, mine: Seat, patience: Patience) -> bool:
        """Remove those who wait before this place and have ended. Return whether there were any."""
        before = row.seats if row.most == BARRIER else row.seats[: row.seats.index(mine)]
        members = {seat.member for seat in before} - {self.member.id}
        dead = members - patience.living(members)
        if dead:
            self._lines.remove(self.name, lambda seat: seat.member in dead)
        return bool(dead)

    def begin(self) -> None:
        """Draw the token, and write it into the line. The turn has come already, so no other turn begins meanwhile."""
        token = self._lines.draw_token()
        is_there = False

        def note(entry: Entry | None) -> bytes | None:
            nonlocal is_there
            row = None if entry is None else Row.read(self.name, entry.record)
            seat = None if row is None else row.seat(self.id)
            is_there = seat is not None
            if row is None or seat is None or seat.token == token:
                return None
            seat.begin(token)
            return row.body()

        swap(self._lines.engine, line_key(self.name), note)
        if not is_there:
            self.member.lose()
        else:
            self._drawn = token

    def when_called(self, call: Callable[[], object]) -> None:
        self._calls.append(call)
        if self._drawn is not None or self.is_over():
            call()
        elif self._watcher is None:
            self._watcher = ServiceThread("coshelf-turn", self._watch)
            self._watcher.start()

    def _watch(self) -> None:
        try:
            self.wait(None)
        finally:
            self.call()

    def call(self) -> None:
        """Call the functions that wait for the turn, or for its loss."""
        for call in self._calls.copy():
            call()

    def leave(self) -> None:
        if self.is_over():
            return
        self._is_left = True
        self._lines.leave(self.member, self.id, self.name)

    def __del__(self) -> None:
        # An interrupt may have ended __init__.
        if not (getattr(self, "_is_left", True) or self._pid != os.getpid() or self._lines.is_closed):
            self._lines.leave_later(self.member, self.id, self.name)
