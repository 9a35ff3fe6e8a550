"""Queues that all processes share. docs/coordination.md says what is promised."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import Empty, Full
from typing import Any, Generic, TypeVar

from coshelf.contract import Doorbell, Reader
from coshelf.coordination import queue_lines
from coshelf.coordination.failed import Failed
from coshelf.coordination.ground import Ground, Writable
from coshelf.coordination.items import Items, Overtaken
from coshelf.coordination.names import QUEUES, line_name
from coshelf.coordination.queue_rows import Item, QueueRows, State
from coshelf.coordination.taking import Taking
from coshelf.errors import CoshelfError, TransactionInProgress, WaitTimeout
from coshelf.keys import encode
from coshelf.screen import plain
from coshelf.system.waiting.timeouts import usable_timeout

__all__ = ["ATTEMPTS", "Queue"]

V = TypeVar("V")

ATTEMPTS = 5
"""After how many deliveries an item has failed, unless another number is given."""

_PUT, _ROOM, _TAKERS, _PUTTERS = "puts", "space", "takers", "putters"
_SECOND = 1_000_000
_SOON = 0.1  # seconds
_LONGEST_DELAY = 100 * 365 * 86400  # seconds


class Queue(Generic[V]):
    """A queue that all processes share, from :meth:`coshelf.Shelf.queue`. Each item is given to one taker.

    Items with a smaller priority come first, and of one priority those that were put first. Inside a transaction of the
    shelf, all calls are part of it, and none waits.

    >>> import coshelf
    >>> jobs = coshelf.open("memory:").queue("jobs")
    >>> jobs.put("mow the lawn")
    >>> jobs.put("put out the fire", priority=-1)
    >>> with jobs.take() as job:
    ...     job
    'put out the fire'
    >>> jobs.get(), len(jobs)
    ('mow the lawn', 0)
    """

    def __init__(self, ground: Ground, name: str, maxsize: int, attempts: int | None) -> None:
        if isinstance(maxsize, bool) or not isinstance(maxsize, int):
            raise TypeError(f"maxsize is a number of items, not {type(maxsize).__name__}")
        if attempts is not None and (isinstance(attempts, bool) or not isinstance(attempts, int)):
            raise TypeError(f"attempts is a number or None, not {type(attempts).__name__}")
        if attempts is not None and attempts < 1:
            raise ValueError(f"attempts is 1 or more, or None for no limit, not {attempts}")
        self.ground = ground
        self.rows = QueueRows(name, ground.engine.capabilities)
        self.maxsize = max(maxsize, 0)
        self.name = name
        lines = (_PUT, _ROOM, _TAKERS, _PUTTERS)
        self._lines = {what: line_name(QUEUES, encode((name, what))) for what in lines}
        self.items = Items(ground, self.rows, attempts or 0, self._lines[_PUT])

    def __repr__(self) -> str:
        return plain(f"<Queue {self.name!r} of {self.ground.engine.where!r}>")

    def _repr_html_(self) -> str:
        from coshelf.coordination.showing import facts_as_html, lengths

        engine, is_inside = self.ground.engine, self.ground.is_inside

        def tell() -> list[tuple[str, Any]]:
            # Not the transaction of this task: its commit would check what is read here.
            counted = lengths(self.rows, engine)
            limits = [("maxsize", self.maxsize or None), ("before the transaction", True if is_inside else None)]
            return [*(counted or [("items", 0)]), *limits]

        return facts_as_html(repr(self)[1:-1], tell, waits=not engine.reads_at_once)

    # --- putting -----------------------------------------------------------------------------------------------------

    def put(
        self, item: V, priority: float = 0, delay: float = 0, block: bool = True, timeout: float | None = None
    ) -> None:
        """Put an item into the queue, in one commit.

        Args:
            item: any value that the shelf can store.
            priority: an item with a smaller number comes first.
            delay: seconds for which no taker gets the item, by the engine's clock. Its place is that of the put.
            block: whether to wait while the queue has ``maxsize`` items.
            timeout: for how many seconds to wait at most. None: there is no limit.

        Raises:
            queue.Full: the queue has ``maxsize`` items, and did not get shorter in time. Inside a transaction nothing
                waits.
            UnwritableValue: the item cannot be stored.
        """
        self._put(lambda overlay: self.items.put(item, priority, _usable(delay), overlay), 1, block, timeout)

    def put_nowait(self, item: V, priority: float = 0, delay: float = 0) -> None:
        """As :meth:`put` with ``block=False``."""
        self.put(item, priority, delay, block=False)

    def put_many(
        self,
        items: Iterable[V],
        priority: float = 0,
        delay: float = 0,
        block: bool = True,
        timeout: float | None = None,
    ) -> None:
        """Put several items in their order, in one commit, or wait until there is space for all. As :meth:`put`.

        >>> import coshelf
        >>> jobs = coshelf.open("memory:").queue("jobs")
        >>> jobs.put_many(["a", "b"])
        >>> jobs.get(), jobs.get()
        ('a', 'b')
        """
        values = list(items)
        if self.maxsize and len(values) > self.maxsize:
            raise Full(f"{len(values)} items never fit into the queue {self.name!r}, whose maxsize is {self.maxsize}")
        if values:
            wanted = _usable(delay)
            self._put(
                lambda overlay: self.items.put_many(values, priority, wanted, overlay), len(values), block, timeout
            )

    def _put(self, step: Callable[[Writable | None], None], count: int, block: bool, timeout: float | None) -> None:
        overlay = self.ground.joined()
        if self.maxsize:
            self._put_within(step, count, overlay, block, timeout)
        else:
            step(overlay)
        if overlay is None:
            self.items.tell_put()
        else:
            self.ground.afterwards(self.items.tell_put)

    def _put_within(
        self,
        step: Callable[[Writable | None], None],
        count: int,
        overlay: Writable | None,
        block: bool,
        timeout: float | None,
    ) -> None:
        """Put if there is space. Those who put have turns, so that no two of them take the same space."""

        def is_full() -> bool:
            return self._size(overlay or self.ground.engine) + count > self.maxsize

        def look() -> bool | None:
            if is_full():
                return None
            step(overlay)
            return True

        if overlay is not None:
            if look() is None:
                raise self._full()
            return
        engine, end = self.ground.engine, _end(block, timeout)
        with queue_lines.in_line(engine, self._line(_PUTTERS), end, is_full) as has_turn:
            if not has_turn or queue_lines.until(self._bell(_ROOM), look, end) is None:
                raise self._full()

    def _full(self) -> Full:
        return Full(f"the queue {self.name!r} has {self.maxsize} items, its maxsize")

    # --- taking ------------------------------------------------------------------------------------------------------

    def get(self, block: bool = True, timeout: float | None = None) -> V:
        """Remove the first item and return it. If the process dies then, the item is gone; see :meth:`take`.

        Args:
            block: whether to wait for an item.
            timeout: for how many seconds to wait at most. None: there is no limit.

        Raises queue.Empty if there is no item in time. Inside a transaction nothing waits.
        """
        overlay = self.ground.joined()
        found: tuple[V] = self._first(lambda: self._got(overlay), overlay, block, timeout)
        self._tell_room(overlay)
        return found[0]

    def get_nowait(self) -> V:
        """As :meth:`get` with ``block=False``."""
        return self.get(block=False)

    def take(self, block: bool = True, timeout: float | None = None, lease: float | None = None) -> Taking[V]:
        """Take the first item for a ``with`` block, which gets the item. At the end of the block it is done.

        If the block raises, or the process dies, the item goes back to its place in the queue. Inside a transaction,
        the block has to end before the transaction.

        Args:
            block: whether to wait for an item.
            timeout: for how many seconds to wait at most. None: there is no limit.
            lease: seconds after which the item goes back although the process lives. None: there is no limit.

        Returns:
            What is used with ``with``. It has ``attempt``, how often the item was taken, ``extend(lease)``, and
            ``done()``.

        Raises:
            queue.Empty: at the beginning of the block, if there is no item in time.
            TurnLost: at the end of the block, if the item went back before, because its lease ended.
        """
        return Taking(self, block, timeout, None if lease is None else _usable(lease))

    def done(self) -> None:
        """Inside the block of :meth:`take`, say that its item is done. Inside a transaction, this is part of it.

        So the item is removed in the same commit in which its result is stored.

        >>> import coshelf
        >>> shelf = coshelf.open("memory:")
        >>> jobs = shelf.queue("jobs")
        >>> jobs.put(4)
        >>> with jobs.take() as job, shelf.transaction():
        ...     shelf["result"] = job * job
        ...     jobs.done()
        >>> shelf["result"], len(jobs)
        (16, 0)
        """
        for taking in reversed(list(self.ground.takers.held.values())):
            if taking.head == self.rows.head and taking.is_mine():
                taking.done()
                return
        raise RuntimeError(f"done() is for the inside of a block of take(), of the queue {self.name!r}")

    def _first(self, look: Callable[[], Any], overlay: Writable | None, block: bool, timeout: float | None) -> Any:
        """What ``look`` returns, as soon as that is not None. Raises Empty."""
        end = _end(block, timeout)
        self.items.bring_back(overlay)
        found = look()  # before the line: most calls need not wait
        if found is None and self.items.bring_back(overlay, at_once=True):
            found = look()
        if found is None and overlay is None and (end is None or end > time.monotonic()):
            found = self._wait(look, end)
        if found is None:
            raise Empty(f"the queue {self.name!r} has no item to take")
        return found

    def _wait(self, look: Callable[[], Any], end: float | None) -> Any:
        def look_again() -> Any:
            self.items.bring_back(None, at_once=self.items.is_behind)
            return look()

        engine, takers = self.ground.engine, self.ground.takers
        with takers.noticing(), queue_lines.in_line(engine, self._line(_TAKERS), end) as has_turn:
            if not has_turn:
                return None
            self.items.bring_back(None, at_once=True)  # and have the ends of their takers noticed
            return queue_lines.until(self._bell(_PUT), look_again, end, self._until_due)

    def _until_due(self) -> float:
        """For how many seconds to wait at most: until the first delay is over."""
        due = self.rows.first_due(self.ground.engine)
        longest = _SOON if self.items.is_behind else queue_lines.LOOK
        if due is None:
            return longest
        return min(longest, max(due - self.ground.engine.now(), 0) / _SECOND)

    def _got(self, overlay: Writable | None) -> tuple[V] | None:
        """The value of the first item, which is removed."""
        if overlay is None and self.rows.moves and self.ground.writes_plainly:
            engine = self.ground.engine
            done = engine.quick_take(self.rows.start, self.rows.stop, None, b"")
            if done is None:
                return None
            if done is not NotImplemented:
                if done[3]:
                    engine.stored()
                return (done[1],)
        reader: Reader = overlay or self.ground.engine

        def step(item: Item) -> tuple[V] | None:
            value = self.items.value(item, reader)
            return (value,) if self.items.remove(item, overlay) else None

        found: tuple[V] | None = self.items.with_first(step, overlay)
        return found

    def taken(self, delivery: int, block: bool, timeout: float | None, lease: float | None) -> tuple[Item, V]:
        """The first item, which now is taken, and its value. For :class:`~coshelf.coordination.taking.Taking`."""
        overlay = self.ground.joined()
        found: tuple[Item, V] = self._first(lambda: self._take(delivery, lease, overlay), overlay, block, timeout)
        self._tell_room(overlay)
        return found

    def _take(self, delivery: int, lease: float | None, overlay: Writable | None) -> tuple[Item, V] | None:
        engine, rows = self.ground.engine, self.rows
        # Others never see an item that is taken and done inside a transaction.
        taker = self.ground.takers.row() if overlay is None else b""
        until = 0 if lease is None else engine.now() + round(lease * _SECOND)
        if overlay is None and rows.moves and self.ground.writes_plainly:
            state = State("taken", 1, taker, delivery, until)
            done = engine.quick_take(rows.start, rows.stop, rows.taken, state.told())
            if done is None:
                return None
            if done is not NotImplemented:
                row, value, version, is_left = done
                if is_left:
                    engine.stored()
                return Item(row, row[len(rows.taken) :], version, state), value
        reader: Reader = overlay or engine

        def step(item: Item) -> tuple[Item, V] | None:
            value = self.items.value(item, reader)
            state = rows.newly_taken(taker, delivery, until, item.state)
            version = self.items.change(item, state, overlay)
            if version is None:
                return None
            return Item(rows.row_of(state, item.place), item.place, version, state), value

        found: tuple[Item, V] | None = self.items.with_first(step, overlay)
        return found

    def return_delivery(self, delivery: int) -> None:
        """Give an item back whose taking was interrupted, if there is one. For
        :class:`~coshelf.coordination.taking.Taking`.
        """
        with suppress(CoshelfError):  # the interrupt is what the caller is told
            self.items.return_delivery(self.ground.takers.row(), delivery)
            self.items.tell_put()

    # --- what is in it -----------------------------------------------------------------------------------------------

    def peek(self) -> V:
        """The item that is taken next, which stays in the queue. Raises queue.Empty."""
        reader = self.ground.reader()
        while (item := self.items.next(reader)) is not None:
            with suppress(Overtaken):
                value: V = self.items.value(item, reader)
                return value
        raise Empty(f"the queue {self.name!r} has no item to take")

    def qsize(self) -> int:
        """How many items are in the queue: those that can be taken, and those that are delayed."""
        return self._size(self.ground.reader())

    def _size(self, reader: Reader) -> int:
        return self.rows.count(reader, "available", "delayed")

    def __len__(self) -> int:
        return self.qsize()

    def __bool__(self) -> bool:
        return True  # as queue.Queue, whose truth does not depend on its size

    def empty(self) -> bool:
        """Whether the queue has no items, delayed ones included."""
        return self.qsize() == 0

    def full(self) -> bool:
        """Whether the queue has ``maxsize`` items."""
        return 0 < self.maxsize <= self.qsize()

    def clear(self) -> None:
        """Remove all items that are in the queue. Those that are taken stay with their takers, and failed ones stay."""
        overlay = self.ground.joined()
        self.items.remove_all(("available", "delayed"), overlay)
        self._tell_room(overlay)

    @property
    def failed(self) -> Failed[V]:
        """The items that were given to takers ``attempts`` times and never done."""
        return Failed(self.items)

    def join(self, timeout: float | None = None) -> None:
        """Wait until all items have been taken and done. Items that have failed count as done.

        Raises WaitTimeout after ``timeout`` seconds. None: there is no limit.
        """
        engine, end = self.ground.engine, _end(True, timeout)
        if self.ground.joined() is not None:
            raise TransactionInProgress("join() waits for other processes, and cannot be part of a transaction")

        def look() -> bool | None:
            self.items.bring_back(None)
            return None if self.rows.count(engine, "available", "delayed", "taken") else True

        if queue_lines.until(engine.doorbell(self.rows.start), look, end) is None:  # such waits are rare
            raise WaitTimeout(f"join(): the queue {self.name!r} still had items after {timeout:g} s")

    # --- bells -------------------------------------------------------------------------------------------------------

    def _line(self, what: str) -> bytes:
        return self._lines[what]

    def _bell(self, what: str) -> Doorbell:
        return queue_lines.bell_of(self.ground.engine, self._lines[what], self.rows.start)

    def _tell_room(self, overlay: Writable | None) -> None:
        """Wake a waiting putter: there is space."""
        if not self.maxsize:
            return

        def tell() -> None:
            queue_lines.ring_after_commit(self.ground.engine, self._lines[_ROOM])

        if overlay is None:
            tell()
        else:
            self.ground.afterwards(tell)


def _usable(seconds: float) -> float:
    """A delay or lease. Raises TypeError and ValueError for what is none."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"a delay or lease is a number of seconds, not {type(seconds).__name__}")
    if math.isnan(seconds) or not 0 <= seconds <= _LONGEST_DELAY:
        raise ValueError(f"a delay or lease is 0 to {_LONGEST_DELAY} seconds, not {seconds}")
    return seconds


def _end(block: bool, timeout: float | None) -> float | None:
    """When waiting ends; None: never."""
    if not block:
        return time.monotonic()
    return None if timeout is None else time.monotonic() + usable_timeout(timeout)
