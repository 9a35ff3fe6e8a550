"""Runs a call of a shelf on a server in the thread of the event loop, as a call of the current task.

Where the call waits for the server, the loop runs. That needs asyncio, which the clients of servers use, and the
package greenlet. Otherwise such calls are made in worker threads, as those of all other shelves.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import anyio

from coshelf.aio.threads import current_task
from coshelf.contract import Engine
from coshelf.system.threads import bridge
from coshelf.system.threads.participants import TaskOwner, acting_as

__all__ = ["in_bridge", "is_bridged", "is_possible", "to_the_end_in_bridge", "whole_in_bridge"]

T = TypeVar("T")


@cache
def _has_greenlets() -> bool:
    return "greenlet" in sys.modules or importlib.util.find_spec("greenlet") is not None


def is_possible() -> bool:
    """Whether this loop can run calls in bridges."""
    return asyncio._get_running_loop() is not None and _has_greenlets()


def is_bridged(engine: Engine) -> bool:
    """Whether calls of an engine are run in bridges on this loop."""
    return engine.can_be_awaited and is_possible()


async def in_bridge(owner: TaskOwner, function: Callable[..., T], args: tuple[Any, ...] = (), kwargs: Any = None) -> T:
    """What a function returns that runs in a bridge.

    If the task is cancelled, the function is left at the point where it waits. Its ``finally`` blocks have run when
    this raises.

    Args:
        owner: whose call it is.
        function: the function.
        args: its arguments.
        kwargs: its arguments by name.
    """
    task = current_task()

    def call() -> T:
        with acting_as(TaskOwner(owner.task, lambda: owner.task if current_task() is task else None)):
            return function(*args, **kwargs or {})

    return await bridge.run(call)


async def whole_in_bridge(
    undo: Callable[[T], object], owner: TaskOwner, function: Callable[..., T], args: tuple[Any, ...], kwargs: Any
) -> T:
    """As :func:`in_bridge`, for a function whose result must not be lost: it is not cancelled with its task.

    Args:
        undo: called in a bridge with the result if the task was cancelled, and so does not get it.
        owner: whose call it is.
        function: the function.
        args: its arguments.
        kwargs: its arguments by name.
    """
    call = asyncio.ensure_future(in_bridge(owner, function, args, kwargs))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await _ended(call)
        if not call.cancelled() and call.exception() is None:
            undoing = asyncio.ensure_future(in_bridge(owner, undo, (call.result(),)))
            await _ended(undoing)
            undoing.result()
        raise


async def _ended(call: asyncio.Future[Any]) -> None:
    """Return when a call has ended, whatever cancels this task meanwhile."""
    while not call.done():
        try:
            with anyio.CancelScope(shield=True):
                await asyncio.wait([call])
        except asyncio.CancelledError:  # asyncio cancels a task in spite of the shield
            continue


async def to_the_end_in_bridge(owner: TaskOwner, function: Callable[..., T], *args: Any) -> T:
    """As :func:`in_bridge`, also for a task that is cancelled.

    A task that is cancelled meanwhile gets the cancellation when the function has ended.
    """
    call = asyncio.ensure_future(in_bridge(owner, function, args))
    try:
        with anyio.CancelScope(shield=True):
            await asyncio.wait([call])
    except asyncio.CancelledError as cancelled:
        await _ended(call)
        raise cancelled from call.exception()
    return call.result()
