"""Workers: their state in a shelf, and real ones that are killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from applications import make_app
from celery import chord, group
from celery.utils.collections import LimitedSet
from celery.worker.components import StateDB
from kombu.clocks import LamportClock
from support import Crew, Worker
from waiting import eventually

import coshelf
from coshelf.contrib.celery import WorkerState

WORKER = Path(__file__).parent / "scripts" / "worker.py"


class Soon(WorkerState):
    every = 0.01


@pytest.fixture
def begin() -> Iterator[Callable[..., Any]]:
    """Starts the step, as a worker does, with a state of its own."""
    ends = []

    def make(target: str | None, step: type[WorkerState] = Soon) -> Any:
        revoked = LimitedSet(maxlen=100, expires=1000)
        worker = SimpleNamespace(
            statedb=target,
            steps=[],
            blueprint={StateDB.name: SimpleNamespace(enabled=True)},
            state=SimpleNamespace(revoked=revoked, merge_revoked=lambda ids: revoked.update(list(ids))),
            app=SimpleNamespace(clock=LamportClock()),
        )
        found = step(worker)
        if found.include(worker):
            found.start(worker)
            ends.append(lambda: found.stop(worker))
        return worker

    yield make
    for end in ends:
        end()


def stored(path: str) -> dict[Any, Any]:
    with coshelf.open(path) as shelf:
        return dict(shelf.sub("celery/state"))


def test_what_is_revoked_is_stored_while_the_worker_runs(begin: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "a.shelf")
    worker = begin(path)
    worker.state.revoked.add("1")
    eventually("it is stored", lambda: ("revoked", "1") in stored(path))
    with coshelf.open(path) as shelf:
        assert shelf.sub("celery/state").expires(("revoked", "1")) is not None


def test_workers_share_what_is_revoked_and_the_clock(begin: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "a.shelf")
    first = begin(path, WorkerState)
    first.state.revoked.add("1")
    first.app.clock.adjust(70)
    first.steps[0].stop(first)
    second = begin(path)
    assert "1" in second.state.revoked
    assert second.app.clock.value > 70


def test_the_clock_never_goes_back(begin: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "a.shelf")
    first, second = begin(path, WorkerState), begin(path, WorkerState)
    first.app.clock.adjust(70)
    for worker in (first, second):
        worker.steps[0].stop(worker)
    assert stored(path)["clock"] == 71


def test_the_step_takes_the_place_of_celerys_own(begin: Any, tmp_path: Path) -> None:
    assert not begin(str(tmp_path / "a.shelf")).blueprint[StateDB.name].enabled


def test_without_a_path_there_is_nothing_to_keep(begin: Any) -> None:
    assert begin(None).steps == []


def test_something_else_at_the_path_stops_the_worker(begin: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    path.write_text("mine")
    with pytest.raises(coshelf.NotAShelf):
        begin(str(path))
    assert path.read_text() == "mine"


def wait_until_ready(worker: Worker) -> None:
    """Celery prints other lines first."""
    while worker.hear() != "ready":
        pass


@pytest.mark.long
def test_a_killed_worker_loses_no_result_and_no_revocation(crew: Crew, tmp_path: Path) -> None:
    place = str(tmp_path)
    app = make_app(place)
    add, total = app.tasks["add"], app.tasks["total"]
    first = crew.start(WORKER, place, options=())
    wait_until_ready(first)
    assert chord((add.s(number, number) for number in range(20)), app=app)(total.s()).get(timeout=120) == 380
    ready = add.delay(1, 2)
    assert ready.get(timeout=120) == 3
    app.control.revoke("7")
    eventually("it is stored", lambda: ("revoked", "7") in stored(f"{place}/state.shelf"))
    first.kill()
    waits = group((add.s(number, 1) for number in range(10)), app=app).apply_async()
    second = crew.start(WORKER, place, options=())
    wait_until_ready(second)
    assert waits.join_native(timeout=120) == list(range(1, 11))
    assert app.AsyncResult(ready.id).result == 3
    assert ("revoked", "7") in stored(f"{place}/state.shelf")
    second.process.terminate()
    assert second.process.wait(120) == 0, second.errors()
    with coshelf.open(f"{place}/results.shelf") as shelf:
        assert not [key for key in shelf.sub("celery/results") if key.startswith("chord-unlock")]
    app.backend.part.close()
