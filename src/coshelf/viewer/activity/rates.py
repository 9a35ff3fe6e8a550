"""How fast something grows: the last numbers that were found, as a line."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Curve", "Samples"]

_KEPT = 120


@dataclass(frozen=True, slots=True)
class Curve:
    """Rates over time, for a line in a drawing.

    Attributes:
        rates: seconds before now and events a second, the oldest first.
        points: the same as the points of an SVG polyline, in a box that is ``width`` wide and ``height`` high.
        span: the seconds that the box is wide.
        latest: the last rate; None if there were fewer than two samples.
        highest: the highest rate.
    """

    rates: tuple[tuple[float, float], ...]
    points: str
    span: float
    latest: float | None
    highest: float


class Samples:
    """The last samples of one number that grows.

    >>> samples = Samples()
    >>> for at, number in ((0, 100), (2, 110), (4, 150)):
    ...     samples.add(at, number)
    >>> curve = samples.curve(width=100, height=10, least=4)
    >>> curve.rates, curve.points, curve.latest
    (((2.0, 5.0), (0.0, 20.0)), '50.0,7.5 100.0,0.0', 20.0)
    """

    def __init__(self, most: int = _KEPT) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=most)

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, at: float, number: int) -> None:
        """Keep a sample. ``at`` are seconds of a clock that only grows. A number that is smaller begins anew."""
        if self._samples and at <= self._samples[-1][0]:
            return
        if self._samples and number < self._samples[-1][1]:  # the shelf was made anew, or its counters were
            self._samples.clear()
        self._samples.append((at, number))

    def curve(self, *, width: float, height: float, least: float) -> Curve:
        """All rates. The box ends now, is as high as the highest rate, and is ``least`` seconds wide, or more."""
        if not self._samples:
            return Curve((), "", least, None, 0.0)
        now = self._samples[-1][0]
        rates = tuple(
            (float(now - after), (last - first) / (after - before))
            for (before, first), (after, last) in pairwise(self._samples)
        )
        span = max(least, rates[0][0] if rates else 0.0)
        highest = max((rate for _, rate in rates), default=0.0)
        points = " ".join(
            f"{width * (1 - age / span):.1f},{height * (1 - rate / highest) if highest else height:.1f}"
            for age, rate in rates
        )
        return Curve(rates, points, span, rates[-1][1] if rates else None, highest)
