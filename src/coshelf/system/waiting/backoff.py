"""Pauses between attempts, each longer than the one before."""

from __future__ import annotations

import time

from coshelf.system.threads.bridge import awaited, is_bridged

__all__ = ["Backoff", "pause"]


def pause(seconds: float) -> None:
    """Sleep. Inside a bridge, the event loop runs meanwhile."""
    if is_bridged():
        import asyncio

        awaited(asyncio.sleep(seconds))
    else:
        time.sleep(seconds)


class Backoff:
    """Pauses that grow up to a limit.

    Args:
        first: seconds of the first pause.
        longest: seconds that no pause exceeds.
        growth: the factor by which each pause is longer than the one before.
        spread: the random part of each pause, so that processes do not all try at the same instant.

    Attributes:
        pause: seconds that the next pause lasts at most.
    """

    __slots__ = ("_growth", "_longest", "_spread", "pause")

    def __init__(self, first: float, longest: float, growth: float = 2.0, spread: float = 0.0) -> None:
        self.pause = first
        self._longest = longest
        self._growth = growth
        self._spread = spread

    def sleep(self, at_most: float | None = None) -> None:
        """Pause, for up to ``at_most`` seconds, and make the next pause longer."""
        seconds = self.pause
        if self._spread:
            import random  # here: it loads OpenSSL, and few programs ever pause

            seconds *= random.uniform(1.0 - self._spread, 1.0)
        pause(seconds if at_most is None else min(seconds, at_most))
        self.lengthen()

    def lengthen(self) -> None:
        """Make the next pause longer, after a pause that the caller made in its own way."""
        self.pause = min(self.pause * self._growth, self._longest)
