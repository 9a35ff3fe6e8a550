"""Several requests at the same time inside a bridge: a bounded number of tasks of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

from coshelf.system.threads.bridge import awaited, run

__all__ = ["LoopTask", "begun_on_loop", "results_on_loop"]

T = TypeVar("T")


class LoopTask(Generic[T]):
    """A task that was begun, with the methods of a future that callers use."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._loop = asyncio.get_running_loop()
        self.task = self._loop.create_task(work)
        self.task.add_done_callback(_looked_at)

    def result(self) -> T:
        """The result, after its end."""
        return awaited(_result(self.task))

    def cancel(self) -> None:
        """Cancel it, from any thread."""
        if not self.task.done():
            self._loop.call_soon_threadsafe(self.task.cancel)


def _looked_at(task: asyncio.Task[Any]) -> None:
    """Keep asyncio from logging the error of a task whose result nobody needs any more."""
    if not task.cancelled():
        task.exception()


async def _result(task: asyncio.Task[T]) -> T:
    return await task


def begun_on_loop(tasks: Sequence[Callable[[], T]], places: asyncio.Semaphore) -> list[LoopTask[T]]:
    """Begin tasks. ``places`` limits how many of them run at the same time."""

    async def one(task: Callable[[], T]) -> T:
        async with places:
            return await run(task)

    return [LoopTask(one(task)) for task in tasks]


def results_on_loop(begun: Sequence[LoopTask[T]]) -> list[T]:
    """The results, in the order of the tasks. If one fails, or the caller is cancelled, all have ended on return."""
    return awaited(_results([each.task for each in begun]))


async def _results(tasks: list[asyncio.Task[T]]) -> list[T]:
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = [task for task in tasks if task.done() and not task.cancelled() and task.exception() is not None]
        return [await task for task in failed or tasks]
    finally:
        running = [task for task in tasks if not task.done()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
