"""Locks and semaphores between all that share a shelf."""

from __future__ import annotations

from types import TracebackType
from typing import Literal

from coshelf.coordination.in_line import InLine, Waiting
from coshelf.coordination.owners import Owners
from coshelf.coordination.turn import Owner, Turn
from coshelf.errors import TurnHeld, TurnNotHeld
from coshelf.system.waiting.timeouts import usable_timeout

__all__ = ["Lock", "Semaphore"]


class _Held(InLine):
    """What is taken for a block. It can stand where a lock or semaphore of :mod:`threading` stands."""

    __slots__ = ("_is_reentrant", "permits")

    def __init__(
        self,
        shelf: object,
        owners: Owners,
        line: bytes,
        timeout: float | None,
        permits: int = 1,
        is_reentrant: bool = False,
    ) -> None:
        # Without a call of the base class: that is a tenth of the time that a free lock takes.
        self.shelf = shelf
        self.owners = owners
        self.lines = owners.lines
        self.line = line
        self.timeout = timeout
        self.permits = permits
        self._is_reentrant = is_reentrant

    def ask(self) -> Turn | Waiting:
        """Join the line. Return the turn if it has come at once."""
        owner, line, place = self.owners.current(), self.line, None
        if self.owners.inside:
            self.refuse_inside()
        try:
            if line in owner.turns:
                again = self._again(owner, owner.turns[line])
                if again is not None:
                    return again
                owner.forget_over(line)
            place = self.lines.join(line, self.permits, 0, owner.name)
            if place.token is None:
                return Waiting(self, owner, place)
            turn = Turn(owner, line, place)
            if line in owner.turns:
                owner.add(line, turn)
            else:
                owner.turns[line] = turn
            return turn
        except BaseException:  # an interrupt (Ctrl-C)
            if place is not None:
                place.leave()
            raise

    def _again(self, owner: Owner, turn: Turn) -> Turn | None:
        """Take a turn once more that the owner has; None if it needs another one."""
        raise NotImplementedError

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> Turn | Literal[False]:
        """Wait for the turn, and return it. As ``acquire`` of a lock of :mod:`threading`: False if it did not come.

        Args:
            blocking: False: do not wait.
            timeout: seconds to wait; None: without limit. -1: what the lock was made with.

        Raises:
            TurnHeld: this thread or task has the turn, and would wait for itself.
            TransactionInProgress: this thread or task is inside a transaction or edit of the shelf.
        """
        if not blocking and timeout not in (-1, None):
            raise ValueError("a call that does not block takes no timeout")
        seconds = 0.0 if not blocking else self.timeout if timeout == -1 else timeout
        if seconds is not None:
            seconds = usable_timeout(seconds)
        asked = self._ask_or_refuse(blocking)
        if not isinstance(asked, Waiting):
            return asked
        try:
            if asked.place.wait(0) if not blocking else asked.wait(seconds):
                return asked.arrived()
        except BaseException:
            asked.give_up()
            raise
        asked.give_up()
        return False

    def _ask_or_refuse(self, blocking: bool) -> Turn | Waiting | Literal[False]:
        try:
            return self.ask()
        except TurnHeld:
            if blocking:
                raise
            return False

    def release(self) -> None:
        """Give back the turn that this thread or task got last.

        Raises:
            TurnNotHeld: it has no turn; another one may have.
            TurnLost: the lease had ended.
        """
        owner = self.owners.current()
        turn = owner.turns.get(self.line)
        if turn is None:
            raise self._not_held(owner)
        turn.release()

    def _not_held(self, owner: Owner) -> TurnNotHeld:
        others = ", ".join(f"pid {who.pid} on {who.host}, {who.task}" for who in self.holders())
        return TurnNotHeld(
            f"{owner.name} has no turn of {self} that it could give back"
            + (f"\n  held by {others}" if others else "")
            + "\n  hint: a turn is given back by the thread or task that got it, or by its own release()"
        )

    def __enter__(self) -> Turn:
        owners, line = self.owners, self.line
        owner = owners.current()
        if owners.inside or line in owner.turns:
            return self._waited(self.ask())
        # As ask() does it, in fewer calls.
        place = None
        try:
            place = owners.lines.join(line, self.permits, 0, owner.name)
            if place.token is not None:
                turn = owner.turns[line] = Turn(owner, line, place)
                return turn
            return self._waited(Waiting(self, owner, place))
        except BaseException:  # an interrupt (Ctrl-C)
            if place is not None:
                place.leave()
            raise

    def _waited(self, asked: Turn | Waiting) -> Turn:
        if not isinstance(asked, Waiting):
            return asked
        try:
            if asked.wait(self.timeout):
                return asked.arrived()
            raise asked.timed_out()
        except BaseException:
            asked.give_up()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        owner, line = self.owners.current(), self.line
        turn = owner.turns.get(line)
        if turn is None:
            if error is None:
                raise self._not_held(owner)
            return
        if owner.earlier:
            is_lost = turn.give_back()
        else:
            place = turn.place
            try:
                place.leave()
            except BaseException:  # an interrupt (Ctrl-C)
                place.leave()
                raise
            del owner.turns[line]
            is_lost = place.is_lost
        if is_lost and error is None:
            raise turn.loss()


class Lock(_Held):
    """A lock that one thread or task at a time has. Made by :meth:`coshelf.Shelf.lock`.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> with shelf.lock("deploy", timeout=5) as turn:
    ...     turn.held, turn.token > 0, shelf.lock("deploy").locked()
    (True, True, True)
    """

    __slots__ = ()

    def _again(self, owner: Owner, turn: Turn) -> Turn | None:
        if not turn.held:  # it was lost, or the shelf was closed
            return None
        if not self._is_reentrant:
            raise TurnHeld(
                f"{owner.name} has the turn of {self} already, and would wait for itself\n"
                "  hint: reentrant=True lets it take the lock again"
            )
        owner.add(self.line, turn)
        return turn

    def locked(self) -> bool:
        """Whether any thread, task or process has the turn."""
        return bool(self.holders())


class Semaphore(_Held):
    """A semaphore: up to ``permits`` threads or tasks have a turn at once. Made by :meth:`coshelf.Shelf.semaphore`.

    Attributes:
        permits: how many have the turn at once.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> gpus = shelf.semaphore("gpu", 2)
    >>> with gpus, gpus:
    ...     gpus.locked(), len(gpus.holders())
    (True, 2)
    """

    __slots__ = ()

    def _again(self, owner: Owner, turn: Turn) -> Turn | None:
        if owner.count(self.line) >= self.permits and turn.held:
            raise TurnHeld(
                f"{owner.name} has all {self.permits} permits of {self} already, and would wait for itself\n"
                "  hint: give one back first"
            )
        return None

    def locked(self) -> bool:
        """Whether all permits are taken."""
        return len(self.holders()) >= self.permits
