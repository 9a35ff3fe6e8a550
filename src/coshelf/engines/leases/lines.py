"""The lines of an engine, in rows. docs/design.md says how they work, docs/format.md has the bytes."""

from __future__ import annotations

import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Literal

from coshelf.contract import Batch, Doorbell, Engine, Entry, Line, Place, Turns, Who
from coshelf.engines.closed import closed_shelf
from coshelf.engines.leases.commits import swap
from coshelf.engines.leases.members import Member, Patience, now
from coshelf.engines.leases.places import LeasedPlace
from coshelf.engines.leases.rows import BELLS, LINES, MEMBERS, TOKENS, Row, Seat, line_key, packed, unpacked
from coshelf.engines.renewing import Renewer
from coshelf.errors import CoshelfError, DamagedRecord, OutcomeUnknown
from coshelf.system.processes import program
from coshelf.system.threads.alone import alone
from coshelf.system.threads.cooperation import new_reentrant_lock

__all__ = ["LEASE", "HasLines", "Lines"]

LEASE = 10.0
"""Seconds after which the turns of a process that does not answer are over."""


class Lines(Turns):
    """Lines of turns for processes that share no memory.

    Args:
        engine: any engine whose commits can check the version of one entry.
        lease: seconds.

    Attributes:
        is_closed: whether the engine has been closed.
    """

    ends_with: Literal["process", "lease"] = "lease"

    def __init__(self, engine: Engine, lease: float | None = None) -> None:
        self.engine = engine
        self.lease = (LEASE if lease is None else lease) if self.ends_with == "lease" else None
        self.is_closed = False
        self._renewer = Renewer("coshelf-turns", (self.lease or LEASE) / 3)
        self._begin()

    def _begin(self) -> None:
        self._lock = new_reentrant_lock()
        self._member: Member | None = None
        self._kept: dict[str, _Kept] = {}
        self._places: weakref.WeakValueDictionary[str, LeasedPlace] = weakref.WeakValueDictionary()
        self._sweeps_until: float | None = None
        self._patience = self.new_patience()
        self._pid = os.getpid()  # last

    def new_member(self) -> Member:
        """This process as a member, from now on."""
        assert self.lease is not None
        return Member(self.engine, self.lease)

    def new_patience(self) -> Patience:
        """What a waiter knows of other members: nothing as yet."""
        assert self.lease is not None
        return Patience(self.engine, self.lease)

    # --- joining -----------------------------------------------------------------------------------------------------

    def join(self, name: bytes, most: int = 1, parties: int = 0, task: str = "") -> Place:
        self._refuse_closed()
        if self._pid != os.getpid():
            with alone():
                if self._pid != os.getpid():
                    self._begin()  # the parent has its own member
        if self._sweeps_until is None:
            self._sweeps_until = now() + 2 * (self.lease or LEASE)
            self._sweep()
        id = os.urandom(8).hex()
        member = self._enter(id, name)
        place = LeasedPlace(self, name, id, member, (most, parties, task))
        self._places[id] = place
        try:
            if self._stand(place):
                place.begin()
        except BaseException:
            self.leave_later(member, id, name)
            raise
        return place

    def _refuse_closed(self) -> None:
        if self.is_closed:
            raise closed_shelf(self.engine.where)

    def _enter(self, id: str, name: bytes) -> Member:
        """The member that a new place belongs to."""
        with self._lock:
            member = self._member
            if member is not None and not member.is_lost:
                member.places[id] = name
                return member
        member = self.new_member()
        member.places[id] = name
        kept = _Kept(self, member)
        with self._lock:
            self._member = member
            self._kept[member.id] = kept
        self._renewer.add(kept)
        return member

    def _stand(self, place: LeasedPlace) -> bool:
        """Put a place at the end of its line. Return whether it has the turn."""
        has_turn, (most, parties, task) = False, place.wanted

        def add(entry: Entry | None) -> bytes | None:
            nonlocal has_turn
            row = Row(place.name) if entry is None else self._read(place.name, entry)
            seat = row.seat(place.id)
            is_new = seat is None
            if seat is None:
                who = Who(program.host(), os.getpid(), program.program(), task, time.time())
                seat = Seat(place.id, place.member.id, who)
                row.seats.append(seat)
                row.most, row.parties = most, parties
                row.call()
            has_turn = seat.has_turn
            return row.body() if is_new else None

        try:
            swap(self.engine, line_key(place.name), add)
        except OutcomeUnknown:
            # It may still arrive. Then it belongs to a member that ends with its other places.
            with self._lock:
                if self._member is place.member:
                    self._member = None
            raise
        return has_turn

    def join_again(self, place: LeasedPlace) -> None:
        """Put a waiting place at the end of its line, after its member has lost its lease."""
        place.member.places.pop(place.id, None)
        with self._lock:
            if self._member is place.member:
                self._member = None
        place.member = self._enter(place.id, place.name)
        self.remove(place.name, _named({place.id}))
        self._stand(place)

    # --- leaving -----------------------------------------------------------------------------------------------------

    def leave(self, member: Member, id: str, name: bytes) -> None:
        """Remove a place. If the server cannot be reached, the renewing thread does it later."""
        try:
            self.remove(name, _named({id}))
        except CoshelfError:
            self.leave_later(member, id, name)
        else:
            member.places.pop(id, None)

    def leave_later(self, member: Member, id: str, name: bytes) -> None:
        """Have the renewing thread remove a place. A finalizer may call this."""
        kept = self._kept.get(member.id)
        if kept is not None:
            kept.leaving.append((id, name))
            self._renewer.nudge()

    def remove(self, name: bytes, is_over: Callable[[Seat], bool]) -> None:
        """Remove places of a line, and the line if no places are left."""

        def without(entry: Entry | None) -> bytes | None:
            if entry is None:
                return None
            row = self._read(name, entry)
            if not row.remove(is_over):
                return None
            return row.body() if row.seats else b""

        swap(self.engine, line_key(name), without)

    # --- rows --------------------------------------------------------------------------------------------------------

    def read(self, name: bytes) -> Row | None:
        """The line as it is stored."""
        entry = self.engine.get(line_key(name))
        return None if entry is None else self._read(name, entry)

    def _read(self, name: bytes, entry: Entry) -> Row:
        row = Row.read(name, entry.record)
        if row is None:
            raise DamagedRecord(
                f"the row of a line cannot be read in {self.engine.where}: it is damaged, or a later version wrote it"
            )
        return row

    def draw_token(self) -> int:
        """The next token: one more than the last, and at least the server's time in microseconds.

        So tokens also grow if the server has lost the row of the last one in a failover.
        """
        drawn = 0

        def next_one(entry: Entry | None) -> bytes:
            nonlocal drawn
            last = 0 if entry is None else unpacked(entry.record)
            if not isinstance(last, int):
                raise DamagedRecord(f"the row of the last token cannot be read in {self.engine.where}")
            drawn = max(last + 1, self.engine.now())
            return packed(drawn)

        swap(self.engine, TOKENS, next_one)
        return drawn

    def _sweep(self) -> None:
        """Remove what processes left that have ended, so that such rows do not gather.

        It is called more than once, because members of other machines must be watched for a lease.
        """
        ids = {_id(key) for key, _ in self.engine.scan(*MEMBERS, keys_only=True)}
        living = self._patience.living(ids - self._kept.keys()) | self._kept.keys()
        for _, entry in list(self.engine.scan(*LINES)):
            row = None if entry is None else Row.read(None, entry.record)
            if row is not None and not any(seat.member in living for seat in row.seats):
                present = self._present({seat.member for seat in row.seats})
                self.remove(row.name, _named({seat.id for seat in row.seats if seat.member not in present}))

    def _present(self, members: set[str]) -> set[str]:
        """Those of some members that have a row."""
        keys = {MEMBERS[0] + id.encode("ascii", "replace"): id for id in members}
        found = self.engine.get_many(list(keys))
        return {id for id, entry in zip(keys.values(), found, strict=True) if entry is not None}

    # --- looking -----------------------------------------------------------------------------------------------------

    def line(self, name: bytes) -> Line:
        row = self.read(name)
        if row is None:
            return Line(name, 1, (), ())
        return row.shown(self._present({seat.member for seat in row.seats}))

    def lines(self) -> Iterator[Line]:
        for _, entry in list(self.engine.scan(*LINES)):
            row = None if entry is None else Row.read(None, entry.record)
            if row is None:
                continue
            line = row.shown(self._present({seat.member for seat in row.seats}))
            if line.holders or line.waiting:
                yield line

    # --- bells -------------------------------------------------------------------------------------------------------

    def bell(self, name: bytes) -> Doorbell:
        return self.engine.doorbell(BELLS)

    def ring(self, name: bytes) -> None:
        if self.engine.capabilities.watch == "doorbell":
            self.engine.commit(Batch(puts={BELLS: packed(None)}))

    # --- the end -----------------------------------------------------------------------------------------------------

    def tend(self, kept: _Kept) -> None:
        """What the renewing thread does for a member, once a period."""
        member = kept.member
        while kept.leaving:
            id, name = kept.leaving[0]
            self.remove(name, _named({id}))
            member.places.pop(id, None)
            kept.leaving.popleft()
        if not member.is_lost:
            with self._lock:
                is_idle = not member.places
                if is_idle and self._member is member:
                    self._member = None
            if not is_idle:
                member.renew()
        if member.is_lost or is_idle:
            self._end(kept)
        elif self._sweeps_until is not None and now() < self._sweeps_until:
            self._sweep()

    def _end(self, kept: _Kept) -> None:
        member = kept.member
        self._renewer.remove(kept)
        with self._lock:
            self._kept.pop(member.id, None)
            if self._member is member:
                self._member = None
        places = [place for id in list(member.places) if (place := self._places.get(id)) is not None]
        member.end()
        for place in places:
            if place.is_lost:
                place.call()

    def release(self) -> None:
        """Give all turns back, and leave all lines."""
        if self._pid != os.getpid():
            return
        for kept in list(self._kept.values()):
            self._renewer.remove(kept)
            with suppress(CoshelfError):  # others see that the lease ends
                for id, name in list(kept.member.places.items()):
                    self.remove(name, _named({id}))
            kept.member.end()
        self._kept.clear()
        self._member = None

    def close(self) -> None:
        """End all places. Called before the engine is closed."""
        if not self.is_closed:
            self.is_closed = True
            self.release()
            self._renewer.pause()


class _Kept:
    """A member that is renewed.

    Attributes:
        leaving: places that are to be removed, and the names of their lines.
    """

    def __init__(self, lines: Lines, member: Member) -> None:
        self.member = member
        self.leaving: deque[tuple[str, bytes]] = deque()
        self.tend = partial(lines.tend, self)

    def renew(self) -> None:
        """Renew the member, or end it."""
        with suppress(CoshelfError):  # it is tried again; the member knows when its lease ends
            self.tend()


def _named(ids: set[str]) -> Callable[[Seat], bool]:
    """Whether a place is one of some."""
    return lambda seat: seat.id in ids


def _id(key: bytes) -> str:
    return key[len(MEMBERS[0]) :].decode("ascii", "replace")


class HasLines(Engine):
    """An engine whose lines are in rows. It closes them before its own connections."""

    _lines: Lines | None = None

    def turns(self) -> Lines:
        if self._lines is None:
            self._lines = Lines(self)
        return self._lines

    def close_lines(self) -> None:
        """End all places."""
        if self._lines is not None:
            self._lines.close()

    def rest_lines(self) -> None:
        """Give all turns back: the process ends."""
        if self._lines is not None:
            self._lines.release()
