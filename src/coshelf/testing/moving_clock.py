"""A clock that tests move, in the place of the one by which entries expire."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from coshelf.system import clock

__all__ = ["MovingClock"]

_START = 1_800_000_000_000_000


class MovingClock:
    """Stands still until it is moved. As long as it runs, the whole process goes by it.

    >>> import coshelf
    >>> with MovingClock() as clock, coshelf.open("memory:") as shelf:
    ...     shelf.set("a", 1, expire=60)
    ...     clock.pass_by(59)
    ...     left = len(shelf)
    ...     clock.pass_by(1)
    ...     left, len(shelf)
    (1, 0)
    """

    def __init__(self) -> None:
        self._now = _START
        self._real = clock.now

    def now(self) -> int:
        """Microseconds since 1970."""
        return self._now

    def pass_by(self, seconds: float) -> None:
        """Move the clock on, or with a negative number back."""
        self._now += round(seconds * 1_000_000)

    def start(self) -> None:
        """Take the place of the real clock."""
        clock.now = self.now

    def stop(self) -> None:
        """Give the place back to the real clock."""
        clock.now = self._real

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
