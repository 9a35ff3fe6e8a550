"""Workers that are forked or spawned beside an open shelf: Celery's, and pools of processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from program import Program, wait_for

import coshelf

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

TASKS = 200


def test_celery_workers_write_through_a_shelf_that_was_opened_before_the_fork(path: Path, tmp_path: Path) -> None:
    settings = {"CELERY_APPLICATION_SHELF": str(path), "CELERY_APPLICATION_MESSAGES": str(tmp_path / "messages")}
    worker = "celery -A celery_application worker --pool prefork --concurrency 3 --loglevel INFO".split()

    def send(first: int) -> None:
        call = f"celery -A celery_application call celery_application.send --args [{first},{TASKS}]"
        with Program(*call.split(), folder=tmp_path, **settings) as caller:
            wait_for(lambda: not caller.is_running, "the message to be sent")
            assert caller.stop() == 0

    with coshelf.open(path) as shelf:
        visits = shelf.sub("visits")
        with Program(*worker, folder=tmp_path, **settings) as program:
            send(0)
            wait_for(lambda: len(visits) >= TASKS / 4 or not program.is_running, "tasks")
            assert program.is_running
        # It was killed with all its workers, and with it the tasks that they had taken.
        after_kill = dict(visits)
        assert shelf["count"] >= len(after_kill)
        with Program(*worker, folder=tmp_path, **settings) as program:
            send(TASKS)
            names = [str(number) for number in range(TASKS, 2 * TASKS)]
            wait_for(lambda: len(visits.get_many(names)) == TASKS or not program.is_running, "tasks after a kill")
            assert program.is_running
            assert program.stop() == 0
        assert len(set(visits.get_many(names).values())) > 1
        done = dict(visits)
        assert done.items() >= after_kill.items()
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf.sub("visits")) == done
        assert not shelf.check().problems


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_pools_of_processes_write_through_the_shelf_that_they_are_given(
    method: str, path: Path, tmp_path: Path
) -> None:
    with Program("pool_of_processes", method, str(path), str(TASKS), folder=tmp_path) as program:
        wait_for(lambda: not program.is_running, "the end of the pools")
        assert program.stop() == 0, program.said()
    with coshelf.open(path, "r") as shelf:
        assert (shelf["started"], shelf["ended"], shelf["count"]) == (True, True, 2 * TASKS)
        assert len(shelf.sub("visits")) == 2 * TASKS
        assert not shelf.check().problems
