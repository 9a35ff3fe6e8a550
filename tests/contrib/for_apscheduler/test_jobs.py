"""The job store of APScheduler: its jobs, and which of several schedulers runs them."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.jobstores.base import ConflictingIdError, JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from support import Crew
from waiting import eventually

import coshelf
from coshelf.contrib.apscheduler import CoshelfJobStore

SCHEDULER = Path(__file__).parent / "scripts" / "scheduler.py"
TARGETS = {"lmdb": "{}/a.shelf", "sqlite": "sqlite:{}/a.sqlite", "memory": "memory:", "files": "files:{}/a"}
WORK = "builtins:print"
EVEN_IF_LATE = {"misfire_grace_time": None}  # on a slow machine, too
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
ran: list[int] = []


def note(number: int) -> None:
    ran.append(number)


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return TARGETS[request.param].format(tmp_path)


@pytest.fixture
def begin() -> Iterator[Callable[..., Any]]:
    """Starts schedulers, which run nothing while they are paused."""
    schedulers = []

    def make(target: Any, *, paused: bool = True, **options: Any) -> Any:
        scheduler = BackgroundScheduler(
            jobstores={"default": CoshelfJobStore(target, **options)}, timezone=UTC, job_defaults=EVEN_IF_LATE
        )
        scheduler.start(paused=paused)
        schedulers.append(scheduler)
        return scheduler

    yield make
    for scheduler in schedulers:
        if scheduler.running:
            scheduler.shutdown()


def store_of(scheduler: Any) -> CoshelfJobStore:
    store: CoshelfJobStore = scheduler._jobstores["default"]
    return store


# --- jobs ------------------------------------------------------------------------------------------------------------


def test_jobs_come_in_the_order_of_their_times_and_paused_ones_last(begin: Any, target: str) -> None:
    scheduler = begin(target)
    scheduler.add_job(WORK, "date", run_date=NOON, id="b")
    scheduler.add_job(WORK, "date", run_date=NOON, id="a")
    scheduler.add_job(WORK, "date", run_date=NOON - timedelta(days=1), id="paused").pause()
    scheduler.add_job(WORK, "date", run_date=NOON - timedelta(hours=1), id="z")
    assert [job.id for job in scheduler.get_jobs()] == ["z", "a", "b", "paused"]
    store = store_of(scheduler)
    assert store.get_next_run_time() == NOON - timedelta(hours=1)
    assert [job.id for job in store.get_due_jobs(NOON)] == ["z", "a", "b"]
    assert [job.id for job in store.get_due_jobs(NOON - timedelta(microseconds=1))] == ["z"]


def test_a_refused_job_changes_nothing(begin: Any, target: str) -> None:
    scheduler = begin(target)
    scheduler.add_job(WORK, "date", run_date=NOON, id="a", args=[1])
    with pytest.raises(ConflictingIdError):
        scheduler.add_job(WORK, "date", run_date=NOON, id="a", args=[2])
    with pytest.raises(coshelf.UnwritableValue):
        scheduler.add_job(WORK, "date", run_date=NOON, id="b", args=[threading.Lock()])
    with pytest.raises(JobLookupError):
        scheduler.remove_job("c")
    assert [(job.id, job.args) for job in scheduler.get_jobs()] == [("a", (1,))]


def test_jobs_outlive_their_scheduler(begin: Any, tmp_path: Path) -> None:
    scheduler = begin(tmp_path / "a.shelf")
    scheduler.add_job(WORK, "cron", hour=3, id="a")
    scheduler.shutdown()
    scheduler.start(paused=True)
    assert [job.id for job in scheduler.get_jobs()] == ["a"]
    scheduler.remove_all_jobs()
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert len(shelf) == 0


def test_the_configuration_finds_the_store_by_its_name(tmp_path: Path) -> None:
    project = Path(__file__).parents[3] / "pyproject.toml"
    point = tomllib.loads(project.read_text())["project"]["entry-points"]["apscheduler.jobstores"]["coshelf"]
    scheduler = BackgroundScheduler(
        {"apscheduler.jobstores.default": {"class": point, "target": str(tmp_path / "a.shelf"), "part": "mine"}}
    )
    scheduler.start(paused=True)
    scheduler.add_job(WORK, "date", run_date=NOON, id="a")
    scheduler.shutdown()
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert list(shelf.sub("mine").keys(prefix=("jobs",))) == [("jobs", "a")]


def test_two_stores_share_a_shelf_of_the_program(begin: Any) -> None:
    with coshelf.open("memory:") as shelf:
        one, two = begin(shelf, part="one"), begin(shelf, part="two")
        one.add_job(WORK, "date", run_date=NOON, id="a")
        assert two.get_jobs() == []
        one.shutdown()
        assert ("one/", ("jobs", "a")) in shelf


def test_something_else_at_the_path_stops_the_scheduler_and_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    scheduler = BackgroundScheduler(jobstores={"default": CoshelfJobStore(tmp_path / "a")})
    with pytest.raises(coshelf.NotAShelf):
        scheduler.start()
    assert (tmp_path / "a").read_text() == "mine"


def test_a_job_whose_function_is_missing_here_is_left_out_and_not_lost(
    begin: Any, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = begin(target)
    scheduler.add_job(WORK, "date", run_date=NOON, id="b")
    scheduler.add_job(WORK, "date", run_date=NOON - timedelta(days=1), id="a")
    store = store_of(scheduler)
    shelf = store._part.shelf
    with shelf.edit(("jobs", "a")) as state:
        state["func"] = "nowhere:work"
    assert [job.id for job in scheduler.get_jobs()] == ["b"]
    assert [job.id for job in store.get_due_jobs(NOON)] == ["b"]
    assert store.get_next_run_time() == NOON
    assert [record.getMessage()[:9] for record in caplog.records if "'a'" in record.getMessage()] == ["The job '"]
    with shelf.edit(("jobs", "a")) as state:
        state["func"] = WORK
    assert [job.id for job in scheduler.get_jobs()] == ["a", "b"]


# --- what another process does while a job begins --------------------------------------------------------------------


def due(scheduler: Any) -> Any:
    """A job as the scheduler gets it when it is due, with its next time, as the scheduler gives it back."""
    scheduler.add_job(WORK, "interval", hours=1, id="a", next_run_time=NOON, args=[1])
    (job,) = store_of(scheduler).get_due_jobs(NOON)
    job.next_run_time = NOON + timedelta(hours=1)
    return job


def test_a_job_that_is_paused_while_it_begins_stays_paused(begin: Any, target: str) -> None:
    scheduler = begin(target)
    job = due(scheduler)
    scheduler.pause_job("a")
    store_of(scheduler).update_job(job)
    assert scheduler.get_job("a").next_run_time is None


def test_a_job_that_is_changed_while_it_begins_stays_changed(begin: Any, target: str) -> None:
    scheduler = begin(target)
    job = due(scheduler)
    scheduler.modify_job("a", args=[2])
    store_of(scheduler).update_job(job)
    now = scheduler.get_job("a")
    assert (list(now.args), now.next_run_time) == ([2], NOON + timedelta(hours=1))


def test_a_job_that_is_removed_while_it_begins_stays_removed(begin: Any, target: str) -> None:
    scheduler = begin(target)
    job, store = due(scheduler), store_of(scheduler)
    store._part.shelf.clear()  # as another process does
    store.update_job(job)
    assert scheduler.get_jobs() == []
    job = due(scheduler)
    store._part.shelf.clear()
    store.remove_job("a")
    with pytest.raises(JobLookupError):
        store.remove_job("a")


# --- several schedulers ----------------------------------------------------------------------------------------------


def test_a_job_runs_and_its_next_time_is_kept(begin: Any, target: str) -> None:
    ran.clear()
    scheduler = begin(target, paused=False)
    scheduler.add_job(note, "interval", hours=1, next_run_time=datetime.now(UTC), id="a", args=[1])
    eventually("the job runs", lambda: ran == [1])
    eventually("it has a next time", lambda: scheduler.get_job("a").next_run_time > datetime.now(UTC))


def test_a_paused_scheduler_adds_jobs_and_takes_no_lead(begin: Any, target: str) -> None:
    ran.clear()
    with coshelf.open(target) as shelf:
        adds, runs = begin(shelf), begin(shelf, paused=False)
        eventually("the other one leads", lambda: shelf.sub("apscheduler").lock("leader").holders())
        assert store_of(adds)._leading is None
        adds.add_job(note, "date", id="a", args=[2])  # at once
        eventually("the other one runs it", lambda: ran == [2] and not adds.get_jobs())
        runs.shutdown()
        adds.shutdown()
        assert not shelf.sub("apscheduler").lock("leader").holders()


def test_one_scheduler_runs_the_jobs_and_the_next_takes_over(begin: Any, target: str) -> None:
    ran.clear()
    with coshelf.open(target) as shelf:
        first = begin(shelf, paused=False)
        lock = shelf.sub("apscheduler").lock("leader")
        eventually("the first leads", lock.holders)
        second = begin(shelf, paused=False)
        eventually("the second waits", lock.waiting)
        assert store_of(second).get_due_jobs(NOON + timedelta(days=9999)) == []
        assert store_of(second).get_next_run_time() is None
        first.shutdown()
        second.add_job(note, "date", id="a", args=[3])
        eventually("the second runs it", lambda: ran == [3] and not second.get_jobs())
        second.shutdown()


def test_a_killed_scheduler_is_followed_by_another_one(crew: Crew, tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    first = crew.start(SCHEDULER, path, 0.05)
    while first.hear() != "ran":
        pass
    second = crew.start(SCHEDULER, path)
    second.expect("started")
    with coshelf.open(path) as shelf:
        eventually("the second waits", shelf.sub("apscheduler").lock("leader").waiting)
        first.expect("ran")
        first.kill()
        for _ in range(3):
            second.expect("ran")
        second.tell("end")
        assert set(second.finish()) <= {"ran"}
        assert not shelf.sub("apscheduler").lock("leader").holders()
