"""The clock of a server, told without a request each time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from coshelf.system import clock

__all__ = ["ServerClock"]

_KEPT = 60_000_000  # microseconds for which a comparison of the two clocks is used
_STEP = 50_000  # microseconds by which the system clock may leave the monotonic one meanwhile


@dataclass(frozen=True, slots=True)
class _Compared:
    """What three clocks showed at the same time."""

    server: int
    system: int
    monotonic: int


class ServerClock:
    """Asks a server for its time once a minute, and adds what has passed since on the clock of this machine.

    The result is behind the server's time by as long as the reply took, and by what the two clocks drift apart in a
    minute. If somebody sets the clock of this machine by more than 50 ms, the server is asked again. If somebody sets
    the clock of the server, this is noticed within a minute.

    Args:
        ask: returns the server's time in microseconds since 1970.
    """

    def __init__(self, ask: Callable[[], int]) -> None:
        self._ask = ask
        self._compared: _Compared | None = None

    def now(self) -> int:
        """The server's time in microseconds since 1970."""
        compared = self._compared
        if compared is None or self._is_old(compared):
            server = self._ask()
            compared = self._compared = _Compared(server, clock.now(), _monotonic())
        return compared.server + clock.now() - compared.system

    @staticmethod
    def _is_old(compared: _Compared) -> bool:
        passed = _monotonic() - compared.monotonic
        return passed > _KEPT or abs(clock.now() - compared.system - passed) > _STEP


def _monotonic() -> int:
    return time.monotonic_ns() // 1_000
