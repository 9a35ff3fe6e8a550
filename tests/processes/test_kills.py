"""kill -9 at any instant: what had returned is there, in order and whole; the next one goes on at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import Crew, beside

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "kills"


@pytest.mark.parametrize("seed", [1, 2])
def test_every_commit_that_had_returned_is_found_in_order_and_whole(crew: Crew, path: str, seed: int) -> None:
    crew.run(
        SCRIPTS / "logged_commits.py",
        path,
        seed,
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_what_a_killed_process_counted_is_counted_once(crew: Crew, path: str, seed: int) -> None:
    crew.run(SCRIPTS / "while_counting.py", path, seed)


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_processes_pop_no_item_twice_and_lose_none_but_the_one_under_way(
    crew: Crew, path: str, seed: int
) -> None:
    crew.run(SCRIPTS / "while_popping.py", path, seed)


def test_killed_inside_a_transaction_leaves_nothing_of_it_and_no_lock(crew: Crew, path: str) -> None:
    with coshelf.open(path, timeout=60) as shelf:
        shelf["a"] = 0
        for turn in range(5):
            victim = crew.start(
                SCRIPTS / "killed_in_a_transaction.py",
                path,
            )
            victim.expect("inside")
            waiting = crew.start(
                SCRIPTS / "waits_for_the_victim.py",
                path,
            )
            waiting.expect("waiting")
            assert dict(shelf) == {"a": turn * 3}
            victim.kill()
            waiting.finish()
            shelf.modify("a", lambda value: value + 1)
            with shelf.transaction(timeout=30) as t:
                t["a"] += 1
            assert dict(shelf) == {"a": turn * 3 + 3}
    assert beside(path) == ["a.shelf"]


# The victim counts the calls into C that return inside the library, and kills itself behind the one whose turn it is.
# In between nothing changes that others could see, so every step of making, opening, writing and closing is tried.
EVERY_STEP = pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.long)])
"""Some of the steps where there is little time, and all of them."""


@EVERY_STEP
@pytest.mark.parametrize("leftovers", [False, True], ids=["clean", "after a crash"])
def test_killed_at_any_step_of_making_a_shelf(crew: Crew, path: str, leftovers: bool, every: int) -> None:
    said = crew.run(
        SCRIPTS / "making.py",
        path,
        0,
        leftovers,
        every,
    )
    assert int(said[-1]) > 50


@EVERY_STEP
def test_what_a_killed_creator_leaves_is_swept_away(crew: Crew, path: str, every: int) -> None:
    crew.run(
        SCRIPTS / "making_leaves_nothing.py",
        path,
        0,
        every,
    )


@EVERY_STEP
def test_killed_at_any_step_of_opening_writing_and_closing(crew: Crew, path: str, every: int) -> None:
    said = crew.run(
        SCRIPTS / "opening_writing_closing.py",
        path,
        0,
        every,
    )
    assert int(said[-1]) > 200


@EVERY_STEP
def test_killed_at_any_step_while_others_have_it_open(crew: Crew, path: str, every: int) -> None:
    """The one who stays sees no error and can write at once, whatever the other was doing."""
    crew.run(
        SCRIPTS / "beside_others.py",
        path,
        0,
        every,
    )


GROWTH = SCRIPTS / "growth.py"


def test_killed_readers_do_not_make_the_file_grow(crew: Crew, path: str) -> None:
    without = int(crew.run(GROWTH, path, 1, "none")[0])
    os.unlink(path)
    killed = int(crew.run(GROWTH, path, 1, "kill")[0])
    # 860 overwrites of some 40 KB: 34 MB if nothing were used again. Until dead readers are looked for, every 128
    # commits, one round's pages are kept.
    assert killed < without + 140 * 100_000
    assert killed < 12_000_000
