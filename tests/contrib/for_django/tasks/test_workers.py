"""Workers as processes, started as a site starts them, and killed."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.tasks import TaskResultStatus, task_backends
from django.test import override_settings
from support import Crew
from support import Worker as Process

from coshelf.contrib.django.tasks import Worker, WorkerDied

BACKEND = "coshelf.contrib.django.tasks.CoshelfBackend"
MANAGE = Path(__file__).parent / "scripts" / "site" / "manage.py"


@pytest.fixture
def start(crew: Crew, path: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Process]:
    """Starts a worker of the site, and waits until it works."""
    monkeypatch.setenv("SITE_SHELF", path)

    def begin(*options: str) -> Process:
        worker = crew.start(MANAGE, "coshelf_worker", *options)
        assert worker.hear() == f"working on default, mail in {path}"
        return worker

    return begin


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Where tasks note that they run, and which file lets them end."""
    return str(tmp_path / "notes"), str(tmp_path / "stop")


def lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8").splitlines() if os.path.exists(path) else []


def until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler of a signal. A worker takes it away when it is told to stop."""
    (mask,) = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)


def run_here(timeout: float = 0) -> None:
    """Run a task in this process."""
    assert Worker(task_backends["default"], "default").run_one(timeout)


def test_a_task_of_a_killed_worker_is_run_by_another(
    site: Any, start: Callable[..., Process], files: tuple[str, str]
) -> None:
    notes, stop = files
    result = site.note_and_wait.enqueue(notes, stop)
    first = start()
    until(lambda: lines(notes) == [str(first.pid)])
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.RUNNING, 1)
    second = threading.Thread(target=run_here, args=(60,))
    second.start()
    first.kill()
    until(lambda: len(lines(notes)) == 2)
    Path(stop).touch()
    second.join()
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.SUCCESSFUL, 2)
    assert len(set(result.worker_ids)) == 2
    assert lines(notes) == [str(first.pid), str(os.getpid())]


def test_a_worker_that_is_told_to_stop_ends_its_task_first(
    site: Any, start: Callable[..., Process], files: tuple[str, str]
) -> None:
    notes, stop = files
    result, later = site.note_and_wait.enqueue(notes, stop), site.add.enqueue(1, 2)
    worker = start()
    until(lambda: lines(notes))
    worker.process.terminate()
    until(lambda: not handles(worker.pid, signal.SIGTERM))  # the main thread hears it, and the task is in another one
    Path(stop).touch()
    assert worker.finish() == []
    result.refresh()
    later.refresh()
    assert (result.return_value, later.status) == (worker.pid, TaskResultStatus.READY)


def test_the_second_signal_ends_a_worker_and_with_one_attempt_its_task_has_failed(
    site: Any, start: Callable[..., Process], files: tuple[str, str], path: str
) -> None:
    notes, stop = files
    setting = {"BACKEND": BACKEND, "LOCATION": path, "OPTIONS": {"attempts": 1}}
    with override_settings(TASKS={"default": setting}):
        result = site.note_and_wait.enqueue(notes, stop)
        worker = start()
        until(lambda: lines(notes))
        while worker.process.poll() is None:
            worker.interrupt()
            time.sleep(0.01)
        worker.finish(-signal.SIGINT)
        run_here()
        result.refresh()
        assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 1)
        assert result.errors[0].exception_class is WorkerDied
        assert lines(notes) == [str(worker.pid)]


def test_a_kill_leaves_each_task_either_ended_or_in_its_queue(
    site: Any, start: Callable[..., Process], files: tuple[str, str]
) -> None:
    notes, _ = files
    found = [site.note.enqueue(notes, str(number)) for number in range(1000)]
    worker = start("--threads", "2")
    until(lambda: len(lines(notes)) > 20)
    for _ in range(10):  # while the others work
        run_here()
    worker.kill()
    ended = sum(site.note.get_result(result.id).is_finished for result in found)
    queue = task_backends["default"].queue("default")

    def are_all_back() -> bool:
        """Whether the items of the dead worker are back in the queue. Takers look for them."""
        with suppress(LookupError), queue.take():
            raise LookupError("the item goes back")
        return queue.qsize() + ended == len(found)

    until(are_all_back)
    noted = lines(notes)
    assert ended <= len(noted) <= ended + 2
    assert len(set(noted)) == len(noted)
