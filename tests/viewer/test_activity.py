"""What happens in a shelf now, as the viewer tells it: locks, queues, files, commits, expiry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.errors import StorageError
from coshelf.system import clock
from coshelf.viewer.activity.now import KINDS, look
from coshelf.viewer.activity.rates import Samples

ENGINES = ("lmdb", "sqlite", "files", "memory", "mapping")


def target_of(engine: str, place: Path) -> Any:
    path = str(place / "a.shelf")
    return {"lmdb": path, "memory": "memory:", "mapping": {}, "sqlite": f"sqlite:{path}", "files": f"files:{path}"}[
        engine
    ]


@pytest.fixture(params=ENGINES)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return target_of(request.param, tmp_path)


def test_a_held_lock_is_shown_with_its_holder(target: Any) -> None:
    with coshelf.open(target) as shelf:
        engine = shelf.engine_for("look")
        assert look(engine).locks.value == ()
        with shelf.lock("deploy"), shelf.semaphore("gpu", 2):
            found = look(engine).locks.value
        assert found is not None
        assert [(lock.kind, lock.name, lock.most) for lock in found] == [
            ("lock", "'deploy'", 1),
            ("semaphore", "'gpu'", 2),
        ]
        assert all("pid" in lock.holders[0] and not lock.waiting for lock in found)


def test_items_of_queues_are_counted_by_state(target: Any) -> None:
    with coshelf.open(target) as shelf:
        jobs = shelf.queue("jobs\x1b")
        jobs.put(1)
        jobs.put(2)
        jobs.put(3, delay=3600)
        with jobs.take():
            found = look(shelf.engine_for("look")).queues.value
        assert found is not None
        assert [(queue.name, dict(zip(KINDS, queue.counts, strict=True))) for queue in found] == [
            ("jobs\\x1b", {"available": 1, "delayed": 1, "taken": 1, "failed": 0})
        ]


def test_the_number_of_commits_grows_or_there_is_a_reason(target: Any) -> None:
    with coshelf.open(target) as shelf:
        engine = shelf.engine_for("look")
        before = look(engine).commits
        shelf["a"] = 1
        shelf["b"] = 2
        after = look(engine).commits
        if before.value is None:
            assert engine.name in before.reason
        else:
            assert after.value == before.value + 2


def test_expiry_tells_the_next_time_and_what_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open("memory:") as shelf:  # where nothing removes what is due in the background
        engine = shelf.engine_for("look")
        empty = look(engine).expiry.value
        assert empty is not None
        assert (empty.seconds, empty.due) == (None, 0)
        shelf.set("soon", 1, expire=100)
        soon = look(engine).expiry.value
        assert soon is not None
        assert soon.seconds is not None
        assert 0 < soon.seconds <= 100
        later = clock.now() + 200_000_000
        monkeypatch.setattr(clock, "now", lambda: later)
        due = look(engine).expiry.value
        assert due is not None
        assert due.due == 1


def test_what_an_engine_cannot_tell_has_a_reason_and_no_zero(tmp_path: Path) -> None:
    with coshelf.open("memory:") as shelf:
        now = look(shelf.engine_for("look"))
        assert (now.file.value, now.file.reason) == (None, "the memory engine has no file of its own")
    with coshelf.open(target_of("files", tmp_path)) as shelf:
        now = look(shelf.engine_for("look"))
        assert (now.expiry.value, now.expiry.reason) == (None, "the files engine has no entries that expire")


def test_a_part_that_fails_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["a"] = 1
        engine = shelf.engine_for("look")

        def fail() -> None:
            raise StorageError("the disk\x1b is gone\n  hint: none")

        monkeypatch.setattr(engine, "figures", fail)
        now = look(engine)
        assert now.file.reason == "the disk\\x1b is gone"
        assert now.commits.value is not None


def test_hits_misses_and_evictions_are_those_of_a_shelf_with_limits(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf", max_entries=10) as shelf:
        for number in range(30):
            shelf[number] = number
        shelf.get(29)
        shelf.get("absent")
        file = look(shelf.engine_for("look")).file.value
        assert file is not None
        assert file.misses is not None
        assert file.hits is not None
        assert file.misses >= 1
        assert file.hits >= 1


def test_a_number_that_falls_begins_a_new_line() -> None:
    samples = Samples()
    for at, number in ((0, 10), (1, 20), (2, 5), (3, 7)):
        samples.add(at, number)
    assert samples.curve(width=100, height=10, least=60).rates == ((0.0, 2.0),)


def test_a_line_without_commits_lies_on_the_ground() -> None:
    samples = Samples()
    for at in range(3):
        samples.add(at, 7)
    curve = samples.curve(width=100, height=10, least=2)
    assert (curve.points, curve.latest, curve.highest) == ("50.0,10.0 100.0,10.0", 0.0, 0.0)


def test_samples_are_bounded_and_of_one_direction_in_time() -> None:
    samples = Samples(most=3)
    for at in (1, 2, 2, 1, 3, 4, 5):
        samples.add(at, at)
    assert len(samples) == 3
    assert Samples().curve(width=1, height=1, least=1).latest is None
