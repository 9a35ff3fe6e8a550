"""Who has turns: a thread, or a task in it. The end of either gives its turns back.

Python has no call at the end of a thread. But what only the thread's own storage refers to is deleted then.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Collection
from typing import Any

from coshelf.contract import Turns
from coshelf.coordination.turn import Owner
from coshelf.system.processes import program
from coshelf.system.processes.forks import at_fork
from coshelf.system.threads.participants import acting_task, current_task

__all__ = ["Owners"]


class _Guard:
    """Lies in a thread's own storage. It must be all that refers to it."""

    owner: Owner | None = None

    def __del__(self) -> None:
        if self.owner is not None:
            self.owner.end()


class Owners:
    """The threads and tasks of this process that have turns through one handle.

    Args:
        turns: the lines of the engine.
        where: the address of the shelf, for messages.
        inside: is empty if nobody is in a transaction through this handle.
        is_inside: whether this thread or task is in a transaction.
        is_closed: whether the handle has been closed.
    """

    def __init__(
        self,
        turns: Turns,
        where: str,
        inside: Collection[object],
        is_inside: Callable[[], bool],
        is_closed: Callable[[], bool],
    ) -> None:
        self.lines = turns
        self.where = where
        self.inside = inside
        self.is_inside = is_inside
        self.is_closed = is_closed
        self.renew()
        _guard_at_fork(weakref.ref(self))

    def renew(self) -> None:
        """Nobody has a turn: this is a new process."""
        self._threads = threading.local()
        self._tasks: dict[tuple[object, object], Owner] = {}

    def current(self) -> Owner:
        """Whoever calls."""
        modules = sys.modules
        if "asyncio" in modules or "greenlet" in modules or "trio" in modules:
            return self._thread_or_task()
        try:
            owner: Owner = self._threads.owner
        except AttributeError:
            owner = self._begin_thread()
        return owner

    def _thread_or_task(self) -> Owner:
        acting = acting_task()
        if acting is not None:
            return self._acting(acting.task)
        try:
            owner: Owner = self._threads.owner
        except AttributeError:
            owner = self._begin_thread()
        task = current_task()
        return owner if task == (None, None) else self._task(task, owner)

    def _begin_thread(self) -> Owner:
        owner, guard = Owner(threading.current_thread().name), _Guard()
        guard.owner = owner
        self._threads.guard = guard
        self._threads.owner = owner
        return owner

    def _acting(self, task: Any) -> Owner:
        """A task under :mod:`coshelf.aio`, whatever thread runs its call."""
        found = self._tasks.get((task, None))
        if found is None:
            name = getattr(task, "get_name", None)
            found = self._tasks[task, None] = Owner(str(task.name if name is None else name()))
            if name is not None:  # of asyncio. A task of trio gives its turns back as its blocks end
                task.add_done_callback(_End(self, (task, None)))
        return found

    def _task(self, task: tuple[Any, Any], thread: Owner) -> Owner:
        found = self._tasks.get(task)
        if found is not None:
            return found
        coroutine, greenlet = task
        end = _End(self, task)
        if coroutine is not None:
            owner = self._tasks[task] = Owner(program.task())
            coroutine.add_done_callback(end)
            return owner
        if greenlet.parent is None or not hasattr(greenlet, "rawlink"):
            return thread
        owner = self._tasks[task] = Owner(str(greenlet))
        greenlet.rawlink(end)
        return owner

    def end_task(self, task: tuple[object, object]) -> None:
        """A task has ended."""
        owner = self._tasks.pop(task, None)
        if owner is not None:
            owner.end()


class _End:
    """What a task calls when it is done."""

    def __init__(self, owners: Owners, task: tuple[object, object]) -> None:
        self._owners = weakref.ref(owners)
        self._task = task

    def __call__(self, _: object) -> None:
        owners = self._owners()
        if owners is not None:
            owners.end_task(self._task)


def _guard_at_fork(reference: weakref.ref[Owners]) -> None:
    def after() -> None:
        owners = reference()
        if owners is not None:
            owners.renew()

    at_fork(after_in_child=after)
