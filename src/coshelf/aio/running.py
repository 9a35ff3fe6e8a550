"""Runs the calls of a shelf for a task: in a worker thread, or in the thread of the event loop as the same owner.

Calls of a shelf on a server run in the thread of the loop, in a bridge, if that is possible.

``run`` is for calls that wait for no lock, and for those of a task that is in a transaction. ``write`` is for the
others that write.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import RunVar

from coshelf.aio.bridged import in_bridge, is_bridged, to_the_end_in_bridge, whole_in_bridge
from coshelf.aio.gate import Gate
from coshelf.aio.threads import Limits, current_task, in_thread, to_the_end
from coshelf.contract import Engine
from coshelf.errors import ShelfLocked
from coshelf.mapping.handle import Handle
from coshelf.system.threads.participants import TaskOwner, acting_as

__all__ = [
    "acting_here",
    "end_on",
    "enter_gate",
    "is_inside",
    "leave_gate",
    "limits",
    "make_call",
    "run",
    "run_in_thread",
    "run_to_the_end",
    "write",
]

T = TypeVar("T")


class _Loop:
    """What one event loop has."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.gates: WeakKeyDictionary[Handle, Gate] = WeakKeyDictionary()


_LOOP: RunVar[_Loop] = RunVar("coshelf_loop")


def _loop() -> _Loop:
    try:
        return _LOOP.get()
    except LookupError:
        loop = _Loop()
        _LOOP.set(loop)
        return loop


def limits() -> Limits:
    """The limits of this event loop."""
    return _loop().limits


def _gate(handle: Handle) -> Gate:
    gates = _loop().gates
    gate = gates.get(handle)
    if gate is None:
        gate = gates[handle] = Gate()
    return gate


def acting_here() -> AbstractContextManager[None]:
    """For a block without ``await``, the calls that this thread makes are those of the current task."""
    return acting_as(TaskOwner(current_task(), current_task))


def is_inside(handle: Handle, owner: TaskOwner) -> bool:
    """Whether a task is in a transaction of a handle."""
    return bool(handle.inside) and (os.getpid(), owner) in handle.inside


async def make_call(
    handle: Handle,
    limiter: anyio.CapacityLimiter,
    undo: Callable[[T], object] | None,
    owner: TaskOwner,
    function: Callable[..., T],
    args: tuple[Any, ...] = (),
    kwargs: Any = None,
) -> T:
    """As :func:`in_thread`, or :func:`in_bridge`, where a block that was cancelled while it began has ended."""
    if is_bridged(handle.engine):
        return await in_bridge(owner, function, args, kwargs)
    return await in_thread(limiter, undo, owner, function, args, kwargs)


async def run_to_the_end(handle: Handle, function: Callable[..., T], owner: TaskOwner, *args: Any) -> T:
    """As :func:`to_the_end`, or :func:`to_the_end_in_bridge`."""
    return await end_on(handle.engine, function, owner, *args)


async def end_on(engine: Engine, function: Callable[..., T], owner: TaskOwner, *args: Any) -> T:
    """As :func:`run_to_the_end`. The engine may be that of a shelf that has been closed."""
    if is_bridged(engine):
        return await to_the_end_in_bridge(owner, function, *args)
    return await to_the_end(function, owner, *args)


async def run(
    handle: Handle,
    call: Callable[..., T],
    *args: Any,
    undo: Callable[[T], object] | None = None,
    owner: TaskOwner | None = None,
    **kwargs: Any,
) -> T:
    """What a call of a shelf returns, which waits for no transaction but its task's own.

    If the task is cancelled, the call has ended when this raises: it was not begun, is done, or gave up waiting.

    Args:
        handle: the handle of the shelf.
        call: the call.
        undo: called with the result if the task was cancelled, and so does not get it.
        owner: the task whose call it is, if not that of the current task.
        args: arguments of the call.
        kwargs: its arguments by name.
    """
    owner = TaskOwner(current_task()) if owner is None else owner
    limit = limits().inside if is_inside(handle, owner) else limits().reading
    if undo is not None and is_bridged(handle.engine):
        return await whole_in_bridge(undo, owner, call, args, kwargs)
    return await make_call(handle, limit, undo, owner, call, args, kwargs)


async def run_in_thread(handle: Handle, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """As :func:`run`, always in a worker thread: for calls that compute much, or use files beside the server."""
    owner = TaskOwner(current_task())
    limit = limits().inside if is_inside(handle, owner) else limits().reading
    return await in_thread(limit, None, owner, call, args, kwargs)


async def write(handle: Handle, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """As :func:`run`, for a call that may wait until a transaction of another task or process has ended."""
    owner = TaskOwner(current_task())
    if is_inside(handle, owner):
        return await make_call(handle, limits().inside, None, owner, call, args, kwargs)
    if handle.engine.capabilities.exclusive is None:
        return await make_call(handle, limits().writing, None, owner, call, args, kwargs)
    await enter_gate(handle, None, alone=False)
    try:
        return await make_call(handle, limits().writing, None, owner, call, args, kwargs)
    finally:
        leave_gate(handle, alone=False)


async def enter_gate(handle: Handle, timeout: float | None, *, alone: bool) -> float:
    """Wait for other tasks of this loop that write to the shelf. Returns how many seconds of the timeout are left.

    Raises :class:`ShelfLocked` after ``timeout`` seconds; None: those of opening.
    """
    handle.refuse_closed()
    patience = handle.engine._options.timeout if timeout is None else timeout
    begun = anyio.current_time()
    with anyio.move_on_after(patience) as scope:
        await _gate(handle).enter(alone=alone)
    if scope.cancelled_caught:
        raise ShelfLocked(
            f"shelf is locked: {handle.engine.where}\n  by another task of this process; waited {patience:g} s\n"
            "  hint: wait longer with timeout="
        )
    return max(0.0, patience - (anyio.current_time() - begun))


def leave_gate(handle: Handle, *, alone: bool) -> None:
    """Let other tasks write to the shelf."""
    _gate(handle).leave(alone=alone)
