"""What users may give as a timeout."""

from __future__ import annotations

import threading

__all__ = ["usable_timeout"]


def usable_timeout(timeout: float) -> float:
    """A timeout that locks take: what is longer than they can count is as long as they can.

    Raises TypeError and ValueError for what is no number of seconds.
    """
    if not isinstance(timeout, (int, float)):
        raise TypeError(f"a timeout is a number of seconds, not {type(timeout).__name__}")
    if not timeout >= 0:
        raise ValueError(f"a timeout is 0 seconds or more, not {timeout}")
    return min(timeout, threading.TIMEOUT_MAX)
