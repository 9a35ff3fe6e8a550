"""Whose call it is: a thread's or, under :mod:`coshelf.aio`, a task's. Transactions and locks belong to that owner.

A call of a task may run in the thread of its event loop, in any worker thread, or in a greenlet. So the code that runs
the call names the task as its owner while it runs. Other code in the same thread, and tasks that are made meanwhile,
are not taken for that task: the owner is compared with the thread and the task that run now.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = [
    "Abandoned",
    "Party",
    "TaskOwner",
    "WouldWait",
    "acting_as",
    "acting_task",
    "current_owner",
    "current_party",
    "current_task",
    "longest_wait",
    "refuse_abandoned",
]


_NO_TASK = (None, None)
_SLICE = 0.02  # seconds for which a call of a task waits until it looks whether the task was cancelled


class Abandoned(Exception):
    """The task whose call this is was cancelled while the call waited. Nothing has been done."""


class WouldWait(Exception):
    """The call cannot be made without a wait. Nothing has been done."""


class TaskOwner:
    """A task of an event loop as the owner of a call. All owners that are made for one task are equal.

    Args:
        task: the task.
        running: returns the task that runs in the thread of the call, if that thread has an event loop; None in a
            thread that runs this call alone.

    Attributes:
        is_abandoned: set by another thread when the task was cancelled, so that the call stops waiting.
    """

    __slots__ = ("_running", "_thread", "is_abandoned", "task")

    def __init__(self, task: object, running: Callable[[], object] | None = None) -> None:
        self.task = task
        self.is_abandoned = False
        self._running = running
        self._thread = threading.get_ident() if running is not None else 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskOwner) and self.task is other.task

    def __hash__(self) -> int:
        return hash(self.task)

    def begin(self) -> None:
        """The call begins, in this thread."""
        self._thread = threading.get_ident()

    def is_here(self) -> bool:
        """Whether this code is part of the call. A context with the owner may have been copied by a new task."""
        return self._thread == threading.get_ident() and (self._running is None or self._running() is self.task)


_acting: ContextVar[TaskOwner | None] = ContextVar("coshelf_acting", default=None)


@contextmanager
def acting_as(owner: TaskOwner) -> Iterator[None]:
    """For a block, calls of this thread are those of a task."""
    owner.begin()
    token = _acting.set(owner)
    try:
        yield
    finally:
        _acting.reset(token)


def acting_task() -> TaskOwner | None:
    """The task for which this code runs under :mod:`coshelf.aio`; None if this is a call of the thread itself."""
    acting = _acting.get()
    return acting if acting is not None and acting.is_here() else None


def current_owner() -> int | TaskOwner:
    """The task for which this code runs, or else the number of this thread."""
    acting = _acting.get()
    if acting is not None and acting.is_here():
        return acting
    return threading.get_ident()  # the number of a greenlet, if gevent has patched this


Party = tuple[int, int | TaskOwner]
"""A process, and the thread or task in it that makes a call."""


def current_party() -> Party:
    """Process and owner. In a forked child the thread has the same number as in its parent."""
    return os.getpid(), current_owner()


def refuse_abandoned() -> None:
    """Raise :class:`Abandoned` if the task that this call belongs to was cancelled. For loops that wait."""
    acting = _acting.get()
    if acting is not None and acting.is_abandoned and acting.is_here():
        raise Abandoned


def longest_wait(timeout: float) -> float:
    """For how long to wait before the next :func:`refuse_abandoned`."""
    return timeout if _acting.get() is None else min(timeout, _SLICE)


def current_task() -> tuple[object, object]:
    """The asyncio task and the greenlet that run in this thread, for comparison. Each is None if there is none.

    Neither library is imported. If the program has not imported one, it has no tasks of it. While a task is the owner,
    both are None: the owner tells the tasks apart.
    """
    modules = sys.modules
    if modules.get("asyncio") is None and modules.get("greenlet") is None:
        return _NO_TASK
    acting = _acting.get()
    if acting is not None and acting.is_here():
        return _NO_TASK
    loop = _found("asyncio", "_get_running_loop")
    task = None if loop is None else _found("asyncio", "current_task")
    return task, _found("greenlet", "getcurrent")


def _found(module: str, function: str) -> object:
    """The result of a function of a module. None if the module is not imported, or its import is in progress."""
    call = getattr(sys.modules.get(module), function, None)
    return None if call is None else call()
