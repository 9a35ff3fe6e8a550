"""Queues and deques for tasks. Of the tasks of a loop that wait at a queue one looks, and none uses a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from queue import Empty, Full
from types import TracebackType
from typing import Generic, SupportsIndex, TypeVar

import anyio

from coshelf.aio.entries import AsyncReadable
from coshelf.aio.running import is_inside, run, run_to_the_end, write
from coshelf.aio.showing import async_html, async_repr
from coshelf.aio.threads import current_task
from coshelf.aio.turns import has_arrived, line_call
from coshelf.aio.views import Stream
from coshelf.aio.waiting import end_of, name_of, until, waiting_at
from coshelf.coordination.deques import Deque
from coshelf.coordination.failed import FailedItem
from coshelf.coordination.queues import Queue
from coshelf.coordination.taking import Taking
from coshelf.errors import WaitTimeout
from coshelf.mapping.handle import Handle
from coshelf.system.threads.participants import Abandoned, TaskOwner

__all__ = ["AsyncDeque", "AsyncFailed", "AsyncQueue", "AsyncQueueing", "AsyncTaking"]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_ATTEMPTS = 5


class AsyncQueue(Generic[V]):
    """A queue that all processes share, from :meth:`AsyncShelf.queue`. :class:`coshelf.coordination.queues.Queue`
    describes the methods.
    """

    def __init__(self, handle: Handle, queue: Queue[V]) -> None:
        self._handle = handle
        self._queue = queue

    @property
    def name(self) -> str:
        """Its name."""
        return self._queue.name

    @property
    def maxsize(self) -> int:
        """How many items it takes; 0 if there is no limit."""
        return self._queue.maxsize

    # --- putting -----------------------------------------------------------------------------------------------------

    async def put(
        self, item: V, priority: float = 0, delay: float = 0, block: bool = True, timeout: float | None = None
    ) -> None:
        """Put an item into the queue, in one commit. Raises queue.Full."""
        await self._putting(partial(self._queue.put, item, priority, delay, block=False), block, timeout)

    async def put_nowait(self, item: V, priority: float = 0, delay: float = 0) -> None:
        """As :meth:`put` with ``block=False``."""
        await self.put(item, priority, delay, block=False)

    async def put_many(
        self,
        items: Iterable[V],
        priority: float = 0,
        delay: float = 0,
        block: bool = True,
        timeout: float | None = None,
    ) -> None:
        """Put several items in their order, in one commit, or wait until there is space for all. Raises queue.Full."""
        values = list(items)
        blocks = block and not 0 < self.maxsize < len(values)
        await self._putting(partial(self._queue.put_many, values, priority, delay, block=False), blocks, timeout)

    async def _putting(self, put: Callable[[], None], block: bool, timeout: float | None) -> None:
        await self._as_soon_as(partial(write, self._handle, put), Full, None, "space", block, timeout)

    # --- taking ------------------------------------------------------------------------------------------------------

    async def get(self, block: bool = True, timeout: float | None = None) -> V:
        """Remove the first item and return it. Raises queue.Empty.

        A task that is cancelled in the middle of this puts the item back at the end of the queue. See :meth:`take`.
        """
        call = partial(self._taking_out, partial(self._queue.get, block=False), self._queue.put)
        value: V = await self._as_soon_as(call, Empty, "takers", "puts", block, timeout)
        return value

    async def get_nowait(self) -> V:
        """As :meth:`get` with ``block=False``."""
        return await self.get(block=False)

    def take(self, block: bool = True, timeout: float | None = None, lease: float | None = None) -> AsyncTaking[V]:
        """Take the first item for an ``async with`` block, which gets the item. At the end of the block it is done.

        If the block raises, or its task is cancelled, or the process dies, the item goes back to its place.
        """
        return AsyncTaking(self, block, timeout, lease)

    async def done(self) -> None:
        """Inside the block of :meth:`take`, say that its item is done. Inside a transaction, this is part of it."""
        await write(self._handle, self._queue.done)

    async def _taking_out(self, call: Callable[[], T], undo: Callable[[T], object]) -> T:
        return await run(self._handle, call, undo=undo)

    async def _as_soon_as(
        self,
        look: Callable[[], Awaitable[T]],
        missing: type[Exception],
        line: str | None,
        bell: str,
        block: bool,
        timeout: float | None,
    ) -> T:
        """What ``look`` returns, as soon as it does not raise ``missing``. The tasks of the loop look in turn.

        ``line``: in which the looking task waits for its turn among all processes; None if ``look`` does that.
        """
        handle, end = self._handle, end_of(timeout)
        try:
            return await look()
        except missing as found:
            if not block or is_inside(handle, TaskOwner(current_task())) or _left(end) == 0:
                raise
            error = found
        gate = waiting_at(handle, self._queue._line(bell)).gate
        with anyio.move_on_after(_left(end)) as scope:
            await gate.enter(alone=True)
        if scope.cancelled_caught:
            raise error
        try:
            return await self._in_line(look, missing, line, bell, end)
        finally:
            gate.leave(alone=True)

    async def _in_line(
        self,
        look: Callable[[], Awaitable[T]],
        missing: type[Exception],
        line: str | None,
        bell: str,
        end: float | None,
    ) -> T:
        """The same for the task of the loop whose turn it is."""
        handle, queue = self._handle, self._queue
        engine, name = handle.engine, queue._line(bell)
        if line is None:
            return await until(handle, name, queue._bell(bell), look, missing, end)
        if not engine.capabilities.turns:
            return await until(handle, name, queue._bell(bell), look, missing, end, self._longest)
        turns = engine.turns()
        place = await line_call(handle, turns.join, queue._line(line))
        try:
            with queue.ground.takers.noticing():
                if not await has_arrived(handle, place, place.wait, _left(end)):
                    return await look()
                return await until(handle, name, queue._bell(bell), look, missing, end, self._longest)
        finally:
            if engine.capabilities.turns == "lease":
                await run_to_the_end(handle, place.leave, TaskOwner(current_task()))
            else:
                place.leave()

    async def _longest(self) -> float:
        return await run(self._handle, self._queue._until_due)

    # --- what is in it -----------------------------------------------------------------------------------------------

    async def peek(self) -> V:
        """The item that is taken next, which stays in the queue. Raises queue.Empty."""
        return await run(self._handle, self._queue.peek)

    async def qsize(self) -> int:
        """How many items are in the queue: those that can be taken, and those that are delayed."""
        return await run(self._handle, self._queue.qsize)

    async def len(self) -> int:
        """As :meth:`qsize`."""
        return await self.qsize()

    async def empty(self) -> bool:
        """Whether the queue has no items, delayed ones included."""
        return await run(self._handle, self._queue.empty)

    async def full(self) -> bool:
        """Whether the queue has ``maxsize`` items."""
        return await run(self._handle, self._queue.full)

    async def clear(self) -> None:
        """Remove all items that are in the queue. Those that are taken stay with their takers, and failed ones stay."""
        await write(self._handle, self._queue.clear)

    @property
    def failed(self) -> AsyncFailed[V]:
        """The items that were given to takers ``attempts`` times and never done."""
        return AsyncFailed(self._handle, self._queue)

    async def join(self, timeout: float | None = None) -> None:
        """Wait until all items have been taken and done. Raises WaitTimeout after ``timeout`` seconds."""
        handle, queue = self._handle, self._queue
        bell = handle.engine.doorbell(queue.rows.start)
        name = name_of(handle, bell, queue.rows.start)
        try:
            await until(handle, name, bell, lambda: run(handle, queue.join, 0), WaitTimeout, end_of(timeout))
        except WaitTimeout:
            raise WaitTimeout(f"join(): the queue {self.name!r} still had items after {timeout:g} s") from None

    def __repr__(self) -> str:
        return async_repr(self._queue)

    def _repr_html_(self) -> str:
        return async_html(self._queue, at_once=self._handle.engine.reads_at_once)


def _left(end: float | None) -> float:
    """How many seconds are left until the end."""
    return float("inf") if end is None else max(end - anyio.current_time(), 0)


class AsyncTaking(Generic[V]):
    """What :meth:`AsyncQueue.take` returns, for an ``async with`` block. The block gets the item's value."""

    def __init__(self, queue: AsyncQueue[V], block: bool, timeout: float | None, lease: float | None) -> None:
        self._queue = queue
        self._wanted = block, timeout
        self._taking: Taking[V] = queue._queue.take(False, None, lease)

    @property
    def attempt(self) -> int:
        """How often the item has been given to a taker, this time included."""
        return self._taking.attempt

    async def extend(self, lease: float) -> None:
        """Let the item come back ``lease`` seconds from now, if it is not done by then. Raises TurnLost."""
        await write(self._queue._handle, self._taking.extend, lease)

    async def done(self) -> None:
        """Remove the item for good, before the end of the block."""
        await write(self._queue._handle, self._taking.done)

    async def __aenter__(self) -> V:
        queue, (block, timeout) = self._queue, self._wanted
        look = partial(queue._taking_out, self._taking.__enter__, self._undo)
        value: V = await queue._as_soon_as(look, Empty, "takers", "puts", block, timeout)
        return value

    def _undo(self, _: V) -> None:
        """Give the item back that a cancelled task does not get."""
        error = Abandoned()
        self._taking.__exit__(Abandoned, error, None)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        owner = TaskOwner(current_task())
        await run_to_the_end(self._queue._handle, self._taking.__exit__, owner, kind, error, traceback)


