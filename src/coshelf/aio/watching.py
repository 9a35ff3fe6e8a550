"""Watches for tasks: ``async for change in shelf.watch(...)``. On engines of this machine none uses a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio

from coshelf.aio.entries import AsyncReadable
from coshelf.aio.running import limits, run
from coshelf.aio.showing import async_repr
from coshelf.aio.threads import current_task, in_thread, to_the_end
from coshelf.aio.waiting import end_of, waiting_at
from coshelf.contract import Position
from coshelf.mapping.change import Change
from coshelf.mapping.handle import Handle
from coshelf.mapping.watch import Watch
from coshelf.system.threads.participants import TaskOwner

__all__ = ["AsyncWatch", "AsyncWatching"]

K = TypeVar("K")
V = TypeVar("V")

_SOME = 100  # changes that one call takes
_SLICE = 0.25  # seconds for which a thread waits for a server before it looks whether its task was cancelled


class AsyncWatch(AsyncIterator[Change[K, V]], Generic[K, V]):
    """The changes of some entries of a shelf, in the order of the commits. From :meth:`AsyncShelf.watch`.

    It is for ``async for``, and for ``async with``, which ends it. :class:`coshelf.mapping.watch.Watch` says more. The
    watch begins where its block begins, where it is awaited, or with the first step of its iteration.

    If the task of a step is cancelled, the next one goes on where the last change was told.
    """

    def __init__(self, handle: Handle, make: Callable[[], Watch[K, V]], timeout: float | None) -> None:
        self._handle = handle
        self._make = make
        self._timeout = timeout
        self._watch: Watch[K, V] | None = None
        self._found: deque[Change[K, V]] = deque()
        self._version: Position | None = None
        self._is_over = False

    def __repr__(self) -> str:
        return "<AsyncWatch that has not begun>" if self._watch is None else async_repr(self._watch)

    async def _begun(self) -> Self:
        if self._watch is None:
            watch = await in_thread(limits().reading, Watch.close, TaskOwner(current_task()), self._make)
            self._watch, self._version = watch, watch.version
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        return self._begun().__await__()

    async def __aenter__(self) -> Self:
        return await self._begun()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def version(self) -> Position | None:
        """Where to go on after the last change that was told; None before the watch has begun."""
        return self._version

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change[K, V]:
        change = await self.next(self._timeout)
        if change is None:
            raise StopAsyncIteration
        return change

    async def next(self, timeout: float | None = None) -> Change[K, V] | None:
        """The next change; None if the watch was closed, or if there is none for ``timeout`` seconds.

        Raises ShelfClosed if the shelf was closed.
        """
        await self._begun()
        end = end_of(timeout)
        if not self._found:
            if self._handle.engine.reads_at_once:
                await self._wait_for_bell(end)
            else:
                await self._wait_in_thread(end)
        if not self._found:
            return None
        told = self._found.popleft()
        self._version = told.version
        return told

    async def _wait_for_bell(self, end: float | None) -> None:
        """Look after each commit to the shelf, of which one thread tells all tasks of the loop."""
        waiting = waiting_at(self._handle)
        with waiting.listening(self._handle, self._handle.engine.doorbell(b"")):
            while True:
                change = waiting.change
                await in_thread(limits().reading, None, TaskOwner(current_task()), self._take, (0.0,))
                left = _left(end)
                if self._found or self._is_over or not left:
                    return
                with anyio.move_on_after(left):
                    await change.wait()

    async def _wait_in_thread(self, end: float | None) -> None:
        """Wait in a thread of this watch. A task that is cancelled leaves it within a quarter of a second."""
        while not (self._found or self._is_over):
            left = _left(end)
            await in_thread(limits().inside, None, TaskOwner(current_task()), self._take, (min(left, _SLICE),))
            if not left:
                return

    def _take(self, timeout: float) -> None:
        """Take the changes that are there. If the task is cancelled meanwhile, it finds them at the next step."""
        assert self._watch is not None
        while len(self._found) < _SOME:
            change = self._watch.next(timeout)
            if change is None:
                self._is_over = self._watch._is_closed
                return
            self._found.append(change)
            timeout = 0.0

    async def close(self) -> None:
        """End the watch. Closing twice is fine."""
        self._is_over = True
        if self._watch is not None:
            await to_the_end(self._watch.close, TaskOwner(current_task()))  # it was made in a thread, too


def _left(end: float | None) -> float:
    """How many seconds are left until the end."""
    return float("inf") if end is None else max(end - anyio.current_time(), 0)


class AsyncWatching(AsyncReadable[K, V], Generic[K, V]):
    """The methods of an :class:`AsyncShelf` that tell of changes."""

    async def version(self) -> Position:
        """The position of the last commit, for ``since=`` of :meth:`watch` and ``wait``. Mostly a number."""
        position: Position = await run(self._handle, lambda: self._face.version)
        return position

    def watch(
        self,
        glob: str | None = None,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        since: Position | None = None,
        latest: bool = False,
        timeout: float | None = None,
    ) -> AsyncWatch[K, V]:
        """The changes that commits of any process make to the entries that meet all conditions, as they come.

        >>> import asyncio, coshelf.aio
        >>> async def main():
        ...     async with coshelf.aio.open("memory:") as shelf, shelf.watch("jobs/*") as changes:
        ...         await shelf.set("jobs/1", "wash")
        ...         async for change in changes:
        ...             return change.key, change.kind, change.value
        >>> asyncio.run(main())
        ('jobs/1', 'set', 'wash')
        """

        def make() -> Watch[K, V]:
            made: Watch[K, V] = self._face.watch(
                glob, prefix=prefix, start=start, stop=stop, since=since, latest=latest
            )
            return made

        return AsyncWatch(self._handle, make, timeout)
