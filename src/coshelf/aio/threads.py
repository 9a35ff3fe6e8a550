"""Runs a call in a worker thread, as a call of the current task. A cancelled task leaves nothing running behind."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from coshelf.system.threads.participants import TaskOwner, acting_as

__all__ = ["Limits", "current_task", "in_thread", "spawn", "to_the_end", "waker"]

T = TypeVar("T")

_MOST: Final = 40  # threads of one loop that run calls of one kind


class Limits:
    """How many calls of one event loop run in threads at once.

    They are not those of the program's own calls of ``anyio.to_thread``, which could not run while ours wait.

    Attributes:
        reading: calls that wait for no lock.
        writing: calls that may wait for the transaction of another process.
        inside: calls of tasks that are in a transaction. The others wait for these, so these wait for no thread.
    """

    def __init__(self) -> None:
        self.reading = anyio.CapacityLimiter(_MOST)
        self.writing = anyio.CapacityLimiter(_MOST)
        self.inside = anyio.CapacityLimiter(math.inf)


def current_task() -> object:
    """The task of asyncio or trio that runs in this thread; None if there is none."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        trio = sys.modules.get("trio")
        if trio is None:
            return None
        try:
            return trio.lowlevel.current_task()
        except RuntimeError:
            return None


def waker(call: Callable[[], object]) -> Callable[[], object]:
    """A function for any thread, which has a function called by the running loop.

    It raises RuntimeError when the loop has ended.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        token = sys.modules["trio"].lowlevel.current_trio_token()
        return lambda: token.run_sync_soon(call)
    return lambda: loop.call_soon_threadsafe(call)


_THREAD: Final = "thread"
_TASK: Final = "task"


def spawn(function: Callable[[], Coroutine[Any, Any, None]], begun: set[asyncio.Task[None]]) -> None:
    """Run a coroutine function in a task of its own, for which nobody waits. Its error is reported as a thread's is.

    ``begun``: has the tasks that run, because a loop of asyncio does not keep them.
    """

    async def reporting() -> None:
        try:
            await function()
        except Exception:
            sys.excepthook(*sys.exc_info())

    try:
        task = asyncio.get_running_loop().create_task(reporting())
    except RuntimeError:
        sys.modules["trio"].lowlevel.spawn_system_task(reporting)
    else:
        begun.add(task)
        task.add_done_callback(begun.discard)


class _Call(Generic[T]):
    """One call. Either the thread begins it, or the task takes it back. ``setdefault`` decides that in one step."""

    result: T
    error: BaseException | None = None

    def __init__(self, owner: TaskOwner, function: Callable[..., T], args: tuple[Any, ...], kwargs: Any) -> None:
        self._owner = owner
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._begun_by: dict[int, str] = {}
        self._seen_by: dict[int, str] = {}
        self._wake: Callable[[], object] = object

    def run(self) -> None:
        """Make the call, in a worker thread."""
        if self._begun_by.setdefault(0, _THREAD) is _TASK:
            return
        try:
            with acting_as(self._owner):
                self.result = self._function(*self._args, **self._kwargs)
        except BaseException as error:
            self.error = error
        if self._seen_by.setdefault(0, _THREAD) is _TASK:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and its tasks are gone
                self._wake()

    def take_back(self) -> bool:
        """Whether it had not begun. Then it never does."""
        return self._begun_by.setdefault(0, _TASK) is _TASK

    def give_up(self) -> None:
        """Let the call end early if it waits."""
        self._owner.is_abandoned = True

    async def ended(self) -> None:
        """Return when the call has ended, whatever cancels this task meanwhile."""
        event = anyio.Event()
        self._wake = waker(event.set)
        if self._seen_by.setdefault(0, _TASK) is _THREAD:
            return
        while not event.is_set():
            try:
                with anyio.CancelScope(shield=True):
                    await event.wait()
            except anyio.get_cancelled_exc_class():  # asyncio cancels a task in spite of the shield
                continue

    def outcome(self) -> T:
        """The result. Raises the error of the call."""
        if self.error is None:
            return self.result
        error, self.error = self.error, None
        try:
            raise error
        finally:
            del error  # its traceback has this frame


async def in_thread(
    limiter: anyio.CapacityLimiter,
    undo: Callable[[T], object] | None,
    owner: TaskOwner,
    function: Callable[..., T],
    args: tuple[Any, ...] = (),
    kwargs: Any = None,
) -> T:
    """What a function returns that is called in a worker thread.

    If the task is cancelled, the call has ended when this raises: it was never begun, it was done, or it gave up
    waiting.

    Args:
        limiter: how many such calls run at once.
        undo: called in a thread with the result if the task was cancelled, and so does not get it.
        owner: whose call it is.
        function: the function.
        args: its arguments.
        kwargs: its arguments by name.
    """
    call = _Call(owner, function, args, kwargs or {})
    try:
        await anyio.to_thread.run_sync(call.run, abandon_on_cancel=True, limiter=limiter)
    except BaseException:
        if not call.take_back():
            call.give_up()
            await call.ended()
            if undo is not None and call.error is None:
                await to_the_end(undo, TaskOwner(owner.task), call.result)
        raise
    return call.outcome()


async def to_the_end(function: Callable[..., T], owner: TaskOwner, *args: Any) -> T:
    """What a function returns that is called in a worker thread, also for a task that is cancelled.

    A task that is cancelled meanwhile gets the cancellation when the function has ended.
    """
    cancelled: BaseException | None = None
    while True:
        call = _Call(owner, function, args, {})
        try:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(call.run, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
        except anyio.get_cancelled_exc_class() as error:  # asyncio cancels a task in spite of the shield
            cancelled = cancelled or error
            if call.take_back():
                continue
            await call.ended()
        if cancelled is not None:
            raise cancelled from call.error
        return call.outcome()
