"""What is stored for a rate limit, and the steps that change it. Both storages run the same steps.

A step is one transaction on one entry, so it works on every engine whose entries can expire.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from math import floor
from typing import Any

from coshelf.contrib.keys import short
from coshelf.mapping.transaction import Transaction

__all__ = ["MovingHit", "SlidingHit", "SlidingWindow", "fixed_key", "moving_key", "moving_window", "sliding_key"]


def fixed_key(key: str) -> str:
    """The key of the counter of a fixed window."""
    return f"fixed/{short(key)}"


def moving_key(key: str) -> str:
    """The key of the hits of a moving window."""
    return f"moving/{short(key)}"


def sliding_key(key: str, expiry: int) -> str:
    """The key of the two counters of a sliding window."""
    return f"sliding/{expiry}/{short(key)}"


@dataclass(frozen=True, slots=True)
class MovingHit:
    """Adds hits to a moving window if the limit allows it.

    The entry is an array of doubles: the time of some hits, their number, the time of the next hits, and so on. It
    expires when its last hit has left the window.

    Attributes:
        key: the key of the entry.
        limit: how many hits a window may have.
        expiry: the length of the window in seconds.
        amount: how many hits to add: all of them, or none.
    """

    key: str
    limit: int
    expiry: int
    amount: int

    def is_refused(self, stored: bytes | None) -> bool:
        """Whether there are too many hits in the window already."""
        recent = _recent(stored, time.time() - self.expiry)
        return _number(recent) + self.amount > self.limit

    def __call__(self, transaction: Transaction[str, Any]) -> bool:
        # The clock is read while no other process can write, so the times are in order.
        now = time.time()
        recent = _recent(transaction.get(self.key), now - self.expiry)
        if _number(recent) + self.amount > self.limit:
            return False
        if len(recent) and recent[-2] >= now:  # the clock was put back, or two hits are of the same microsecond
            recent[-1] += self.amount
        else:
            recent.extend((now, self.amount))
        transaction.set(self.key, recent.tobytes(), expire=recent[-2] + self.expiry - now)
        return True


def moving_window(stored: bytes | None, expiry: int) -> tuple[float, int]:
    """The time of the first hit in the window, and the number of hits. Without hits, the time is now."""
    now = time.time()
    recent = _recent(stored, now - expiry)
    return (recent[0], _number(recent)) if len(recent) else (now, 0)


def _recent(stored: bytes | None, since: float) -> array[float]:
    hits = array("d", stored or b"")
    return hits[2 * bisect_left(hits[::2], since) :]


def _number(hits: array[float]) -> int:
    return int(sum(hits[1::2]))


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """The hits in the current window and in the one before. Windows begin at multiples of their length in Unix time.

    Attributes:
        index: the number of the current window.
        previous: hits in the window before.
        current: hits in the current window.
    """

    index: int
    previous: int
    current: int

    @classmethod
    def of(cls, stored: tuple[int, int, int] | None, expiry: int, now: float) -> SlidingWindow:
        """What is stored, as seen from the window in which ``now`` is."""
        index = int(now // expiry)
        last, previous, current = stored or (index, 0, 0)
        if last == index - 1:
            return cls(index, current, 0)
        if last < index:
            return cls(index, 0, 0)
        return cls(last, previous, current)  # greater than index if the clock was put back

    def weighted(self, expiry: int, now: float) -> float:
        """The hits in the last ``expiry`` seconds, if those of the window before were spread evenly."""
        return self.previous * _remaining(expiry, now) / expiry + self.current

    def told(self, expiry: int, now: float) -> tuple[int, float, int, float]:
        """As ``get_sliding_window`` returns it: hits and remaining seconds of both windows."""
        remaining = _remaining(expiry, now)
        return self.previous, remaining if self.previous else 0.0, self.current, remaining + expiry


@dataclass(frozen=True, slots=True)
class SlidingHit:
    """Adds hits to a sliding window if the limit allows it.

    The entry is a tuple of three numbers, as :class:`SlidingWindow` has them. It expires with the window after the
    current one.

    Attributes:
        key: the key of the entry.
        limit: how many hits a window may have.
        expiry: the length of the window in seconds.
        amount: how many hits to add: all of them, or none.
    """

    key: str
    limit: int
    expiry: int
    amount: int

    def is_refused(self, stored: tuple[int, int, int] | None) -> bool:
        """Whether the limit does not allow the hits now."""
        now = time.time()
        return self._is_too_much(SlidingWindow.of(stored, self.expiry, now), now)

    def __call__(self, transaction: Transaction[str, Any]) -> bool:
        now = time.time()
        window = SlidingWindow.of(transaction.get(self.key), self.expiry, now)
        if self._is_too_much(window, now):
            return False
        value = (window.index, window.previous, window.current + self.amount)
        transaction.set(self.key, value, expire=(window.index + 2) * self.expiry - now)
        return True

    def _is_too_much(self, window: SlidingWindow, now: float) -> bool:
        return floor(window.weighted(self.expiry, now)) + self.amount > self.limit


def _remaining(expiry: int, now: float) -> float:
    return expiry - now % expiry
