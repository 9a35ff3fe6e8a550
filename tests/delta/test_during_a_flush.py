"""A flush stopped at each of its places: what others see and do meanwhile, and after it went on or was killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from insides import environment_of, until
from support import Worker

import coshelf
from coshelf.engines.lmdb.delta.committer import Committer

SCRIPTS = Path(__file__).parent / "scripts" / "during_a_flush"

PLACES = [
    *("flush-locked", "flush-copied", "flush-announced", "flush-committed"),
    *("empty-begun", "empty-done", "flush-done"),
]
# Where the delta's write lock is held, so that nobody can commit.
HOLDS_THE_DELTA = {"empty-begun"}

FLUSHER = SCRIPTS / "stopped.py"
BEFORE = {"a": 2, "b": -2, "x" * 600: 2, "new": 0}
AFTER = {"a": 3, "b": -3, "x" * 600: 2, "new": 1, "gone": 5}


class Stopped:
    """A worker in the middle of a flush."""

    def __init__(self, armed: Callable[..., Worker], path: str, place: str) -> None:
        self._flag = path + ".stopped"
        self.worker = armed(f"{place}=pause:{self._flag}@1000", FLUSHER, path, place)
        self.worker.expect("flushing")
        until(lambda: os.path.exists(self._flag))

    def go_on(self) -> None:
        os.unlink(self._flag)
        self.worker.expect("flushed")

    def kill(self) -> None:
        self.worker.kill()
        os.unlink(self._flag)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    place: str = request.param
    return place


def check(shelf: Any, expected: dict[str, int]) -> None:
    assert dict(shelf) == expected
    assert list(shelf.items(reverse=True)) == sorted(expected.items(), reverse=True)
    assert len(shelf) == len(expected)
    for key in (*expected, "gone"):
        assert shelf.get(key) == expected.get(key)
        assert (key in shelf) == (key in expected)
    with shelf.snapshot() as snapshot:
        assert dict(snapshot) == expected
        assert len(snapshot) == len(expected)
    found = shelf.get_many(["a", "b"])
    assert found["a"] + found["b"] == 0


def commit_more(shelf: Any) -> None:
    with shelf.transaction() as t:
        t["a"] += 1
        t["b"] -= 1
    shelf["gone"] = 5
    assert shelf.modify("new", lambda value: value + 1) == 1


def test_everybody_sees_everything_once_and_can_commit(path: str, armed: Callable[..., Worker], place: str) -> None:
    stopped = Stopped(armed, path, place)
    with coshelf.open(path, flush_interval=1000) as shelf:
        check(shelf, BEFORE)
        held = shelf.snapshot()
        iterator = iter(shelf.items())
        first = next(iterator)
        if place not in HOLDS_THE_DELTA:
            commit_more(shelf)
            check(shelf, AFTER)
        stopped.go_on()
        assert dict(held) == BEFORE and dict([first, *iterator]) == BEFORE
        held.close()
        if place in HOLDS_THE_DELTA:
            commit_more(shelf)
        check(shelf, AFTER)
        shelf.sync()
        check(shelf, AFTER)
    with coshelf.open(path, "r") as shelf:
        check(shelf, AFTER)


@pytest.mark.parametrize("between", [True, False], ids=["commits meanwhile", "none"])
def test_killed_there_nothing_is_lost_or_doubled(
    path: str, armed: Callable[..., Worker], place: str, between: bool
) -> None:
    stopped = Stopped(armed, path, place)
    with coshelf.open(path, flush_interval=1000) as shelf:
        check(shelf, BEFORE)
        committed = between and place not in HOLDS_THE_DELTA
        if committed:
            commit_more(shelf)
        with shelf.snapshot() as held:
            stopped.kill()
            assert dict(held) == (AFTER if committed else BEFORE)
        check(shelf, AFTER if committed else BEFORE)
        if not committed:
            commit_more(shelf)
        check(shelf, AFTER)
        shelf.sync()
        check(shelf, AFTER)
    with coshelf.open(path, "r") as shelf:
        check(shelf, AFTER)


def test_killed_there_the_next_opener_finds_everything(path: str, armed: Callable[..., Worker], place: str) -> None:
    Stopped(armed, path, place).kill()
    with coshelf.open(path, "r") as reader:
        check(reader, BEFORE)
    with coshelf.open(path, flush_interval=1000) as shelf:
        commit_more(shelf)
        check(shelf, AFTER)
    with coshelf.open(path, "r") as shelf:
        check(shelf, AFTER)


@pytest.mark.parametrize("place", [place for place in PLACES if place not in HOLDS_THE_DELTA])
def test_killed_there_with_all_who_committed_meanwhile_nothing_is_lost(
    path: str, armed: Callable[..., Worker], place: str
) -> None:
    """Whichever nonce the base has by then, the delta is still its own."""
    stopped = Stopped(armed, path, place)
    other = armed("", 'shelf = coshelf.open(path)\nshelf["late"] = 1\nsay("done")\nhear()', path)
    other.expect("done")
    other.kill()
    stopped.kill()
    with coshelf.open(path, timeout=60) as shelf:
        check(shelf, BEFORE | {"late": 1})


@pytest.mark.parametrize("place", ["flush-locked", "flush-committed"])
def test_a_delta_that_was_replaced_meanwhile_is_not_taken_for_empty(
    path: str, armed: Callable[..., Worker], place: str
) -> None:
    stopped = Stopped(armed, path, place)
    with coshelf.open(path, flush_interval=1000) as shelf:
        environment = environment_of(shelf)
        if place == "flush-locked":  # it holds the lock of the base, which the other needs
            stopped.kill()
        with environment.exclusive.hold(60):
            Committer(environment).replace_delta()
        commit_more(shelf)
        if place != "flush-locked":
            stopped.go_on()
        check(shelf, AFTER)
        with coshelf.open(path) as another:
            check(another, AFTER)
