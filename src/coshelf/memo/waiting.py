"""Waiting for a computation of another thread or process, and what is done about circles of waits.

A computation may call memoized functions itself. If two of them wait for each other, in whatever processes, none would
ever end. So a computation that waits says so in its claim. A call that would wait for itself through such claims
computes without waiting.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar
from typing import Final

from coshelf.contract import Doorbell
from coshelf.memo.claims import Claim, Claims

__all__ = ["Wait", "Waiting", "holding", "holding_as_in"]

_HELD: Final[ContextVar[tuple[Claim, ...]]] = ContextVar("coshelf_held_claims", default=())
"""The claims of the computations that this call is part of. asyncio hands it on to tasks."""

_LOOK = 0.02  # seconds until a waiting call looks again: the death of a process rings no bell
_AT_MOST = 10.0  # seconds, while a claim of another shelf is held: no claim tells of waits for another shelf


@contextmanager
def holding(claim: Claim) -> Iterator[None]:
    """The calls of the block are part of the computation of a claim."""
    token = _HELD.set((*_HELD.get(), claim))
    try:
        yield
    finally:
        with suppress(ValueError):  # a coroutine that was discarded ends in another context than its own
            _HELD.reset(token)


@contextmanager
def holding_as_in(context: Context) -> Iterator[None]:
    """The calls of the block are part of the computations that a context is part of: the steps of a call ran in it."""
    token = _HELD.set(context.get(_HELD, ()))
    try:
        yield
    finally:
        with suppress(ValueError):
            _HELD.reset(token)


class Wait:
    """One step of waiting."""

    def __init__(self, bell: Doorbell, sequence: int) -> None:
        self._bell = bell
        self._sequence = sequence
        self.pause = _LOOK

    def sleep(self) -> None:
        """Sleep until something has changed, or until it is time to look again."""
        self._bell.wait(self._sequence, self.pause)


class Waiting:
    """A call that waits for the claim of a row. Used with ``with``."""

    def __init__(self, claims: Claims, row: bytes) -> None:
        self._claims = claims
        self._row = row
        self._bell = claims.engine.doorbell(row)
        held = _HELD.get()
        self._own = [claim for claim in held if claim.claims is claims]
        self._end = time.monotonic() + _AT_MOST if len(self._own) < len(held) else None
        self._marked: list[Claim] = []

    def sequence(self) -> int:
        """The number of the last change, taken before looking at what may change."""
        return self._bell.sequence()

    def step(self, sequence: int) -> Wait | None:
        """The next step of waiting; None if the call must not wait any longer."""
        if self._end is not None and time.monotonic() > self._end:
            return None
        if self._claims.is_from_here(self._row):
            return None
        if self._own and self._claims.waits_for(self._row, [claim.row for claim in self._own]):
            return None
        return Wait(self._bell, sequence)

    def __enter__(self) -> Waiting:
        for claim in self._own:
            claim.wait_for(self._row)
            self._marked.append(claim)
        return self

    def __exit__(self, *_: object) -> None:
        while self._marked:
            self._marked.pop().wait_no_more(self._row)
