"""Turns: who may do something now, and who waits for it, among all threads and processes that share a shelf.

A lock is a line of which one waiter at a time has the turn, a semaphore one of which several have it. The names of
lines are bytes; what is below this contract does not know what they guard. docs/coordination.md says what is promised.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from coshelf.contract.reading import Doorbell

__all__ = ["BARRIER", "Line", "Place", "Turns", "Who"]

BARRIER: Final = 0
"""As ``most`` of :meth:`Turns.join`: nobody has the turn until ``parties`` of them wait. Then all have it."""


@dataclass(frozen=True, slots=True)
class Who:
    """A thread or task that has a turn or waits for it, in words for people.

    Attributes:
        host: the name of the machine.
        pid: the process.
        program: its command line, shortened.
        task: the thread or task in it.
        since: the Unix time since when it has the turn, or waits.
        token: its token; None while it waits.
    """

    host: str
    pid: int
    program: str
    task: str
    since: float
    token: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was at one instant.

    Attributes:
        name: its name.
        most: how many have the turn at once; :data:`BARRIER` for a barrier.
        holders: those that have it.
        waiting: those that wait, the next one first.
    """

    name: bytes
    most: int
    holders: tuple[Who, ...]
    waiting: tuple[Who, ...]


class Place(ABC):
    """A place in a line: first it waits, then it has the turn, then it is over.

    It belongs to the thread or task that joined the line. The place of a process that ends is over at once, and so is
    each place in a forked child. All methods may be called by any thread of the process, and repeated.

    Attributes:
        token: a number that is greater than that of every turn before, whatever its line, also after the shelf was
            closed, or power was lost; None while it waits.
        is_lost: whether it was taken away: its lease ended. It stays False where there are no leases.
    """

    __slots__ = ()

    token: int | None = None
    is_lost: bool = False

    @abstractmethod
    def wait(self, timeout: float | None) -> bool:
        """Wait until it has the turn, for up to ``timeout`` seconds. Return whether it has.

        The wait costs no processor time, and signal handlers run during it. If it ends in vain, the place is kept.
        """

    @abstractmethod
    def when_called(self, call: Callable[[], object]) -> None:
        """Call a function once, in any thread, as soon as :meth:`wait` would return, and when the turn is lost.

        For an event loop. The function must be quick, and is called at once if it is too late already.
        """

    @abstractmethod
    def leave(self) -> None:
        """Give the turn back, or leave the line. The next in line has the turn then."""


class Turns(ABC):
    """The lines of a shelf.

    Attributes:
        ends_with: what takes a turn away from a holder that ends: "process" (the death of the process does, at
            once, whatever kills it), "lease" (a lease that is not renewed does).
        lease: seconds after which the turn of a process that does not answer any more is over; None without leases.
    """

    ends_with: Literal["process", "lease"]
    lease: float | None = None
    rings_at_commits: bool = False
    """Whether each commit to rows of queues rings all bells, so that none of them calls :meth:`ring`."""

    @abstractmethod
    def join(self, name: bytes, most: int = 1, parties: int = 0, task: str = "") -> Place:
        """Join the end of a line. If fewer than ``most`` have the turn, and nobody waits, the place has it at once.

        It does not wait. A place that is collected leaves the line.

        Args:
            name: the line. A line without places does not exist.
            most: how many have the turn at once. That of the last one who joined is valid for the line.
            parties: for a :data:`BARRIER`, how many have to wait.
            task: the thread or task, for people.
        """

    @abstractmethod
    def line(self, name: bytes) -> Line:
        """A line as it is now."""

    @abstractmethod
    def lines(self) -> Iterator[Line]:
        """All lines that have places."""

    @abstractmethod
    def bell(self, name: bytes) -> Doorbell:
        """A bell for all processes that share the shelf. It may ring at other changes, too.

        It is there for those that wait for a commit to some rows, without being woken by all other commits.
        """

    @abstractmethod
    def ring(self, name: bytes) -> None:
        """Ring that bell. Cheap if nobody waits. Called after the commit. A process may be killed between the two."""
