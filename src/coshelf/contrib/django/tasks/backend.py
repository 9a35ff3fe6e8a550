"""The backend: it puts tasks into queues of the shelf, and finds their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.tasks import Task, TaskResult, TaskResultStatus
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.exceptions import TaskResultDoesNotExist
from django.tasks.signals import task_enqueued
from django.utils import timezone
from django.utils.crypto import get_random_string

from coshelf.contrib.django.shelves import hold
from coshelf.contrib.django.tasks.rows import key_of, result_of, row_of
from coshelf.coordination.queues import Queue
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["CoshelfBackend"]

PART = "django/tasks"
"""The part of the shelf that has queues and results, unless OPTIONS names another one."""
_DAY = 86_400


class CoshelfBackend(BaseTaskBackend):  # type: ignore[misc]  # Django has no types
    """A backend for ``TASKS`` of Django. Tasks outlive every process, and are run by ``manage.py coshelf_worker``.

    Args:
        alias: the name of the backend in the settings.
        params: its settings. ``LOCATION`` is a path, a URL, or an open shelf. ``QUEUES`` is as in Django's backends.
            ``OPTIONS`` has arguments of :func:`coshelf.open`, and these:

            - ``part``: the part of the shelf that has queues and results (``"django/tasks"``).
            - ``attempts``: how many workers may end while they run a task (5). Then it has failed, with
              :class:`WorkerDied`. With 1, no task is ever run twice.
            - ``keep_results``: for how many seconds the result of a task that has ended is kept, or a timedelta (one
              day). None: for ever.

    Raises:
        ImproperlyConfigured: ``LOCATION`` is missing, or an option does not exist.
        CoshelfError: at the first use, what :func:`coshelf.open` raises.
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: Mapping[str, Any]) -> None:
        super().__init__(alias, params)
        options = dict(self.options)
        self.attempts = _usable_attempts(options.pop("attempts", 5))
        self.keep_results = _usable_time(options.pop("keep_results", _DAY))
        part, location = options.pop("part", PART), params.get("LOCATION")
        self._held = hold("LOCATION of TASKS", location, part, options, require=("expiry", "turns", "checks=batch"))

    @property
    def shelf(self) -> Shelf[str, Any]:
        """The queues and results, as a shelf."""
        return self._held.shelf

    def queue(self, name: str) -> Queue[str]:
        """The queue of this name. Its items are the ids of results."""
        return self.shelf.queue(name, attempts=None)  # the worker counts them, and stores an error

    # --- what Django calls -------------------------------------------------------------------------------------------

    def enqueue(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult:
        """Store a task, and put it into its queue, in one commit.

        Raises:
            InvalidTask: the backend does not take it.
            TypeError: an argument is not JSON.
        """
        result = self._new(task, args, kwargs)
        self.shelf.transact(partial(self._put, result=result))
        task_enqueued.send(type(self), task_result=result)
        return result

    async def aenqueue(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult:
        """As :meth:`enqueue`. It does not block the event loop, and needs ``coshelf[aio]``."""
        result = self._new(task, args, kwargs)
        await (await self._held.shelf_of_tasks()).transact(partial(self._put, result=result))
        await task_enqueued.asend(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> TaskResult:
        """The result of a task, or its state so far.

        Raises:
            TaskResultDoesNotExist: there is no such task, or its result is not kept any longer.
        """
        return self._found(result_id, self.shelf.get(key_of(result_id)))

    async def aget_result(self, result_id: str) -> TaskResult:
        """As :meth:`get_result`. It does not block the event loop, and needs ``coshelf[aio]``."""
        return self._found(result_id, await (await self._held.shelf_of_tasks()).get(key_of(result_id)))

    def _found(self, result_id: str, row: Mapping[str, Any] | None) -> TaskResult:
        if row is None:
            raise TaskResultDoesNotExist(result_id)
        return result_of(result_id, row, self.alias)

    def _new(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult:
        self.validate_task(task)
        return TaskResult(
            task=task,
            id=get_random_string(32),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )

    def _put(self, transaction: Transaction[str, Any], result: TaskResult) -> None:
        """Store a new task. Django's greater priorities come first, and the queue's smaller ones."""
        task = result.task
        transaction.set(key_of(result.id), row_of(result), None)
        self.queue(task.queue_name).put(result.id, priority=-task.priority, delay=_delay(task.run_after))


def _delay(run_after: datetime | None) -> float:
    """Seconds from now. A time without a zone is local, as ``timezone.now()`` is then."""
    if run_after is None:
        return 0
    return max((run_after - datetime.now(run_after.tzinfo)).total_seconds(), 0)


def _usable_attempts(attempts: Any) -> int:
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise ImproperlyConfigured(f"TASKS: attempts is a number, 1 or more, not {attempts!r}")
    return attempts


def _usable_time(seconds: Any) -> float | timedelta | None:
    if seconds is None or isinstance(seconds, timedelta):
        return seconds
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise ImproperlyConfigured(f"TASKS: keep_results is a number of seconds, a timedelta or None, not {seconds!r}")
    return seconds
