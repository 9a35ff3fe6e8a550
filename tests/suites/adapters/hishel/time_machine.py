"""In place of the package of this name: moves the time of day that hishel and coshelf see."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime
from unittest import mock


@contextlib.contextmanager
def travel(to: datetime | float, *, tick: bool = False) -> Iterator[None]:
    """Have the clock show a time. Without ``tick`` it stands still."""
    seconds, begin = to if isinstance(to, (int, float)) else to.timestamp(), time.monotonic()

    def now() -> float:
        return seconds + (time.monotonic() - begin if tick else 0)

    def now_ns() -> int:
        return int(now() * 1_000_000) * 1_000

    with mock.patch.object(time, "time", now), mock.patch.object(time, "time_ns", now_ns):
        yield
