"""Barriers between all that share a shelf."""

from __future__ import annotations

from coshelf.contract import BARRIER
from coshelf.coordination.in_line import InLine, Waiting
from coshelf.coordination.owners import Owners
from coshelf.system.waiting.timeouts import usable_timeout

__all__ = ["Barrier"]


class Barrier(InLine):
    """A point where ``parties`` threads or tasks wait for each other. Made by :meth:`coshelf.Shelf.barrier`.

    It can be used again, as one of :mod:`threading`. If a party ends while it waits, it does not count any more, and
    the others go on waiting.

    Attributes:
        parties: how many wait for each other.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> shelf.barrier("start", parties=1).wait() > 0
    True
    """

    __slots__ = ("parties",)

    def __init__(self, shelf: object, owners: Owners, line: bytes, timeout: float | None, parties: int) -> None:
        super().__init__(shelf, owners, line, timeout)
        self.parties = parties

    def ask(self) -> Waiting:
        """Join the line."""
        self.refuse_inside()
        owner = self.owners.current()
        return Waiting(self, owner, self.lines.join(self.line, BARRIER, self.parties, owner.name))

    def wait(self, timeout: float | None = -1) -> int:
        """Wait until all parties wait. Return a number that is another one for each of them, and only grows.

        Args:
            timeout: seconds to wait; None: without limit. -1: what the barrier was made with.

        Raises:
            TurnTimeout: not all came in time. Those that came later wait on.
            TransactionInProgress: this thread or task is inside a transaction or edit of the shelf.
        """
        seconds = self.timeout if timeout == -1 else timeout
        asked = self.ask()
        try:
            if not asked.wait(None if seconds is None else usable_timeout(seconds)):
                raise asked.timed_out()
            token = asked.place.token
            assert token is not None
            return token
        finally:
            asked.give_up()

    @property
    def n_waiting(self) -> int:
        """How many wait now."""
        return len(self.waiting())
