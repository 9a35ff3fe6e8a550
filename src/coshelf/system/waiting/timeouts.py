"""Timeouts that users give."""

from __future__ import annotations

import threading

__all__ = ["usable_timeout"]


def usable_timeout(timeout: float) -> float:
    """The timeout, limited to the longest one that locks accept.

    Raises TypeError if it is not a number, and ValueError if it is negative or NaN.
    """
    if not isinstance(timeout, (int, float)):
        raise TypeError(f"a timeout is a number of seconds, or math.inf for no end, not {type(timeout).__name__}")
    if not timeout >= 0:
        raise ValueError(f"a timeout is 0 seconds or more, not {timeout}")
    return min(timeout, threading.TIMEOUT_MAX)
