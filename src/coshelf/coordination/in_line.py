"""What locks, semaphores and barriers have in common: a line of the engine, and the wait for one's turn."""

from __future__ import annotations

import time

from coshelf.contract import Line, Place, Who
from coshelf.coordination.names import kind_of, shown_line
from coshelf.coordination.owners import Owners
from coshelf.coordination.turn import Owner, Turn
from coshelf.engines.closed import closed_shelf
from coshelf.errors import TransactionInProgress, TurnTimeout
from coshelf.screen import plain

__all__ = ["InLine", "Waiting"]


class Waiting:
    """A place in a line whose turn has not come yet.

    Attributes:
        place: the place.
        thing: the lock, semaphore or barrier.
    """

    def __init__(self, thing: InLine, owner: Owner, place: Place) -> None:
        self.thing = thing
        self.place = place
        self._owner = owner
        self._turn: Turn | None = None
        self._began = time.monotonic()

    def arrived(self) -> Turn:
        """The turn, after it has come."""
        line = self.thing.line
        self._turn = Turn(self._owner, line, self.place)
        self._owner.add(line, self._turn)
        return self._turn

    def give_up(self) -> None:
        """Leave the line, or give the turn back. Harmless if repeated."""
        if self._turn is not None:
            self._owner.remove(self.thing.line, self._turn)
        self.place.leave()

    def timed_out(self) -> TurnTimeout:
        """The error for a wait in vain; leave the line."""
        thing, waited = self.thing, time.monotonic() - self._began
        line = thing.owners.lines.line(thing.line)
        self.give_up()
        return timeout_of(thing, line, waited)

    def refuse_over(self) -> None:
        """Raise if the wait ended because the shelf was closed."""
        if self.thing.owners.is_closed():
            raise closed_shelf(self.thing.owners.where)

    def wait(self, seconds: float | None) -> bool:
        """Wait for the turn, for up to ``seconds``. Return whether it has come."""
        self.thing.refuse_inside()
        if self.place.wait(seconds):
            return True
        self.refuse_over()
        return False


class InLine:
    """A lock, semaphore or barrier.

    Attributes:
        owners: those that have turns through the handle.
        line: the name of its line.
        timeout: seconds; None: there is no limit.
        shelf: what has to stay open as long as this is in use.
    """

    __slots__ = ("line", "lines", "owners", "shelf", "timeout")

    def __init__(self, shelf: object, owners: Owners, line: bytes, timeout: float | None) -> None:
        self.shelf = shelf
        self.owners = owners
        self.lines = owners.lines
        self.line = line
        self.timeout = timeout

    def refuse_inside(self) -> None:
        """Raise if this thread or task is inside a transaction, where a wait could keep out whoever has the turn."""
        if self.owners.is_inside():
            raise TransactionInProgress(
                f"{self} cannot be taken inside a transaction or edit of {self.owners.where}: to wait for it there "
                "could keep out the very process that has it\n"
                "  hint: take the lock first, and begin the transaction then"
            )

    def holders(self) -> tuple[Who, ...]:
        """Those that have the turn now: host, process, program, task, since when, and token."""
        return self.lines.line(self.line).holders

    def waiting(self) -> tuple[Who, ...]:
        """Those that wait now, the next one first."""
        return self.lines.line(self.line).waiting

    def __str__(self) -> str:
        return f"{kind_of(self.line)} {shown_line(self.line)}"

    def __repr__(self) -> str:
        return plain(f"<{type(self).__name__} {shown_line(self.line)} of {self.owners.where!r}>")

    def _repr_html_(self) -> str:
        from coshelf.coordination.showing import line_of_turns_as_html

        def tell() -> tuple[tuple[Who, ...], tuple[Who, ...]]:
            line = self.lines.line(self.line)
            return line.holders, line.waiting

        return line_of_turns_as_html(repr(self)[1:-1], tell)


def timeout_of(thing: InLine, line: Line, waited: float) -> TurnTimeout:
    """The error for a wait in vain, which names those that have the turn."""
    now = time.time()
    parts = [f"{thing} is not free: {thing.owners.where}"]
    parts += [f"  held by {_named(who, now)}" for who in line.holders]
    others = max(len(line.waiting) - 1, 0)
    parts.append(f"  waited {waited:.1f} s" + (f"; {others} others wait, too" if others else ""))
    parts.append("  hint: wait longer with timeout=, or see the holders with `coshelf locks`")
    return TurnTimeout("\n".join(parts), line.holders)


def _named(who: Who, now: float) -> str:
    return f"pid {who.pid} on {who.host} ({who.program}), {who.task}, for {max(now - who.since, 0):.0f} s"
