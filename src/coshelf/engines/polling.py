"""A bell for engines that can only look again, where looking is a request: less and less often."""

from __future__ import annotations

import time

from coshelf.contract import Doorbell

__all__ = ["PatientBell"]

_FIRST = 0.005
_LONGEST = 0.1


class PatientBell(Doorbell):
    """Who waits looks again after 5 ms, and then after longer and longer, up to a tenth of a second."""

    def __init__(self) -> None:
        self._pause = _FIRST

    def sequence(self) -> int:
        return 0

    def wait(self, sequence: int, timeout: float | None) -> None:
        time.sleep(self._pause if timeout is None else min(timeout, self._pause))
        self._pause = min(self._pause * 1.3, _LONGEST)
