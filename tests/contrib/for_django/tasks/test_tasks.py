"""CoshelfBackend and its worker, in one process."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.tasks import TaskResultStatus, task_backends
from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist
from django.tasks.signals import task_enqueued, task_finished, task_started
from django.test import override_settings
from django.utils import timezone

import coshelf
from coshelf.contrib.django import shelves
from coshelf.contrib.django.management.commands.coshelf_worker import Command
from coshelf.contrib.django.tasks import CoshelfBackend, Worker, WorkerDied
from coshelf.contrib.django.tasks.rows import key_of

BACKEND = "coshelf.contrib.django.tasks.CoshelfBackend"
on_every_engine = pytest.mark.parametrize("location", ["lmdb", "memory", "sqlite"], indirect=True)


def backend() -> CoshelfBackend:
    found: CoshelfBackend = task_backends["default"]
    return found


def work(*queues: str) -> None:
    """Run all tasks that can run now."""
    for queue in queues or ("default",):
        worker = Worker(backend(), queue)
        while worker.run_one():
            pass


@on_every_engine
def test_a_task_is_run_and_its_result_found(site: Any) -> None:
    result = site.add.enqueue(1, second=2)
    assert (result.status, result.attempts) == (TaskResultStatus.READY, 0)
    assert site.add.get_result(result.id) == result
    work()
    result.refresh()
    assert (result.status, result.return_value, result.attempts) == (TaskResultStatus.SUCCESSFUL, 3, 1)
    assert result.enqueued_at <= result.started_at == result.last_attempted_at <= result.finished_at
    assert backend().queue("default").qsize() == 0


@on_every_engine
def test_tasks_of_loops_do_the_same(site: Any) -> None:
    async def main() -> Any:
        result = await site.add_soon.aenqueue(1, 2)
        await asyncio.to_thread(work)
        await result.arefresh()
        with pytest.raises(TaskResultDoesNotExist):
            await site.add.aget_result("no such")
        return result

    assert asyncio.run(main()).return_value == 3


@on_every_engine
def test_greater_priorities_come_first_and_equal_ones_in_order(site: Any) -> None:
    found = [
        site.add.using(priority=priority).enqueue(priority, number)
        for number, priority in enumerate((0, -100, 7, 0, 100, 7))
    ]
    work()
    for result in found:
        result.refresh()
    ended = sorted(found, key=lambda result: result.finished_at)
    assert [result.args for result in ended] == [[100, 4], [7, 2], [7, 5], [0, 0], [0, 3], [-100, 1]]
    assert ended[0].task == site.add.using(priority=100)


@on_every_engine
def test_a_deferred_task_waits_for_its_time(site: Any) -> None:
    now = timezone.now()
    later = site.add.using(run_after=now + timedelta(hours=1)).enqueue(1, 1)
    past = site.add.using(run_after=now - timedelta(hours=1)).enqueue(1, 1)
    work()
    assert site.add.get_result(later.id).status == TaskResultStatus.READY
    assert site.add.get_result(past.id).status == TaskResultStatus.SUCCESSFUL
    assert site.add.get_result(later.id).task.run_after == now + timedelta(hours=1)


def test_a_local_time_without_a_zone_is_understood(site: Any) -> None:
    with override_settings(USE_TZ=False):
        later = site.add.using(run_after=timezone.now() + timedelta(hours=1)).enqueue(1, 1)
        work()
        assert site.add.get_result(later.id).status == TaskResultStatus.READY


def test_queues_are_apart(site: Any) -> None:
    mail, other = site.add.using(queue_name="mail").enqueue(1, 1), site.add.enqueue(1, 1)
    work("mail")
    assert site.add.get_result(mail.id).is_finished
    assert not site.add.get_result(other.id).is_finished


@pytest.mark.parametrize(
    ("name", "arguments", "error", "text"),
    [
        ("fail", ["why"], ValueError, "why"),
        ("leave", [], SystemExit, "3"),
        ("unwritable", [], TypeError, "Unsupported type"),
        ("add", [1], TypeError, "missing 1 required positional argument"),
    ],
)
def test_a_task_that_raises_has_failed_and_is_not_run_again(
    site: Any, name: str, arguments: list[Any], error: type[BaseException], text: str
) -> None:
    result = getattr(site, name).enqueue(*arguments)
    work()
    work()
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 1)
    assert result.errors[0].exception_class is error
    assert text in result.errors[0].traceback


def test_the_context_tells_attempt_and_id(site: Any) -> None:
    result = site.attempt.enqueue()
    work()
    result.refresh()
    assert result.return_value == [1, result.id]


def test_signals_tell_what_happens(site: Any) -> None:
    told: list[tuple[str, str]] = []

    def tell(signal: Any, task_result: Any, **_: Any) -> None:
        told.append((str(task_result.status), task_result.id))

    for signal in (task_enqueued, task_started, task_finished):
        signal.connect(tell)
    try:
        result = site.add.enqueue(1, 2)
        work()
    finally:
        for signal in (task_enqueued, task_started, task_finished):
            signal.disconnect(tell)
    assert told == [("READY", result.id), ("RUNNING", result.id), ("SUCCESSFUL", result.id)]


@on_every_engine
def test_an_interrupted_task_goes_back(site: Any) -> None:
    result = site.interrupt.enqueue()
    with pytest.raises(KeyboardInterrupt):
        Worker(backend(), "default").run_one()
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.READY, 1)
    assert backend().queue("default").qsize() == 1


def test_a_task_that_ends_every_worker_has_failed(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    result = site.interrupt.enqueue()
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            Worker(backend(), "default").run_one()
    assert Worker(backend(), "default").run_one()
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 5)
    assert result.errors[0].exception_class is WorkerDied
    assert "begun 5 times" in result.errors[0].traceback
    assert backend().queue("default").qsize() == 0


def test_a_task_that_no_longer_exists_has_failed(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    result = site.add.enqueue(1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(site, "add", "something else")
        work()
    result.refresh()
    assert result.status == TaskResultStatus.FAILED
    assert "is not a Task, but a str" in result.errors[0].traceback


def test_a_task_whose_entry_was_removed_is_not_run(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    result = site.fail.enqueue("why")
    del backend().shelf[key_of(result.id)]
    with caplog.at_level(logging.WARNING, "django.tasks"):
        work()
    assert "has no entry any more" in caplog.text
    assert backend().queue("default").qsize() == 0


def test_the_shelf_has_plain_data_only(site: Any, path: str) -> None:
    result = site.fail.using(run_after=timezone.now()).enqueue("why")
    work()
    shelves.close_all()
    with coshelf.open(path, trust=False) as shelf:
        assert shelf[f"django/tasks/{key_of(result.id)}"]["status"] == "FAILED"


@pytest.mark.parametrize(
    ("options", "seconds"),
    [({}, 86_400), ({"keep_results": timedelta(hours=1)}, 3600), ({"keep_results": 90.5}, 90.5)],
)
def test_results_are_kept_for_a_time_after_the_end(
    site: Any, path: str, options: dict[str, Any], seconds: float
) -> None:
    with override_settings(TASKS={"default": {"BACKEND": BACKEND, "LOCATION": path, "OPTIONS": options}}):
        result = site.add.enqueue(1, 2)
        assert backend().shelf.expires(key_of(result.id)) is None
        work()
        expires = backend().shelf.expires(key_of(result.id))
    assert expires is not None
    assert seconds - 60 < expires - time.time() <= seconds


@pytest.mark.parametrize(("keep", "is_there"), [(None, True), (0, False)])
def test_results_can_be_kept_for_ever_or_not_at_all(site: Any, path: str, keep: Any, is_there: bool) -> None:
    setting = {"BACKEND": BACKEND, "LOCATION": path, "OPTIONS": {"keep_results": keep}}
    with override_settings(TASKS={"default": setting}):
        result = site.add.enqueue(1, 2)
        work()
        assert (key_of(result.id) in backend().shelf) is is_there


@pytest.mark.parametrize("location", ["memory"], indirect=True)
def test_what_is_refused_is_not_stored(site: Any) -> None:
    with pytest.raises(TypeError, match="Unsupported type"):
        site.add.enqueue(object(), 1)
    with override_settings(TASKS={"default": {"BACKEND": BACKEND, "LOCATION": "memory:"}}):
        with pytest.raises(InvalidTask, match="Queue 'mail' is not valid"):
            site.add.using(queue_name="mail")
        assert len(backend().shelf) == 0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({}, "LOCATION of TASKS must be the path or URL"),
        ({"LOCATION": "memory:", "OPTIONS": {"attempts": 0}}, "attempts is a number, 1 or more, not 0"),
        ({"LOCATION": "memory:", "OPTIONS": {"keep_results": -1}}, "keep_results is a number of seconds"),
        ({"LOCATION": "memory:", "OPTIONS": {"results": 1}}, "'results' does not exist"),
    ],
)
def test_wrong_settings_are_said_at_once(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=message):
        CoshelfBackend("default", setting)


def test_an_engine_without_expiry_is_refused(site: Any, tmp_path: Path) -> None:
    setting = {"BACKEND": BACKEND, "LOCATION": f"files:{tmp_path / 'f'}"}
    with override_settings(TASKS={"default": setting}), pytest.raises(coshelf.Unsupported, match="expiry"):
        site.add.enqueue(1, 2)


def test_the_command_works_on_all_queues_until_they_are_empty(site: Any, path: str) -> None:
    setting = {"BACKEND": BACKEND, "LOCATION": path, "QUEUES": ["default", "mail"]}
    with override_settings(TASKS={"default": setting}):
        found = [site.add.using(queue_name=name).enqueue(1, 2) for name in ("default", "mail") * 3]
        said = io.StringIO()
        call_command(Command(), batch=True, threads=2, stdout=said)
        assert [site.add.get_result(result.id).return_value for result in found] == [3] * 6
        assert said.getvalue() == f"working on default, mail in {path}\n"


@pytest.mark.parametrize("location", ["memory"], indirect=True)
def test_a_worker_that_fails_ends_the_command(site: Any) -> None:
    site.interrupt.enqueue()
    with pytest.raises(KeyboardInterrupt):
        call_command(Command(), stdout=io.StringIO())


@pytest.mark.parametrize("location", ["memory"], indirect=True)
def test_the_command_says_what_is_wrong(site: Any) -> None:
    settings = {
        "default": {"BACKEND": BACKEND, "LOCATION": "memory:"},
        "dummy": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"},
        "bad": {"BACKEND": BACKEND},
    }
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"backend": "none"}, "'none' doesn't exist"),
        ({"backend": "dummy"}, "is a DummyBackend, and not a CoshelfBackend"),
        ({"backend": "bad"}, "LOCATION of TASKS"),
        ({"queue": ["mail"]}, "--queue mail: the QUEUES of the backend are default"),
        ({"threads": 0}, "--threads is 1 or more, not 0"),
    ]
    with override_settings(TASKS=settings):
        for options, message in wrong:
            with pytest.raises(CommandError, match=message):
                call_command(Command(), **options)
