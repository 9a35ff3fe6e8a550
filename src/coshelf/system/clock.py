"""The clock by which entries expire. All of coshelf reads the time of day here, so tests can move it in one place."""

from __future__ import annotations

import time

__all__ = ["now"]


def now() -> int:
    """Microseconds since 1970, by the system clock."""
    return time.time_ns() // 1_000
