"""What a worker did, and what must hold for the notes of all workers together."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Held", "Notes", "out_of_order", "overlapping"]


@dataclass(frozen=True, slots=True)
class Held:
    """One turn, as its holder saw it. All hosts are on one machine, so the times are of one clock.

    Attributes:
        worker: who had it.
        token: its token.
        asked: when the worker asked for it.
        began: when the call that gave it returned.
        ended: when the worker looked for the last time and the turn was not lost.
    """

    worker: str
    token: int
    asked: float
    began: float
    ended: float


@dataclass
class Notes:
    """The notes of some workers.

    Attributes:
        held: the turns.
        put: jobs whose put returned.
        perhaps: jobs whose put has an unknown outcome.
        done: how often the end of each job returned.
        errors: names of errors, and how often they came.
    """

    held: list[Held] = field(default_factory=list)
    put: set[str] = field(default_factory=set)
    perhaps: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def read(self, path: Path) -> None:
        """Add what a worker wrote to its file. The last line may be cut."""
        for line in path.read_text().splitlines():
            try:
                what, *rest = json.loads(line)
            except ValueError:
                continue
            if what == "held":
                self.held.append(Held(*rest))
            elif what == "put":
                self.put.add(rest[0])
            elif what == "perhaps":
                self.perhaps.add(rest[0])
            elif what == "done":
                self.done[rest[0]] += 1
            else:
                self.errors[rest[0]] += 1

    def lost_jobs(self) -> list[str]:
        """Jobs that were put and never done."""
        return sorted(self.put - self.done.keys())

    def invented_jobs(self) -> list[str]:
        """Jobs that were done and never put."""
        return sorted(self.done.keys() - self.put - self.perhaps)


def out_of_order(held: list[Held]) -> list[tuple[Held, Held]]:
    """Pairs of turns of which the second was asked for after the first was given, and has no greater token."""
    by_token = sorted(held, key=lambda turn: turn.token)
    found = [(one, other) for one, other in itertools.pairwise(by_token) if one.token == other.token]
    latest = None
    for turn in by_token:
        if latest is not None and turn.began < latest.asked:
            found.append((turn, latest))
        if latest is None or turn.asked > latest.asked:
            latest = turn
    return found


def overlapping(held: list[Held]) -> list[tuple[Held, Held]]:
    """Pairs of turns that two workers had at the same time."""
    by_time = sorted(held, key=lambda turn: turn.began)
    found, latest = [], None
    for turn in by_time:
        if latest is not None and turn.began < latest.ended and turn.worker != latest.worker:
            found.append((latest, turn))
        if latest is None or turn.ended > latest.ended:
            latest = turn
    return found
