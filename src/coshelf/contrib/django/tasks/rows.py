"""What the shelf has of a task: one entry of plain data, which is its result, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from traceback import format_exception
from typing import Any

from django.tasks import Task, TaskResult, TaskResultStatus
from django.tasks.base import TaskError
from django.utils.module_loading import import_string

from coshelf.errors import CoshelfError

__all__ = ["Row", "WorkerDied", "error_of", "key_of", "result_of", "row_of"]

Row = dict[str, Any]

_OF_TASK = ("priority", "queue_name", "run_after")
_OF_RESULT = ("args", "kwargs", "enqueued_at", "started_at", "finished_at", "last_attempted_at", "worker_ids")


class WorkerDied(CoshelfError, RuntimeError):
    """A task has failed because each of its workers ended while it ran."""


def key_of(result_id: str) -> str:
    """The key of the entry."""
    return f"results/{result_id}"


def row_of(result: TaskResult) -> Row:
    """The entry of a result that is new."""
    task = result.task
    return {
        "task": task.module_path,
        "priority": task.priority,
        "queue_name": task.queue_name,
        "run_after": _in_utc(task.run_after),
        "status": str(result.status),
        "errors": [],
        "return_value": None,
        **{name: getattr(result, name) for name in _OF_RESULT},
    }


def _in_utc(time: datetime | None) -> datetime | None:
    """The same time without a class of another library, which a shelf need not load."""
    return time if time is None or time.tzinfo is None else time.astimezone(UTC)


def result_of(result_id: str, row: Mapping[str, Any], backend: str) -> TaskResult:
    """The result that an entry has.

    Raises:
        ImportError, TypeError: what was a task is none any longer.
        InvalidTask: the backend does not take it any longer.
    """
    task = import_string(row["task"])
    if not isinstance(task, Task):
        raise TypeError(f"{row['task']} is not a Task, but a {type(task).__name__}")
    result = TaskResult(
        id=result_id,
        task=replace(task, backend=backend, **{name: row[name] for name in _OF_TASK}),
        status=TaskResultStatus(row["status"]),
        backend=backend,
        errors=[TaskError(exception_class_path=path, traceback=text) for path, text in row["errors"]],
        **{name: row[name] for name in _OF_RESULT},
    )
    object.__setattr__(result, "_return_value", row["return_value"])  # as Django's own backends set it
    return result


def error_of(error: BaseException) -> tuple[str, str]:
    """An error as an entry has it: the path of its class, and its traceback."""
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}", "".join(format_exception(error))
