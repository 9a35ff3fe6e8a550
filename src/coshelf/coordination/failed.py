"""The items of a queue that were given to takers too often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from coshelf.coordination.items import Items, Overtaken

__all__ = ["Failed", "FailedItem"]

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class FailedItem(Generic[V]):
    """An item that has failed.

    Attributes:
        value: the item.
        error: what ended its last delivery, in words.
        attempts: how often it was given to a taker.
    """

    value: V
    error: str
    attempts: int


class Failed(Generic[V]):
    """A view of the items of a queue that have failed, in the order of the queue.

    >>> import coshelf
    >>> jobs = coshelf.open("memory:").queue("jobs", attempts=1)
    >>> jobs.put("a")
    >>> with jobs.take() as job:
    ...     raise ValueError("no such file")
    Traceback (most recent call last):
    ValueError: no such file
    >>> [(item.value, item.error) for item in jobs.failed]
    [('a', 'ValueError: no such file')]
    >>> jobs.failed.retry(), jobs.get()
    (1, 'a')
    """

    def __init__(self, items: Items) -> None:
        self._items = items

    def __iter__(self) -> Iterator[FailedItem[V]]:
        items = self._items
        reader = items.ground.reader()
        for item in items.rows.items(reader, "failed"):
            try:
                value = items.value(item, reader)
            except Overtaken:  # it has been retried or removed since
                continue
            yield FailedItem(value, item.state.error, item.state.attempts)

    def __len__(self) -> int:
        return self._items.rows.count(self._items.ground.reader(), "failed")

    def retry(self) -> int:
        """Put all of them back into their places in the queue, as if they had never been taken. Return how many."""
        items = self._items
        overlay = items.ground.joined()
        count = 0
        for item in list(items.rows.items(overlay or items.ground.engine, "failed")):
            state = replace(item.state, kind="available", attempts=0, error="")
            count += items.change(item, state, overlay) is not None
        if count:
            items.ground.afterwards(items.tell_put)
        return count

    def clear(self) -> None:
        """Remove them for good."""
        self._items.remove_all(("failed",), self._items.ground.joined())
