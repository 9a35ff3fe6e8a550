"""The streams of one viewer: how many there are, and how they end with it."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Streams"]

_MOST = 32


class Streams:
    """The streams of one viewer, and values that are being loaded. Each has a thread, so their number has a limit.

    Used by the thread of the event loop alone.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._ends: list[Callable[[], object]] = []
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._ends)

    def begin(self, end: Callable[[], object]) -> bool:
        """Add a stream, or return False if there are too many. ``end`` is called when the viewer ends."""
        if self._is_closed or len(self._ends) == self._most:
            return False
        self._ends.append(end)
        return True

    def leave(self, end: Callable[[], object]) -> None:
        """Remove a stream that has ended."""
        self._ends.remove(end)

    def close(self) -> None:
        """End all streams, and let none begin: the viewer ends."""
        self._is_closed = True
        for end in self._ends.copy():
            end()
