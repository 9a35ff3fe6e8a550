"""How a result backend waits: until a commit of any process changes what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any

from coshelf.errors import WaitTimeout
from coshelf.mapping.shelf import Shelf

__all__ = ["Pause", "changes"]


class Pause:
    """The pauses of one wait: how long each may be, and what is due between them.

    Args:
        timeout: seconds that all pauses may take together; None: there is no limit.
        interval: seconds of one pause, if something is due after each.
        on_interval: called before each pause.
        error: raised when the time is over.
        most: after how many pauses the wait ends without an error. None and 0: there is no limit.
    """

    def __init__(
        self,
        timeout: float | None,
        interval: float | None,
        on_interval: Callable[[], Any] | None,
        error: type[Exception],
        most: int | None = None,
    ) -> None:
        self._timeout = timeout
        self._end = None if timeout is None else time.monotonic() + timeout
        self._interval = (0.5 if interval is None else interval) if on_interval or most else None
        self._on_interval = on_interval
        self._error = error
        self._most = most or 0
        self._count = 0

    @property
    def is_last(self) -> bool:
        """Whether there have been as many pauses as there may be."""
        return 0 < self._most <= self._count

    def seconds(self) -> float | None:
        """Begin a pause. Return how long it may be; None: until something changes."""
        self._count += 1
        if self._on_interval is not None:
            self._on_interval()
        if self._end is None:
            return self._interval
        left = self._end - time.monotonic()
        if left <= 0:
            raise self._error(f"the operation timed out after {self._timeout} s")
        return left if self._interval is None else min(left, self._interval)

    def until_changed(self, shelf: Shelf[str, Any], key: str, since: int | str) -> None:
        """Pause until a commit after the version ``since`` has changed the entry."""
        with suppress(WaitTimeout, KeyError):
            shelf.wait(key, self.seconds(), since=since)


def changes(shelf: Shelf[str, Any], wanted: Mapping[str, Any], pause: Pause) -> Iterator[AbstractSet[str]]:
    """Give the keys to look at: all that are wanted, and then those that commits change, until none is wanted.

    Args:
        shelf: the part with the results.
        wanted: the keys. The caller removes those that it does not wait for any more.
        pause: how long to wait.
    """
    yield set(wanted)
    if not wanted:
        return
    with shelf.watch(start=min(wanted), stop=max(wanted) + "\0", latest=True) as watch:
        yield set(wanted)  # what came before the watch began
        while wanted and not pause.is_last:
            change = watch.next(pause.seconds())
            if change is None or change.kind == "gap":
                yield set(wanted)
            elif change.key in wanted:
                yield {change.key}
