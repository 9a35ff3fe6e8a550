"""Sequence numbers: none is given out twice, whoever commits where and is killed when."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from insides import base_row, flush_all, last_number
from support import Crew, Worker

import coshelf
from coshelf import keys

SCRIPTS = Path(__file__).parent / "scripts" / "numbers"

COMMITS = SCRIPTS / "commits_of_many.py"


def test_no_two_commits_of_several_processes_have_the_same(crew: Crew, path: str) -> None:
    workers = crew.start_many(4, COMMITS, path)
    told = [[int(number) for number in worker.finish()[-1].split()] for worker in workers]
    everything = [number for numbers in told for number in numbers]
    assert len(everything) == 4 * 60
    assert len(set(everything)) == len(everything)


def version(shelf: Any, key: Any) -> int:
    found: int = shelf._handle.engine.get(keys.encode(key)).version
    return found


def test_they_go_on_after_everything_was_closed(path: str) -> None:
    versions = []
    for turn in range(5):
        with coshelf.open(path, flush_interval=1000) as shelf:
            for key in range(3):
                shelf[key] = turn
                versions.append(version(shelf, key))
    assert versions == sorted(set(versions))


@pytest.mark.parametrize("place", ["direct-numbered", "direct-announced", "direct-committed"])
@pytest.mark.parametrize("stays", [True, False], ids=["seen by another", "reopened"])
def test_one_that_was_taken_by_who_died_is_not_given_out_again(
    path: str, armed: Callable[..., Worker], place: str, stays: bool
) -> None:
    script = SCRIPTS / "numbered_and_killed.py"
    first = coshelf.open(path, flush_interval=1000)
    if not stays:
        first.close()
    victim = armed(f"{place}=kill", script, path)
    taken = int(victim.hear())
    victim.finish(-signal.SIGKILL)
    if not stays:
        first = coshelf.open(path, flush_interval=1000)
    with first as shelf:
        shelf["mine"] = 1
        assert last_number(shelf) > taken
        assert shelf.copy() == {"a": 1, "mine": 1} | (
            {n: n for n in range(1001)} if place == "direct-committed" else {}
        )
        shelf.sync()
        assert base_row(shelf).sequence > taken


def test_an_entry_that_was_set_to_what_it_was_has_another_version(path: str) -> None:
    """So that nobody who compares versions takes it for unchanged, also across flushes."""
    with coshelf.open(path, flush_interval=1000) as shelf:
        versions = []
        for turn in range(6):
            shelf["a"] = "same"
            versions.append(version(shelf, "a"))
            if turn % 2:
                flush_all(shelf)
                assert version(shelf, "a") == versions[-1]
            if turn % 3 == 0:
                del shelf["a"]
        assert len(set(versions)) == 6
