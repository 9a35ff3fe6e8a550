"""The lines of an engine that no other process uses: they are in the memory of this process.

A place changes under one lock, which is held for moments. A signal handler or finalizer may run between any two steps.
So whatever ends a place only notes it, and the thread that has the lock sees to it before it releases the lock.
"""

from __future__ import annotations

import itertools
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator

from coshelf.contract import BARRIER, Doorbell, Line, Place, Turns, Who
from coshelf.engines.closed import closed_shelf
from coshelf.engines.local_lock import LocalBell
from coshelf.errors import TransactionInProgress
from coshelf.system.processes import program
from coshelf.system.threads.alone import alone
from coshelf.system.threads.cooperation import Gates, new_reentrant_lock

__all__ = ["LocalTurns"]

_LOOK_AGAIN = 1.0  # seconds


class _Row:
    """A line that has places.

    Attributes:
        seats: the places, in order of arrival. The first ones have the turn.
    """

    __slots__ = ("most", "name", "parties", "seats")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.most = self.parties = 1
        self.seats: dict[int, _Seat] = {}

    def has_waiting(self) -> bool:
        """Whether somebody waits."""
        seats = self.seats
        return bool(seats) and next(reversed(seats.values())).token is None

    def next_ones(self) -> list[_Seat]:
        """Those that wait and can have the turn now."""
        waiting = list(itertools.dropwhile(_has_turn, self.seats.values()))
        if self.most == BARRIER:
            return waiting[: self.parties] if len(waiting) >= self.parties else []
        return waiting[: max(self.most - len(self.seats) + len(waiting), 0)]


