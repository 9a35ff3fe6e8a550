"""How far something is, in words."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Amount"]

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True, slots=True)
class Amount:
    """How far something is.

    Attributes:
        done: how much is done.
        total: how much there is; None if that is not known.
        unit: what is counted, such as "entries".
        size: the bytes of all of it; None if they are not known.
        seconds: how long it has taken so far.
    """

    done: int
    total: int | None
    unit: str
    size: int | None
    seconds: float

    @property
    def part(self) -> float | None:
        """The part that is done, from 0 to 1; None if that is not known."""
        return min(self.done / self.total, 1.0) if self.total else None

    def counted(self) -> str:
        """What is done, and how much there is.

        >>> Amount(1200, 4800, "pages", 20_000_000, 3.0).counted()
        '1,200 of 4,800 pages, 5.0 of 20.0 MB'
        """
        if self.total is None:
            return f"{self.done:,} {self.unit}"
        counted = f"{self.done:,} of {self.total:,} {self.unit}"
        if self.size is None or self.part is None:
            return counted
        unit = min(len(f"{self.size:d}") - 1, 3 * len(_UNITS) - 1) // 3
        done, size = (value / 1_000**unit for value in (self.part * self.size, self.size))
        return f"{counted}, {done:,.{1 if unit else 0}f} of {size:,.{1 if unit else 0}f} {_UNITS[unit]}"

    def left(self) -> str:
        """How long it will probably take yet; how long it has taken, if that cannot be told.

        >>> Amount(1, 4, "pages", None, 10.0).left(), Amount(5, None, "entries", None, 75.0).left()
        ('0:00:30 left', '0:01:15')
        """
        if not self.part:
            return _clock(self.seconds)
        return f"{_clock(self.seconds * (1 - self.part) / self.part)} left"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
