"""An item that is taken for a block: done at its end, or back in the queue."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from queue import Empty
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from coshelf.coordination.ground import Writable
from coshelf.coordination.items import Items
from coshelf.coordination.queue_rows import Item, with_error
from coshelf.errors import CoshelfError, TurnLost
from coshelf.system.threads.participants import current_party, current_task

__all__ = ["Taking"]

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)

_SECOND = 1_000_000
_LONGEST_ERROR = 2_000


class Source(Protocol[V_co]):
    """The queue that items are taken from.

    Attributes:
        items: its items.
    """

    items: Items

    def taken(self, delivery: int, block: bool, timeout: float | None, lease: float | None) -> tuple[Item, V_co]:
        """The first item, which now is taken, and its value."""
        ...

    def return_delivery(self, delivery: int) -> None:
        """Give an item back whose taking was interrupted, if there is one."""
        ...


class Taking(Generic[V]):
    """What ``queue.take()`` returns, for a ``with`` block. The block gets the item's value.

    >>> import coshelf
    >>> jobs = coshelf.open("memory:").queue("jobs")
    >>> jobs.put("a")
    >>> taking = jobs.take()
    >>> with taking as job:
    ...     job, taking.attempt
    ('a', 1)
    """

    def __init__(self, queue: Source[V], block: bool, timeout: float | None, lease: float | None) -> None:
        self._queue = queue
        self._wanted = (block, timeout, lease)
        self._item: Item | None = None
        self._pid = self._delivery = 0
        self._is_done = False
        self.owner: object = None

    @property
    def attempt(self) -> int:
        """How often the item has been given to a taker, this time included."""
        return self._taken().state.attempts

    @property
    def head(self) -> bytes:
        """What the rows of its queue begin with."""
        return self._queue.items.rows.head

    def _taken(self) -> Item:
        if self._item is None:
            raise RuntimeError("no item is taken now: this is for the inside of the with block")
        return self._item

    def is_mine(self) -> bool:
        """Whether this task has taken an item with it."""
        return self._item is not None and self.owner == _this_task()

    def extend(self, lease: float) -> None:
        """Let the item come back ``lease`` seconds from now, if it is not done by then.

        Raises TurnLost if it is back in the queue already.
        """
        queue, item = self._queue, self._current()
        until = queue.items.ground.engine.now() + round(lease * _SECOND)
        state = replace(item.state, until=until)
        version = queue.items.change(item, state, queue.items.ground.joined())
        if version is None:
            raise self._lost()
        self._item = replace(item, version=version, state=state)

    def done(self) -> None:
        """Remove the item for good, before the end of the block. As ``queue.done()``."""
        overlay = self._queue.items.ground.joined()
        if self._is_done and overlay is None:
            return
        if not self._queue.items.remove(self._current(overlay), overlay):
            raise self._lost()
        self._is_done = True

    def _current(self, overlay: Writable | None = None) -> Item:
        """The item as its row is now. Raises TurnLost if that is another delivery."""
        taken = self._taken()
        reader = overlay or self._queue.items.ground.engine
        entry = reader.get(taken.row)
        if entry is not None:
            item = self._queue.items.rows.item(taken.row, entry)
            if _delivery(item) == _delivery(taken):
                return item
        raise self._lost()

    def _lost(self) -> TurnLost:
        return TurnLost(
            f"an item of the queue {self._queue.items.rows.name!r} was not done in time, and went back to the queue: "
            "another taker may have it\n  hint: take it with a longer lease, or call extend() in time"
        )

    # --- the block ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> V:
        if self._item is not None:
            raise RuntimeError("an item is taken already: call take() for each block")
        takers = self._queue.items.ground.takers
        self.owner, self._pid, self._is_done = _this_task(), os.getpid(), False
        takers.begin()
        self._delivery = delivery = takers.delivery()
        takers.held[delivery] = self
        try:
            self._item, value = self._queue.taken(delivery, *self._wanted)
            return value
        except Empty:
            self._forget()
            raise
        except BaseException:
            self._forget()
            self._queue.return_delivery(delivery)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._item is None or self._pid != os.getpid():
            return
        try:
            if error is None:
                self._finish()
            else:
                self._give_back(f"{type(error).__name__}: {error}"[:_LONGEST_ERROR])
        except TurnLost:
            raise
        except BaseException as interrupt:
            self._give_back(f"{type(interrupt).__name__}: {interrupt}"[:_LONGEST_ERROR])
            raise
        finally:
            self._forget()

    def _finish(self) -> None:
        """Remove the item at the end of the block, unless :meth:`done` did."""
        queue, item = self._queue, self._taken()
        overlay = queue.items.ground.joined()
        if overlay is None and queue.items.remove(item, None):
            return
        try:
            self.done()
        except TurnLost:
            if not self._is_done:
                raise

    def _give_back(self, error: str) -> None:
        queue = self._queue
        with suppress(TurnLost):  # another taker has it, or it was done before the error
            overlay = queue.items.ground.joined()
            item = self._current(overlay)
            queue.items.change(item, with_error(item, error, queue.items.attempts), overlay)
            queue.items.ground.afterwards(queue.items.tell_put)

    def _forget(self) -> None:
        self._item = None
        self._queue.items.ground.takers.held.pop(self._delivery, None)

    def __del__(self) -> None:
        if getattr(self, "_item", None) is not None and self._pid == os.getpid():
            # An interrupt came between the taking and the block, or between the block and the end. At the interpreter's
            # end names may be missing; then the end of the process gives the item back.
            with suppress(CoshelfError, NameError, AttributeError, TypeError, ImportError):
                self._give_back("its block did not end")


def _delivery(item: Item) -> tuple[object, ...]:
    return item.state.kind, item.state.taker, item.state.delivery


def _this_task() -> object:
    return current_party(), current_task()
