"""A turn that somebody has, a lock that is held or a permit of a semaphore; and who has it."""

from __future__ import annotations

import os

from coshelf.contract import Place
from coshelf.coordination.names import kind_of, shown_line
from coshelf.errors import TurnLost, TurnNotHeld

__all__ = ["Owner", "Turn"]


class Owner:
    """A thread or task, and the turns that it has through one handle.

    Attributes:
        name: its name, for people.
        pid: its process.
        turns: its turns, by line; of several turns of one line the last one.
        earlier: the others, the last one last. A turn that was taken again stands here once for each time.
    """

    __slots__ = ("earlier", "name", "pid", "turns")

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid = os.getpid()
        self.turns: dict[bytes, Turn] = {}
        self.earlier: dict[bytes, list[Turn]] = {}

    def add(self, line: bytes, turn: Turn) -> None:
        """It has a turn, perhaps besides earlier ones of the line."""
        before = self.turns.get(line)
        if before is not None:
            self.earlier.setdefault(line, []).append(before)
        self.turns[line] = turn

    def remove(self, line: bytes, turn: Turn) -> None:
        """It has a turn no more, or one time less. Harmless if it has not."""
        stack = self.earlier.get(line)
        if self.turns.get(line) is turn:
            if stack:
                self.turns[line] = stack.pop()
            else:
                del self.turns[line]
        elif stack and turn in stack:
            stack.remove(turn)
        if stack is not None and not stack:
            self.earlier.pop(line, None)

    def forget_over(self, line: bytes) -> None:
        """Forget turns of a line that an interrupt has left here, though they were given back."""
        while line in self.turns and not (self.turns[line].place.wait(0) or self.turns[line].lost):
            self.remove(line, self.turns[line])

    def has(self, line: bytes, turn: Turn) -> bool:
        """Whether it has a turn."""
        return self.turns.get(line) is turn or turn in self.earlier.get(line, ())

    def has_once(self, line: bytes, turn: Turn) -> bool:
        """Whether it has a turn, and has not taken it again."""
        return self._times(line, turn) == 1

    def _times(self, line: bytes, turn: Turn) -> int:
        return (self.turns.get(line) is turn) + self.earlier.get(line, []).count(turn)

    def count(self, line: bytes) -> int:
        """How many turns of a line it has."""
        return (line in self.turns) + len(self.earlier.get(line, ()))

    def end(self) -> None:
        """Give all turns back."""
        turns = [*self.turns.values(), *(turn for stack in self.earlier.values() for turn in stack)]
        self.turns, self.earlier = {}, {}
        for turn in turns:
            turn.place.leave()


class Turn:
    """The right to do something now. Made by :meth:`coshelf.coordination.locks.Lock.acquire`, and given to its block.

    Attributes:
        place: its place in the line of the engine.
    """

    __slots__ = ("__weakref__", "_line", "_owner", "place")

    def __init__(self, owner: Owner, line: bytes, place: Place) -> None:
        self._owner = owner
        self._line = line
        self.place = place

    @property
    def token(self) -> int:
        """The fencing token: a number that is greater than that of every turn before, of whatever lock of the shelf.

        Raises :class:`~coshelf.errors.TurnNotHeld` in a forked child.
        """
        self._refuse_inherited()
        token = self.place.token
        assert token is not None
        return token

    @property
    def lost(self) -> bool:
        """Whether its lease has ended, so that others may have the turn. It cannot happen where there are no leases."""
        return self.place.is_lost

    @property
    def held(self) -> bool:
        """Whether this process has the turn still, as far as it can know."""
        return self._owner.has(self._line, self) and self.place.wait(0)

    def release(self) -> None:
        """Give the turn back, from any thread or task of the process.

        Raises:
            TurnNotHeld: it was given back already, or this is a forked child.
            TurnLost: its lease had ended.
        """
        self._refuse_inherited()
        self._refuse_over()
        if self.give_back():
            raise self.loss()

    def detach(self) -> None:
        """Keep the turn until :meth:`release`, though the thread or task that got it may end before.

        It no longer belongs to that thread or task, which may wait for another turn. It still ends with the process
        and with the shelf. Use it before you hand the turn to another thread.

        Raises:
            TurnNotHeld: it was given back already, or this is a forked child.

        >>> import coshelf, threading
        >>> lock = coshelf.open("memory:").lock("report")
        >>> turn = lock.acquire()
        >>> turn.detach()
        >>> worker = threading.Thread(target=turn.release)
        >>> worker.start(); worker.join()
        >>> lock.locked()
        False
        """
        self._refuse_inherited()
        self._refuse_over()
        owner, line = self._owner, self._line
        self._owner = Owner(owner.name)
        while owner.has(line, self):
            self._owner.add(line, self)
            owner.remove(line, self)

    def give_back(self) -> bool:
        """Give it back if it was taken only once, or else count one less. Return whether it is lost."""
        owner, line, place = self._owner, self._line, self.place
        try:
            if owner.has_once(line, self):
                place.leave()
            owner.remove(line, self)
        except BaseException:  # an interrupt (Ctrl-C)
            if owner.has_once(line, self):
                place.leave()
            owner.remove(line, self)
            raise
        return place.is_lost

    def _refuse_inherited(self) -> None:
        if self._owner.pid != os.getpid():
            raise TurnNotHeld(
                f"the turn of {self} belongs to process {self._owner.pid}, from which this process was forked\n"
                "  hint: a forked child holds nothing; it has to wait for a turn of its own"
            )

    def _refuse_over(self) -> None:
        if not self._owner.has(self._line, self):
            raise TurnNotHeld(f"the turn of {self} has been given back already")

    def loss(self) -> TurnLost:
        """The error for a turn whose lease has ended."""
        return TurnLost(
            f"the lease of {self} ended before its turn was given back: another process may have had the turn since\n"
            "  hint: this process was stopped, or could not reach the server, for longer than a lease; let what the "
            "lock guards refuse a token that is less than one it has seen"
        )

    def __str__(self) -> str:
        return f"{kind_of(self._line)} {shown_line(self._line)}"

    def __repr__(self) -> str:
        state = "lost" if self.lost else "held" if self.held else "over"
        return f"<{state} turn of {self}, token {self.place.token}>"
