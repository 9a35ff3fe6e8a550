"""The job store."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore, ConflictingIdError, JobLookupError
from apscheduler.util import datetime_to_utc_timestamp, utc_timestamp_to_datetime

from coshelf.contrib.apscheduler.leading import Leading
from coshelf.contrib.parts import Part, Target
from coshelf.errors import UnreadableValue
from coshelf.mapping.transaction import Transaction

__all__ = ["CoshelfJobStore"]

State = dict[str, Any]
"""What a job is made of, as ``Job.__getstate__`` gives it."""

_JOBS: Final = "jobs"
_TIMES: Final = "times"


class CoshelfJobStore(BaseJobStore):
    """A job store over a shelf: ``jobstores={"default": CoshelfJobStore("/var/lib/app/jobs.shelf")}``.

    Several schedulers may share the shelf, in one process or in many. One of them runs the jobs. When it ends, however
    it ends, the next one goes on. A job that another process adds or changes is noticed at once.

    Args:
        target: a path, a URL, or an open shelf.
        part: the part of the shelf that has the jobs.
        options: further arguments of :func:`coshelf.open`.

    Raises:
        CoshelfError: when the scheduler starts, what :func:`coshelf.open` raises. When a job is added,
            ``UnwritableValue`` if the shelf would not load it again (docs/trust.md).
    """

    def __init__(self, target: Target, part: str = "apscheduler", **options: Any) -> None:
        super().__init__()
        self._part = Part(target, part, **options)
        self._is_started = False
        self._beginning = threading.Lock()
        self._leading: Leading | None = None
        self._due: dict[str, tuple[Job, float]] = {}
        self._unreadable: set[str] = set()

    def start(self, scheduler: Any, alias: str) -> None:
        """Open the shelf, so that a wrong path is noticed when the scheduler starts."""
        super().start(scheduler, alias)
        _ = self._part.shelf
        self._is_started = True

    def shutdown(self) -> None:
        """Give the lead to another scheduler, and close the shelf. The store may be started again."""
        with self._beginning:
            self._is_started = False
            leading, self._leading = self._leading, None
        if leading is not None:
            leading.stop()
        self._part.close()
        self._part = self._part.again()

    # --- reading -----------------------------------------------------------------------------------------------------

    def lookup_job(self, job_id: str) -> Job | None:
        state = self._part.shelf.get((_JOBS, job_id))
        return None if state is None else self._made(state)

    def get_due_jobs(self, now: datetime) -> list[Job]:
        """The jobs to run. None, while another scheduler leads."""
        leading = self._led()
        if leading is None or not leading.leads():
            return []
        found = list(self._timed(math.nextafter(datetime_to_utc_timestamp(now), math.inf)))
        self._due = {job.id: (job, at) for at, job in found}
        return [job for _, job in found]

    def _led(self) -> Leading | None:
        """What knows whether this scheduler leads. None after the store was shut down: a scheduler asks once more.

        It is not made earlier, because a scheduler that is paused does not ask, and takes no lead.
        """
        with self._beginning:
            if self._leading is None and self._is_started:
                wakeup = getattr(self._scheduler, "wakeup", lambda: None)
                self._leading = Leading(self._part.shelf, (_JOBS,), wakeup, self._logger)
            return self._leading

    def get_next_run_time(self) -> datetime | None:
        """When the next job is to run. None, while another scheduler leads: this one is woken when it leads."""
        if not self._is_started or (self._leading is not None and not self._leading.leads()):
            return None
        first = next(self._timed(), None)
        return None if first is None else utc_timestamp_to_datetime(first[0])

    def get_all_jobs(self) -> list[Job]:
        found = (self._readable(job_id) for _, job_id in list(self._part.shelf.keys(prefix=(_JOBS,))))
        jobs = [job for job in found if job is not None]
        return sorted(jobs, key=_order)

    def _timed(self, before: float | None = None) -> Iterator[tuple[float, Job]]:
        """The jobs with a time, in the order of their times."""
        stop = (_TIMES, math.inf) if before is None else (_TIMES, before)
        for _, at, job_id in self._part.shelf.keys(start=(_TIMES,), stop=stop):
            job = self._readable(job_id)
            if job is not None:
                yield at, job

    def _readable(self, job_id: str) -> Job | None:
        """A job; None if it is gone, or cannot be made here, for example because its function does not exist here."""
        try:
            return self.lookup_job(job_id)
        except (UnreadableValue, LookupError, ImportError, AttributeError, TypeError, ValueError) as error:
            if job_id not in self._unreadable:
                self._unreadable.add(job_id)
                self._logger.warning("The job %r cannot be loaded, and is left out: %s", job_id, error)
            return None

    def _made(self, state: State) -> Job:
        job = Job.__new__(Job)
        job.__setstate__(state)
        job._scheduler, job._jobstore_alias = self._scheduler, self._alias  # noqa: SLF001 (what every store does)
        return job

    # --- writing -----------------------------------------------------------------------------------------------------

    def add_job(self, job: Job) -> None:
        state = job.__getstate__()

        def add(shelf: Transaction[Any, Any]) -> None:
            if (_JOBS, job.id) in shelf:
                raise ConflictingIdError(job.id)
            _put(shelf, state, None)

        self._part.shelf.transact(add)

    def update_job(self, job: Job) -> None:
        state = job.__getstate__()
        handed_out, at = self._due.get(job.id, (None, None))
        is_next_time = handed_out is job

        def update(shelf: Transaction[Any, Any]) -> None:
            old: State | None = shelf.get((_JOBS, job.id))
            if old is None:
                if is_next_time:  # another process has removed it while it was begun
                    return
                raise JobLookupError(job.id)
            if not is_next_time:
                _put(shelf, state, old)
            elif _time_of(old) == at:  # else another process has paused it, or given it another time
                _put(shelf, {**old, "next_run_time": state["next_run_time"]}, old)

        self._part.shelf.transact(update)
        if is_next_time:
            del self._due[job.id]

    def remove_job(self, job_id: str) -> None:
        was_due = self._due.pop(job_id, None) is not None

        def remove(shelf: Transaction[Any, Any]) -> None:
            old: State | None = shelf.get((_JOBS, job_id))
            if old is not None:
                _forget_time(shelf, old)
                del shelf[_JOBS, job_id]
            elif not was_due:  # else another process has removed it while it was begun
                raise JobLookupError(job_id)

        self._part.shelf.transact(remove)

    def remove_all_jobs(self) -> None:
        self._part.shelf.clear()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} ({self._part!r})>"


def _order(job: Job) -> tuple[float, str]:
    """By their times; those that are paused come last."""
    at = datetime_to_utc_timestamp(job.next_run_time)
    return math.inf if at is None else at, job.id


def _time_of(state: State) -> float | None:
    at: float | None = datetime_to_utc_timestamp(state["next_run_time"])
    return at


def _put(shelf: Transaction[Any, Any], state: State, old: State | None) -> None:
    if old is not None:
        _forget_time(shelf, old)
    shelf[_JOBS, state["id"]] = state
    at = _time_of(state)
    if at is not None:
        shelf[_TIMES, at, state["id"]] = None


def _forget_time(shelf: Transaction[Any, Any], state: State) -> None:
    shelf.pop((_TIMES, _time_of(state), state["id"]), None)
