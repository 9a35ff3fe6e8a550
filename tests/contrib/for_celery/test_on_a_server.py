"""Celery's results and its beats in shelves on a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import states
from valkey_servers import Server, a_name, single
from waiting import eventually

from coshelf.contrib.celery import Scheduler

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = single(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def url(server: Server) -> str:
    return f"{server.url}/0/{a_name()}"


def test_a_result_on_a_server_wakes_another_client(url: str, make_app: Callable[..., Any]) -> None:
    app, other, begun = make_app(url), make_app(url), threading.Event()
    assert app.backend.url == url

    def store() -> None:
        assert begun.wait(60)
        for number in (1, 2):
            other.backend.store_result(str(number), number, states.SUCCESS)

    thread = threading.Thread(target=store)
    thread.start()
    assert app.AsyncResult("1").get(timeout=60, interval=1000, on_interval=begun.set) == 1
    assert dict(app.backend.get_many(["1", "2"], timeout=60, interval=1000)).keys() == {"1", "2"}
    thread.join()
    assert [app.backend.incr("chord-unlock-g"), other.backend.incr("chord-unlock-g")] == [1, 2]


def test_beats_on_a_server_follow_one_another(url: str, make_app: Callable[..., Any]) -> None:
    schedule = {"report": {"task": "report", "schedule": 3600}}
    apps = [make_app("memory://", beat_schedule=schedule) for _ in range(2)]
    first, second = (Scheduler(app, schedule_filename=url) for app in apps)
    first.tick()
    assert first._turn is not None
    waits = threading.Thread(target=second.tick)
    waits.start()
    eventually("the second waits", lambda: first._kept.shelf.lock("leader").waiting())
    first.close()
    waits.join(60)
    assert second._turn is not None
    assert second.schedule["report"].last_run_at == first.schedule["report"].last_run_at
    second.close()


def test_a_server_that_goes_away_stops_no_beat(tmp_path: Path, make_app: Callable[..., Any]) -> None:
    server = single(tmp_path / "server")
    app = make_app("memory://", beat_schedule={"report": {"task": "report", "schedule": 0.001}})

    class Impatient(Scheduler):
        options = {"timeout": 0.5}  # noqa: RUF012

    scheduler = Impatient(app, schedule_filename=f"{server.url}/0/{a_name()}")
    sent: list[str] = []
    scheduler.apply_async = lambda entry, **_: sent.append(entry.name)
    eventually("it sends", lambda: (scheduler.tick(), sent)[1])
    server.kill()
    eventually("it tries again later", lambda: scheduler.tick() == 5)
    count = len(sent)
    server.start()
    eventually("it sends again", lambda: (scheduler.tick(), len(sent) > count)[1])
    scheduler.close()
    server.kill()
