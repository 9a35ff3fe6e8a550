"""Which cached values were handed to which threads: a cache must not forget what another thread may change."""

from __future__ import annotations

import sys
from collections.abc import Hashable
from threading import get_ident
from time import monotonic

__all__ = ["Holders"]

_LONGEST = 60.0
"""Seconds after which a thread that neither synced nor asked again has released a value, so that caches shrink."""


class Holders:
    """The keys that each thread has asked for since it last synced.

    Between ``shelf["l"]`` and ``.append(1)`` nothing tells of the change to come, so that a value which another thread
    has must stay the one object for its key. Whoever uses it holds a lock meanwhile.
    """

    def __init__(self) -> None:
        self._asked: dict[Hashable, dict[int, float]] = {}

    def note(self, key: Hashable) -> None:
        """This thread asks for the value of a key. To be called before the cache is looked at."""
        threads = self._asked.get(key)
        if threads is None:
            threads = self._asked[key] = {}
        threads[get_ident()] = monotonic()

    def release(self, key: Hashable) -> bool:
        """This thread has written what it changed; return whether another one may still change the value."""
        threads = self._asked.get(key)
        if threads is None:
            return False
        threads.pop(get_ident(), None)
        if threads:
            alive = sys._current_frames()  # noqa: SLF001 (public, whatever its name says)
            oldest = monotonic() - _LONGEST
            for thread, asked in list(threads.items()):
                if thread not in alive or asked < oldest:
                    del threads[thread]
        if not threads:
            del self._asked[key]
        return bool(threads)

    def release_all(self) -> set[Hashable]:
        """As :meth:`release`, of all keys; return those that others may still change."""
        return {key for key in list(self._asked) if self.release(key)}
