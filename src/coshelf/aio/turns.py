"""Locks, semaphores and barriers for tasks. A task that waits for its turn uses no thread."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar

import anyio

from coshelf.aio.entries import AsyncReadable
from coshelf.aio.running import acting_here, run, run_to_the_end
from coshelf.aio.showing import async_html, async_repr
from coshelf.aio.threads import current_task, waker
from coshelf.contract import Place, Who
from coshelf.coordination.barriers import Barrier
from coshelf.coordination.in_line import InLine, Waiting
from coshelf.coordination.locks import Lock, Semaphore
from coshelf.coordination.turn import Turn
from coshelf.errors import TurnHeld, TurnTimeout
from coshelf.mapping.handle import Handle
from coshelf.system.threads.participants import TaskOwner, acting_as
from coshelf.system.waiting.timeouts import usable_timeout

__all__ = ["AsyncBarrier", "AsyncCoordinating", "AsyncLock", "AsyncSemaphore", "AsyncTurn", "has_arrived", "line_call"]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


async def line_call(handle: Handle, function: Callable[..., T], *args: Any) -> T:
    """Call a function that looks at lines: here where that is a look into memory, as the engine says."""
    if handle.engine.capabilities.turns == "lease":
        return await run(handle, function, *args, undo=_let_go)
    with acting_here():
        return function(*args)


def _let_go(result: object) -> None:
    """Give back what the call of a task that was cancelled meanwhile had got."""
    if isinstance(result, Turn):
        result.release()
    elif isinstance(result, Waiting):
        result.give_up()
    elif isinstance(result, Place):
        result.leave()


async def has_arrived(handle: Handle, place: Place, wait: Callable[[float], bool], seconds: float | None) -> bool:
    """Wait for the turn of a place, for up to ``seconds``. Return whether it has come.

    Args:
        handle: the handle of the shelf.
        place: the place.
        wait: as :meth:`Place.wait`. It is called with 0, and may refuse to wait.
        seconds: None: there is no limit.
    """
    if await line_call(handle, wait, 0.0):
        return True
    called = anyio.Event()
    wake = waker(called.set)

    def call() -> None:
        with suppress(RuntimeError):  # the loop has ended, and its tasks are gone
            wake()

    await line_call(handle, place.when_called, call)
    with anyio.move_on_after(math.inf if seconds is None else seconds):
        await called.wait()
    return await line_call(handle, wait, 0.0)


class AsyncTurn:
    """The right to do something now. :class:`coshelf.coordination.turn.Turn` describes it."""

    def __init__(self, handle: Handle, turn: Turn) -> None:
        self._handle = handle
        self._turn = turn

    @property
    def token(self) -> int:
        """The fencing token: a number that is greater than that of every turn before."""
        return self._turn.token

    @property
    def lost(self) -> bool:
        """Whether its lease has ended, so that others may have the turn."""
        return self._turn.lost

    @property
    def held(self) -> bool:
        """Whether this process has the turn still, as far as it can know."""
        return self._turn.held

    async def detach(self) -> None:
        """Keep the turn until it is released, though the task that got it may end before. Raises TurnNotHeld."""
        self._turn.detach()

    async def release(self) -> None:
        """Give the turn back. Raises TurnNotHeld and TurnLost."""
        await line_call(self._handle, self._turn.release)

    def __repr__(self) -> str:
        return async_repr(self._turn)


class _AsyncInLine:
    _handle: Handle
    _thing: InLine

    async def holders(self) -> tuple[Who, ...]:
        """Those that have the turn now."""
        return await line_call(self._handle, self._thing.holders)

    async def waiting(self) -> tuple[Who, ...]:
        """Those that wait now, the next one first."""
        return await line_call(self._handle, self._thing.waiting)

    async def _has_come(self, asked: Waiting, seconds: float | None) -> bool:
        return await has_arrived(self._handle, asked.place, asked.wait, seconds)

    async def _give_up(self, asked: Waiting) -> None:
        """Leave the line, whatever cancels this task."""
        if self._handle.engine.capabilities.turns == "lease":
            await run_to_the_end(self._handle, asked.give_up, TaskOwner(current_task()))
        else:
            asked.give_up()

    def __repr__(self) -> str:
        return async_repr(self._thing)

    def _repr_html_(self) -> str:
        return async_html(self._thing, at_once=self._handle.engine.reads_at_once)


class _AsyncHeld(_AsyncInLine):
    _thing: Lock | Semaphore

    def __init__(self, handle: Handle, thing: Lock | Semaphore) -> None:
        self._handle = handle
        self._thing = thing

    async def locked(self) -> bool:
        """Whether no other one could have a turn at once."""
        return await line_call(self._handle, self._thing.locked)

    async def acquire(self, blocking: bool = True, timeout: float | None = -1) -> AsyncTurn | Literal[False]:
        """Wait for the turn, and return it; False if it did not come. As ``acquire`` of the lock of a shelf."""
        if not blocking and timeout not in (-1, None):
            raise ValueError("a call that does not block takes no timeout")
        seconds = 0.0 if not blocking else self._thing.timeout if timeout == -1 else timeout
        if seconds is not None:
            seconds = usable_timeout(seconds)
        try:
            turn = await self._turn(seconds, refuses=blocking)
        except TurnHeld:
            if blocking:
                raise
            return False
        return AsyncTurn(self._handle, turn) if isinstance(turn, Turn) else False

    async def _turn(self, seconds: float | None, *, refuses: bool) -> Turn | TurnTimeout | None:
        """The turn; if it did not come, the error, or None. ``refuses``: whether a wait in a transaction is refused."""
        asked = await line_call(self._handle, self._thing.ask)
        if not isinstance(asked, Waiting):
            return asked
        try:
            wait = asked.wait if refuses else asked.place.wait
            if await has_arrived(self._handle, asked.place, wait, seconds):
                return await line_call(self._handle, asked.arrived)
        except BaseException:
            await self._give_up(asked)
            raise
        try:
            return await line_call(self._handle, asked.timed_out) if refuses else None
        finally:
            await self._give_up(asked)

    async def release(self) -> None:
        """Give back the turn that this task got last. Raises TurnNotHeld and TurnLost."""
        await line_call(self._handle, self._thing.release)

    async def __aenter__(self) -> AsyncTurn:
        turn = await self._turn(self._thing.timeout, refuses=True)
        if isinstance(turn, TurnTimeout):
            raise turn
        assert turn is not None
        return AsyncTurn(self._handle, turn)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        thing = self._thing
        if self._handle.engine.capabilities.turns == "lease":
            await run_to_the_end(self._handle, thing.__exit__, TaskOwner(current_task()), kind, error, traceback)
            return
        with acting_as(TaskOwner(current_task(), current_task)):
            thing.__exit__(kind, error, traceback)


class AsyncLock(_AsyncHeld):
    """A lock that one thread or task at a time has. Made by :meth:`AsyncShelf.lock`, for ``async with``."""


class AsyncSemaphore(_AsyncHeld):
    """A semaphore: several threads or tasks have a turn at once. Made by :meth:`AsyncShelf.semaphore`."""

    _thing: Semaphore

    @property
    def permits(self) -> int:
        """How many have the turn at once."""
        return self._thing.permits


class AsyncBarrier(_AsyncInLine):
    """A point where threads and tasks wait for each other. Made by :meth:`AsyncShelf.barrier`."""

    _thing: Barrier

    def __init__(self, handle: Handle, barrier: Barrier) -> None:
        self._handle = handle
        self._thing = barrier

    @property
    def parties(self) -> int:
        """How many wait for each other."""
        return self._thing.parties

    async def n_waiting(self) -> int:
        """How many wait now."""
        return len(await self.waiting())

    async def wait(self, timeout: float | None = -1) -> int:
        """Wait until all parties wait. Return a number that is another one for each of them, and only grows."""
        seconds = self._thing.timeout if timeout == -1 else timeout
        asked = await line_call(self._handle, self._thing.ask)
        try:
            if not await self._has_come(asked, None if seconds is None else usable_timeout(seconds)):
                raise await line_call(self._handle, asked.timed_out)
            token = asked.place.token
            assert token is not None
            return token
        finally:
            await self._give_up(asked)


class AsyncCoordinating(AsyncReadable[K, V], Generic[K, V]):
    """The methods of an :class:`AsyncShelf` by which those that share it wait for each other."""

    def lock(self, name: Any, *, timeout: float | None = None, reentrant: bool = False) -> AsyncLock:
        """A lock that one thread or task at a time has, among all processes that share the shelf.

        >>> import asyncio, coshelf.aio
        >>> async def main():
        ...     async with coshelf.aio.open("memory:") as shelf:
        ...         async with shelf.lock("deploy", timeout=5) as turn:
        ...             return turn.held
        >>> asyncio.run(main())
        True
        """
        return AsyncLock(self._handle, self._face.lock(name, timeout=timeout, reentrant=reentrant))

    def semaphore(self, name: Any, permits: int, *, timeout: float | None = None) -> AsyncSemaphore:
        """A semaphore that up to ``permits`` threads or tasks have at once, among all processes."""
        return AsyncSemaphore(self._handle, self._face.semaphore(name, permits, timeout=timeout))

    def barrier(self, name: Any, parties: int, *, timeout: float | None = None) -> AsyncBarrier:
        """A barrier: ``await wait()`` returns when ``parties`` threads or tasks wait, of all processes."""
        return AsyncBarrier(self._handle, self._face.barrier(name, parties, timeout=timeout))
