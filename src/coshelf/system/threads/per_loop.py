"""Something for each event loop, as the connections of an asynchronous client, which belong to one loop.

It is made at its first use on a loop. It is closed with the loop: loops close the asynchronous generators that they
have begun, so a generator waits for that.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from coshelf.system.threads.bridge import awaited, can_await

__all__ = ["PerLoop", "Work", "at_once_or_soon", "soon"]

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, object]]

# What a process inherited from its parent. To collect a connection could end the parent's session.
_of_parents: list[Any] = []


def at_once_or_soon(loop: asyncio.AbstractEventLoop, work: Work) -> None:
    """Do work on a loop: at once if the caller can wait on that loop, otherwise soon."""
    if can_await() and asyncio.get_running_loop() is loop:
        awaited(work())
    else:
        soon(loop, work)


def soon(loop: asyncio.AbstractEventLoop, work: Work) -> None:
    """Do work on a loop, and do not wait for it. Nothing happens if the loop is closed."""
    begun: set[asyncio.Task[object]] = set()  # a loop does not keep its tasks

    def begin() -> None:
        task = loop.create_task(work())
        begun.add(task)
        task.add_done_callback(begun.discard)

    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(begin)


class PerLoop(Generic[T]):
    """One object for each loop.

    Args:
        make: makes the object. Called on the loop.
        close: closes it. Called on the loop, at the latest before the loop is closed.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Coroutine[Any, Any, object]]) -> None:
        self._make = make
        self._close = close
        self._made: dict[asyncio.AbstractEventLoop, tuple[T, AsyncGenerator[None, None]]] = {}
        self._pid = os.getpid()

    def here(self) -> T:
        """The object of the running loop. Called inside a bridge."""
        if self._pid != os.getpid():
            _of_parents.append(self._made)
            self._made, self._pid = {}, os.getpid()
        loop = asyncio.get_running_loop()
        found = self._made.get(loop)
        if found is not None:
            return found[0]
        for other in [other for other in self._made if other.is_closed()]:
            self._made.pop(other, None)
        made = self._make()
        guard = self._guard(made, loop)
        self._made[loop] = made, guard
        awaited(_begun(guard))
        return made

    async def _guard(self, made: T, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._made.pop(loop, None)
            await self._close(made)

    def close(self) -> None:
        """Close the objects of all loops: at once on this loop, and soon on others."""
        if self._pid == os.getpid():
            for loop, (_, guard) in list(self._made.items()):
                at_once_or_soon(loop, partial(_ended, guard, loop))


async def _begun(guard: AsyncGenerator[None, None]) -> None:
    await anext(guard)


async def _ended(guard: AsyncGenerator[None, None], loop: asyncio.AbstractEventLoop) -> None:
    """Close to the end, also if this task is cancelled meanwhile."""
    await asyncio.shield(loop.create_task(_closed(guard)))


async def _closed(guard: AsyncGenerator[None, None]) -> None:
    await guard.aclose()
