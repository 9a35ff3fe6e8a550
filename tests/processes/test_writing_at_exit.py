"""Programs write until the very end of the interpreter, as they can with shelve, and a shelf stays open for them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from support import Crew

import coshelf
from coshelf import shelve
from forked import FORK

SCRIPTS = Path(__file__).parent / "scripts" / "writing_at_exit"

pytestmark = pytest.mark.usefixtures("whole_ends")
LATE = SCRIPTS / "late.py"
WRITTEN = {"a": 1, "ended": 1, "count": 1, "together": 1, "deleted": 1}


@pytest.fixture
def whole_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start an interpreter for each program: in a fork, what it inherited outlives the end of its modules."""
    monkeypatch.delenv(FORK, raising=False)


def _contents(target: str) -> dict[Any, Any]:
    with coshelf.open(target) as shelf:
        return dict(shelf)


@pytest.mark.parametrize("durability", ["interval", "commit"])
@pytest.mark.parametrize("engine", ["", "sqlite:", "files:"])
def test_what_is_written_at_exit_and_when_modules_are_torn_down_is_there(
    crew: Crew, path: str, engine: str, durability: str
) -> None:
    crew.run(LATE, engine + path, durability)
    kept = {"": [], "sqlite:": [".a.shelf.coshelf-lock"], "files:": [".a.shelf.coshelf-staging"]}
    assert sorted(os.listdir(os.path.dirname(path))) == sorted(["a.shelf", *kept[engine]])
    assert _contents(engine + path) == WRITTEN


@pytest.mark.usefixtures("tables")  # whose write lock can be held for a time
def test_what_is_written_when_modules_are_torn_down_waits_for_another_process(crew: Crew, path: str) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["a"] = 1
        worker = crew.start(
            SCRIPTS / "late_and_waiting.py",
            path,
        )
        worker.expect("open")
        worker.tell()
        worker.expect("late")
        environment = shelf._handle.engine._environment
        with environment.inside():
            commit = environment.current_delta().begin_write()
            worker.tell()
            time.sleep(0.3)  # it waits for the end of this commit, or has given up
            commit.abort()
        worker.finish()
        assert dict(shelf) == {"a": 1, "b": 2, "deleted": 1}


def test_a_shelf_that_nobody_touches_again_leaves_no_sidecars(crew: Crew, path: str) -> None:
    crew.run('shelf = coshelf.open(path)\nshelf["a"] = 1', path)
    assert os.listdir(os.path.dirname(path)) == ["a.shelf"]
    assert _contents(path) == {"a": 1}


def test_a_value_changed_in_place_at_exit_is_written_back(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "changed_in_place.py",
        path,
    )
    assert _contents(path) == {"list": ["early", "late"]}


def test_the_drop_in_stores_what_is_written_at_exit(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "drop_in.py",
        path,
    )
    with shelve.open(path) as shelf:
        assert dict(shelf) == {"list": [1, 2], "late": 1}


def test_a_child_of_multiprocessing_leaves_nothing_to_be_flushed(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "child_of_multiprocessing.py",
        path,
    )
    assert os.listdir(os.path.dirname(path)) == ["a.shelf"]
    assert _contents(path) == {"child": 1}


def test_daemon_threads_that_write_until_the_end_do_not_keep_it_from_coming(crew: Crew, path: str) -> None:
    crew.run(
        LATE,
        path,
        "interval",
        "beside a thread",
    )
    written = _contents(path)
    written.pop("deleted", None)  # the thread keeps the module's objects alive, so nothing may delete this one
    assert written == {key: value for key, value in WRITTEN.items() if key != "deleted"}
    assert _contents(path + "-other") == {"thread": 1}
