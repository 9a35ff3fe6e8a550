"""Lines of turns, whose bell rings at the commits themselves."""

from __future__ import annotations

from collections.abc import Callable

from coshelf.contract import Engine
from coshelf.engines.leases.lines import Lines

__all__ = ["RedisLines"]


class RedisLines(Lines):
    """The lines of a shelf on Redis.

    Args:
        engine: the engine.
        ring: rings the bell of lines and queues without a commit.
    """

    rings_at_commits = True

    def __init__(self, engine: Engine, ring: Callable[[], None]) -> None:
        super().__init__(engine)
        self._ring = ring

    def ring(self, name: bytes) -> None:
        self._ring()
