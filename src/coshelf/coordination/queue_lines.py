"""Waiting for a queue, in order of arrival and without polling where the engine has lines of turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from coshelf.contract import Doorbell, Engine
from coshelf.system.threads.participants import longest_wait, refuse_abandoned

__all__ = ["LOOK", "bell_of", "in_line", "ring", "ring_after_commit", "until"]

T = TypeVar("T")

_MOMENT = 0.01  # seconds
LOOK: Final = 1.0
"""Seconds after which a waiting call looks again though no bell has rung: the process that rings it may be killed."""


def bell_of(engine: Engine, name: bytes, row: bytes) -> Doorbell:
    """The bell of that name; where the engine has none, one that rings when a row like ``row`` changes."""
    granted = engine.capabilities
    has_bells = granted.turns if granted.turns != "lease" else granted.watch == "doorbell"
    return engine.turns().bell(name) if has_bells else engine.doorbell(row)


def ring(engine: Engine, name: bytes) -> None:
    """Ring the bell of that name."""
    if engine.capabilities.turns:
        engine.turns().ring(name)


def ring_after_commit(engine: Engine, name: bytes) -> None:
    """Ring the bell of that name, unless the commit to the rows of the queue has done that."""
    if engine.capabilities.turns:
        turns = engine.turns()
        if not turns.rings_at_commits:
            turns.ring(name)


@contextmanager
def in_line(
    engine: Engine, name: bytes, end: float | None, is_in_vain: Callable[[], bool] = lambda: True
) -> Iterator[bool]:
    """For a block, have the turn in a line. The block gets whether it has; if not, it was not free until ``end``.

    ``is_in_vain``: asked then. If it says no, the turn is only held for a moment, and is waited for.
    """
    if not engine.capabilities.turns:
        yield True
        return
    place = engine.turns().join(name)
    try:
        has_turn = place.wait(None if end is None else max(end - time.monotonic(), 0))
        while not has_turn and not is_in_vain():
            has_turn = place.wait(_MOMENT)
        yield has_turn
    finally:
        place.leave()


def until(
    bell: Doorbell, look: Callable[[], T | None], end: float | None, longest: Callable[[], float] = lambda: LOOK
) -> T | None:
    """What ``look`` returns, as soon as that is not None; None at the time ``end``.

    Args:
        bell: rings when it is worth while to look again.
        look: looks.
        end: a time of the monotonic clock; None: there is no end.
        longest: tells for how many seconds to wait at most until the next look.
    """
    while True:
        sequence = bell.sequence()
        found = look()
        if found is not None:
            return found
        left = longest()
        if end is not None:
            left = min(left, end - time.monotonic())
            if end <= time.monotonic():
                return None
        refuse_abandoned()
        bell.wait(sequence, longest_wait(max(left, 0.001)))
