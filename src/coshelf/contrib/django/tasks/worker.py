"""The worker: it takes tasks from a queue, runs them, and stores how they ended."""

from __future__ import annotations

import logging
import os
import socket
from queue import Empty
from typing import Any

from django.tasks import TaskContext, TaskResult, TaskResultStatus
from django.tasks.signals import task_finished, task_started
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.json import normalize_json

from coshelf.contrib.django.tasks.backend import CoshelfBackend
from coshelf.contrib.django.tasks.rows import Row, WorkerDied, error_of, key_of, result_of
from coshelf.coordination.taking import Taking
from coshelf.errors import TurnLost
from coshelf.mapping.transaction import Transaction

__all__ = ["Worker"]

_logger = logging.getLogger("django.tasks")


class Worker:
    """Runs the tasks of a queue, one after the other.

    A task whose process is killed goes back to its place in the queue, and the next free worker runs it again. A task
    that raises has failed, and is not run again. The result of a task is stored in the commit that removes the task
    from its queue.

    Args:
        backend: the backend of the tasks.
        queue: the name of the queue.

    Attributes:
        name: the worker in words.
        id: what results have in ``worker_ids``: host, process and a random part.
    """

    def __init__(self, backend: CoshelfBackend, queue: str) -> None:
        self._backend = backend
        self.name = f"worker of {queue!r}"
        self._queue = backend.queue(queue)
        self.id = f"{socket.gethostname()}:{os.getpid()}:{get_random_string(8)}"

    def run_one(self, timeout: float = 0) -> bool:
        """Run the next task.

        Args:
            timeout: for how many seconds to wait for one.

        Returns:
            Whether there was a task, however it ended.

        Raises:
            KeyboardInterrupt: the task was interrupted. It goes back to the queue.
        """
        taking = self._queue.take(timeout=timeout)
        try:
            with taking as result_id:
                self._run(taking, result_id)
        except Empty:
            return False
        except TurnLost:
            _logger.warning("Task id=%s went to another worker before it ended here", result_id)
        return True

    def _run(self, taking: Taking[str], result_id: str) -> None:
        row = self._backend.shelf.get(key_of(result_id))
        if row is None:
            _logger.warning("Task id=%s has no entry any more, and is not run", result_id)
            return
        try:
            self._refuse_dying(taking)
            self._result(result_id, row)
        except Exception as error:  # what the module of the task raises, too
            self._end(taking, result_id, row, error)
            return
        self._begin(result_id, row)
        try:
            row["return_value"] = _called(self._result(result_id, row))
        except KeyboardInterrupt:
            self._store(result_id, row, TaskResultStatus.READY)
            raise
        except BaseException as error:  # as ImmediateBackend: a task that calls exit() ends no worker
            self._end(taking, result_id, row, error)
        else:
            self._end(taking, result_id, row, None)

    def _refuse_dying(self, taking: Taking[str]) -> None:
        most = self._backend.attempts
        if taking.attempt > most:
            raise WorkerDied(
                f"the task was begun {most} times, and each time its worker ended before the task did\n"
                "  hint: look at what ends workers, such as a limit of memory; the option attempts= has the number"
            )

    def _begin(self, result_id: str, row: Row) -> None:
        """Store that the task runs, and tell so."""
        now = timezone.now()
        row["started_at"] = row["started_at"] or now
        row["last_attempted_at"] = now
        row["worker_ids"].append(self.id)
        self._store(result_id, row, TaskResultStatus.RUNNING)
        task_started.send_robust(type(self._backend), task_result=self._result(result_id, row))

    def _end(self, taking: Taking[str], result_id: str, row: Row, error: BaseException | None) -> None:
        """Store how the task ended, and remove it from its queue, in one commit. Then tell so."""
        status = TaskResultStatus.SUCCESSFUL if error is None else TaskResultStatus.FAILED
        row["status"], row["finished_at"] = str(status), timezone.now()
        if error is not None:
            row["errors"].append(error_of(error))

        def store(transaction: Transaction[str, Any]) -> None:
            transaction.set(key_of(result_id), row, self._backend.keep_results)
            taking.done()

        self._backend.shelf.transact(store)
        try:
            result = self._result(result_id, row)
        except Exception:  # there is no such task, and no signal without one
            _logger.exception("Task id=%s path=%s state=%s", result_id, row["task"], status)
        else:
            task_finished.send_robust(type(self._backend), task_result=result)

    def _store(self, result_id: str, row: Row, status: TaskResultStatus) -> None:
        row["status"] = str(status)
        self._backend.shelf.set(key_of(result_id), row, None)

    def _result(self, result_id: str, row: Row) -> TaskResult:
        return result_of(result_id, row, self._backend.alias)


def _called(result: TaskResult) -> Any:
    """What the task returns, as JSON."""
    context = (TaskContext(task_result=result),) if result.task.takes_context else ()
    return normalize_json(result.task.call(*context, *result.args, **result.kwargs))