class _Seat(weakref.ref["_LocalPlace"]):
    """What a line has of a place: a weak reference, so that a place that nobody uses any more is collected.

    A place that was left refers to no seat. So its end runs no code, which could swallow an interrupt (Ctrl-C).

    Attributes:
        turns: the lines.
        number: tells it from all others.
        token: its token; None while it waits.
        is_over: whether it has left.
    """

    __slots__ = ("calls", "gates", "is_over", "number", "row", "since", "task", "token", "turns")

    turns: LocalTurns
    number: int
    row: _Row
    task: str
    since: float
    token: int | None
    is_over: bool
    gates: Gates | None
    calls: deque[Callable[[], object]] | None

    @classmethod
    def of(cls, place: _LocalPlace, turns: LocalTurns, number: int, row: _Row, task: str) -> _Seat:
        """That of a new place."""
        seat = cls(place, _collected)
        seat.turns, seat.number, seat.row, seat.task = turns, number, row, task
        seat.since, seat.token, seat.is_over = time.time(), None, False
        seat.gates = seat.calls = None
        return seat

    def give(self, token: int) -> None:
        """Give the turn to the place."""
        self.since = time.time()
        place = self()
        if place is not None:
            place.token = token
        self.token = token

    def is_decided(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.token is not None or self.is_over

    def announce(self) -> None:
        """Wake those that wait for the decision."""
        if self.gates is not None:
            self.gates.open()
        while self.calls and self.is_decided():
            try:
                call = self.calls.popleft()
            except IndexError:  # another thread calls it
                return
            call()

    def who(self) -> Who:
        """In words for people."""
        return Who(program.host(), os.getpid(), program.program(), self.task, self.since, self.token)


def _has_turn(seat: _Seat) -> bool:
    return seat.token is not None


def _collected(seat: weakref.ref[_LocalPlace]) -> None:
    """A place was collected that nobody had left."""
    assert isinstance(seat, _Seat)
    seat.turns.leave(seat)


class _LocalPlace(Place):
    """A place in a line of this process."""

    __slots__ = ("__weakref__", "_pid", "seat", "token")

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.seat: _Seat | None = None
        self.token: int | None = None

    def _is_over(self) -> bool:
        return self.seat is None or self.seat.is_over or self._pid != os.getpid()

    def wait(self, timeout: float | None) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        while self.token is None and (seat := self.seat) is not None and not self._is_over():
            left = _LOOK_AGAIN if end is None else end - time.monotonic()
            if left <= 0:
                break
            if seat.gates is None:
                seat.gates = Gates()
            seat.gates.wait(seat.is_decided, left)
            seat.turns.settle()
        return self.token is not None and not self._is_over()

    def when_called(self, call: Callable[[], object]) -> None:
        seat = self.seat
        if seat is None or self._is_over():
            call()
            return
        if seat.calls is None:
            seat.calls = deque()
        seat.calls.append(call)
        if seat.is_decided():
            seat.announce()

    def leave(self) -> None:
        seat = self.seat
        if seat is not None and self._pid == os.getpid():
            seat.turns.leave(seat)
            self.seat = None


class LocalTurns(Turns):
    """The lines of one engine, for the threads of this process.

    Args:
        where: the engine's address, for messages.
    """

    ends_with = "process"

    def __init__(self, where: str) -> None:
        self._where = where
        self._tokens = itertools.count(1)
        self._numbers = itertools.count(1)
        self._rings = itertools.count(1)
        self._bells: weakref.WeakValueDictionary[bytes, _Bell] = weakref.WeakValueDictionary()
        self._is_closed = False
        self._renew()

    def _renew(self) -> None:
        self._lock = new_reentrant_lock()
        self._is_changing = False
        self._rows: dict[bytes, _Row] = {}
        self._left: deque[_Seat] = deque()
        self._decided: deque[_Seat] = deque()
        self._pid = os.getpid()  # last

    def _renew_in_child(self) -> None:
        with alone():
            if self._pid != os.getpid():
                self._renew()

    def join(self, name: bytes, most: int = 1, parties: int = 0, task: str = "") -> Place:
        pid = os.getpid()
        if self._pid != pid:
            self._renew_in_child()
        place = None
        try:
            with self._lock:
                self._begin()
                try:
                    row = self._rows.get(name)
                    if row is None:
                        row = self._rows[name] = _Row(name)
                    row.most, row.parties = most, parties
                    place = _LocalPlace(pid)
                    place.seat = seat = _Seat.of(place, self, next(self._numbers), row, task)
                    is_next = len(row.seats) < most and not row.has_waiting()
                    if is_next:
                        place.token = seat.token = next(self._tokens)
                    row.seats[seat.number] = seat
                    if not is_next:
                        self._call(row)
                finally:
                    self._is_changing = False
            if self._left or self._decided:
                self.settle()
        except BaseException:  # an interrupt (Ctrl-C)
            if place is not None:
                place.leave()
            raise
        return place

    def _begin(self) -> None:
        """Begin a change, under the lock."""
        if self._is_changing:
            raise TransactionInProgress(
                f"this call interrupted this thread in the middle of a call that joins a line of {self._where}\n"
                "  hint: in a signal handler or finalizer, only note what is to be done, and do it later"
            )
        if self._is_closed:
            raise closed_shelf(self._where)
        self._is_changing = True

    def _call(self, row: _Row) -> None:
        """Give the turn to those that can have it. It may be interrupted and repeated at any step."""
        for seat in row.next_ones():
            self._decided.append(seat)
            seat.give(next(self._tokens))

    def leave(self, seat: _Seat) -> None:
        """End a place. If this call interrupted another one of this thread, that one sees to the rest."""
        if self._pid != os.getpid():
            return  # a forked child has lines of its own
        seat.is_over = True
        self._left.append(seat)
        self.settle()

    def settle(self) -> None:
        """See to the places that have left, and wake those that have the turn now."""
        try:
            self._settle()
        except BaseException:  # an interrupt (Ctrl-C): others wait for this
            self._settle()
            raise

    def _settle(self) -> None:
        while self._left or self._decided:
            with self._lock:
                if self._is_changing:
                    return  # this call interrupted the one that changes, which comes here next
                self._is_changing = True
                try:
                    while self._left:
                        self._remove(self._left[0])
                        self._left.popleft()  # last: after an interrupt it is removed once more, which does no harm
                finally:
                    self._is_changing = False
            self._announce()

    def _announce(self) -> None:
        while self._decided:
            try:
                seat = self._decided.popleft()
            except IndexError:  # another thread wakes it
                return
            seat.announce()

    def _remove(self, seat: _Seat) -> None:
        row = seat.row
        row.seats.pop(seat.number, None)
        if seat.gates is not None or seat.calls is not None:
            self._decided.append(seat)
        if row.seats:
            self._call(row)
        elif self._rows.get(row.name) is row:
            del self._rows[row.name]

    def line(self, name: bytes) -> Line:
        with self._lock:
            row = self._rows.get(name) if self._pid == os.getpid() else None
            return Line(name, 1, (), ()) if row is None else self._shown(row)

    def lines(self) -> Iterator[Line]:
        with self._lock:
            rows = list(self._rows.values()) if self._pid == os.getpid() else []
            return iter([self._shown(row) for row in rows if row.seats])

    def _shown(self, row: _Row) -> Line:
        everyone = [seat.who() for seat in row.seats.values()]
        holders = tuple(who for who in everyone if who.token is not None)
        return Line(row.name, row.most, holders, tuple(everyone[len(holders) :]))

    def bell(self, name: bytes) -> Doorbell:
        with self._lock:
            return self._bells.setdefault(name, _Bell(self._rings))

    def ring(self, name: bytes) -> None:
        bell = self._bells.get(name)
        if bell is not None:
            bell.ring()

    def close(self) -> None:
        """End all places."""
        self._is_closed = True
        if self._pid != os.getpid():
            self._renew_in_child()
        with self._lock:
            seats = [seat for row in self._rows.values() for seat in row.seats.values()]
        for seat in seats:
            seat.is_over = True
        self._left.extend(seats)
        self.settle()


class _Bell(LocalBell):
    """Rings for one line. A later bell of the line must not begin with the number of an earlier one."""

    def __init__(self, numbers: itertools.count[int]) -> None:
        super().__init__()
        self._numbers = numbers
        self._sequence = next(numbers)