class AsyncFailed(Generic[V]):
    """The items of a queue that have failed. :class:`coshelf.coordination.failed.Failed` describes the methods."""

    def __init__(self, handle: Handle, queue: Queue[V]) -> None:
        self._handle = handle
        self._queue = queue

    def __aiter__(self) -> Stream[FailedItem[V]]:
        return Stream(self._handle, lambda: iter(self._queue.failed))

    async def len(self) -> int:
        """How many there are."""
        return await run(self._handle, lambda: len(self._queue.failed))

    async def retry(self) -> int:
        """Put all of them back into their places in the queue. Return how many."""
        return await write(self._handle, self._queue.failed.retry)

    async def clear(self) -> None:
        """Remove them for good."""
        await write(self._handle, self._queue.failed.clear)


class AsyncDeque(Generic[V]):
    """A deque that all processes share, from :meth:`AsyncShelf.deque`. Its methods are those of the standard library's.

    ``await recent[0]`` reads an item; :meth:`set` and :meth:`delete` are ``recent[0] = item`` and ``del recent[0]``.
    """

    def __init__(self, handle: Handle, items: Deque[V]) -> None:
        self._handle = handle
        self._deque = items

    @property
    def name(self) -> str:
        """Its name."""
        return self._deque.name

    @property
    def maxlen(self) -> int | None:
        """How many items it has at most; None if there is no limit."""
        return self._deque.maxlen

    async def append(self, value: V) -> None:
        """Add an item on the right."""
        await write(self._handle, self._deque.append, value)

    async def appendleft(self, value: V) -> None:
        """Add an item on the left."""
        await write(self._handle, self._deque.appendleft, value)

    async def extend(self, values: Iterable[V]) -> None:
        """Add items on the right, in one commit."""
        await write(self._handle, self._deque.extend, values)

    async def extendleft(self, values: Iterable[V]) -> None:
        """Add items on the left, one after the other, in one commit."""
        await write(self._handle, self._deque.extendleft, values)

    async def pop(self) -> V:
        """Remove and return the item on the right. Raises IndexError if there is none."""
        return await write(self._handle, self._deque.pop)

    async def popleft(self) -> V:
        """Remove and return the item on the left. Raises IndexError if there is none."""
        return await write(self._handle, self._deque.popleft)

    async def rotate(self, n: SupportsIndex = 1) -> None:
        """Move ``n`` items from the right end to the left end."""
        await write(self._handle, self._deque.rotate, n)

    def __getitem__(self, index: SupportsIndex) -> Awaitable[V]:
        return run(self._handle, self._deque.__getitem__, index)

    async def set(self, index: SupportsIndex, value: V) -> None:
        """Replace an item."""
        await write(self._handle, self._deque.__setitem__, index, value)

    async def delete(self, index: SupportsIndex) -> None:
        """Remove an item."""
        await write(self._handle, self._deque.__delitem__, index)

    async def insert(self, index: SupportsIndex, value: V) -> None:
        """Insert an item before an index."""
        await write(self._handle, self._deque.insert, index, value)

    async def reverse(self) -> None:
        """Reverse the order of the items."""
        await write(self._handle, self._deque.reverse)

    async def clear(self) -> None:
        """Remove all items."""
        await write(self._handle, self._deque.clear)

    async def remove(self, value: V) -> None:
        """Remove the first item that equals ``value``. Raises ValueError if there is none."""
        await write(self._handle, self._deque.remove, value)

    async def index(self, value: V, *bounds: SupportsIndex) -> int:
        """The index of the first item that equals ``value``. Raises ValueError if there is none."""
        return await run(self._handle, self._deque.index, value, *bounds)

    async def count(self, value: V) -> int:
        """How many items equal ``value``."""
        return await run(self._handle, self._deque.count, value)

    async def contains(self, value: object) -> bool:
        """Whether an item equals ``value``."""
        return await run(self._handle, self._deque.__contains__, value)

    async def copy(self) -> deque[V]:
        """A :class:`collections.deque` with the same items, of one instant."""
        return await run(self._handle, self._deque.copy)

    async def len(self) -> int:
        """How many items it has."""
        return await run(self._handle, self._deque.__len__)

    def __aiter__(self) -> Stream[V]:
        return Stream(self._handle, lambda: iter(self._deque))

    def __repr__(self) -> str:
        return async_repr(self._deque)

    def _repr_html_(self) -> str:
        return async_html(self._deque, at_once=self._handle.engine.reads_at_once)


class AsyncQueueing(AsyncReadable[K, V], Generic[K, V]):
    """The methods of an :class:`AsyncShelf` that give queues and deques."""

    def queue(self, name: str, maxsize: int = 0, attempts: int | None = _ATTEMPTS) -> AsyncQueue[V]:
        """A queue that all processes with the shelf share.

        >>> import asyncio, coshelf.aio
        >>> async def main():
        ...     async with coshelf.aio.open("memory:") as shelf:
        ...         jobs = shelf.queue("jobs")
        ...         await jobs.put({"page": 1})
        ...         async with jobs.take() as job:
        ...             return job
        >>> asyncio.run(main())
        {'page': 1}
        """
        return AsyncQueue(self._handle, self._face.queue(name, maxsize, attempts))

    def deque(self, name: str, maxlen: int | None = None) -> AsyncDeque[V]:
        """A deque that all processes with the shelf share, with the methods of :class:`collections.deque`."""
        return AsyncDeque(self._handle, self._face.deque(name, maxlen))
