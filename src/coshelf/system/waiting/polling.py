"""Waits for descriptors by ``poll``, or by ``select`` where there is none (Windows, where it knows only sockets)."""

from __future__ import annotations

import select
from collections.abc import Iterable

from coshelf.system.threads.cooperation import original

__all__ = ["has_failed", "longest", "readable"]

longest = 3600.0
"""Seconds of one wait: poll takes milliseconds as an int."""


def readable(descriptors: Iterable[int], timeout: float | None, *, unpatched: bool = False) -> set[int]:
    """Wait until some of the descriptors can be read, or have ended. Return these; empty after ``timeout`` seconds.

    No wait is longer than :data:`longest`, also with None. ``unpatched``: wait in the thread, also with gevent.
    """
    seconds = longest if timeout is None else min(max(0.0, timeout), longest)
    if hasattr(select, "poll"):
        poll = original("select", "poll")() if unpatched else select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        return {descriptor for descriptor, _ in poll.poll(int(seconds * 1000) + (seconds > 0))}
    call = original("select", "select") if unpatched else select.select
    found: list[int] = call(list(descriptors), [], [], seconds)[0]
    return set(found)


def has_failed(descriptor: int) -> bool:
    """Whether nobody reads any more what is written to a pipe. False where that cannot be told without writing."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(happened & select.POLLERR for _, happened in poll.poll(0))
