"""Which threads have which cached values: a cache must keep a value that another thread may change."""

from __future__ import annotations

import sys
from collections.abc import Hashable
from threading import get_ident
from time import monotonic

__all__ = ["LONGEST", "Holders"]

LONGEST = 60.0
"""Seconds after which a thread that did not sync or ask again counts as having released a value. So caches shrink."""


class Holders:
    """The keys that each thread has asked for since it last synced.

    Between ``shelf["l"]`` and ``.append(1)`` nothing shows that a change follows. So while another thread has a value,
    that object must stay the only one for its key. A caller of these methods holds a lock.
    """

    def __init__(self) -> None:
        self._asked: dict[Hashable, dict[int, float]] = {}

    def note(self, key: Hashable) -> None:
        """Note that this thread asks for the value of a key. The caller does so before it reads the cache."""
        threads = self._asked.get(key)
        if threads is None:
            threads = self._asked[key] = {}
        threads[get_ident()] = monotonic()

    def release(self, key: Hashable) -> bool:
        """Note that this thread has written its changes; return whether another thread may still change the value."""
        threads = self._asked.get(key)
        if threads is None:
            return False
        threads.pop(get_ident(), None)
        if threads:
            alive = sys._current_frames()  # noqa: SLF001 (public, despite its name)
            oldest = monotonic() - LONGEST
            for thread, asked in list(threads.items()):
                if thread not in alive or asked < oldest:
                    del threads[thread]
        if not threads:
            del self._asked[key]
        return bool(threads)

    def release_all(self) -> set[Hashable]:
        """As :meth:`release`, for all keys; return those whose values other threads may still change."""
        return {key for key in list(self._asked) if self.release(key)}
