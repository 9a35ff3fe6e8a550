"""The clock by which entries expire, and the one by which leases end.

All of coshelf reads the time of day here, so tests can move it in one place.
"""

from __future__ import annotations

import time

__all__ = ["now", "steady"]

# They go on while the machine sleeps: the first on Linux, the second on macOS, where ``time.monotonic`` stands still.
_STEADY: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def now() -> int:
    """Microseconds since 1970, by the system clock."""
    return time.time_ns() // 1_000


def steady() -> float:
    """Seconds by a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.monotonic() if _STEADY is None else time.clock_gettime(_STEADY)
