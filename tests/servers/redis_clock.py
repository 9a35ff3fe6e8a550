"""A clock that tests move, in the place of the clocks of Redis servers."""

from __future__ import annotations

from coshelf.engines.redis import expiry
from coshelf.testing.moving_clock import MovingClock

__all__ = ["MovingRedisClock"]


class MovingRedisClock(MovingClock):
    """Scripts that this process sends go by it, instead of the clock of the server."""

    def start(self) -> None:
        super().start()
        self._given = expiry.given
        expiry.given = lambda: b"%d" % self.now()

    def stop(self) -> None:
        expiry.given = self._given
        super().stop()
