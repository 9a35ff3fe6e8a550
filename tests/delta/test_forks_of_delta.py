"""A fork in the middle of it: parent and child each have the delta, and what waits in it is there once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import Crew, beside

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "forks_of_delta"


def test_what_waits_at_the_fork_is_there_for_both(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "waits_for_both.py",
        path,
    )
    assert beside(path) == ["a.shelf"]
    with coshelf.open(path, "r") as shelf:
        assert len(shelf) == 4


@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_children_of_a_parent_that_writes_and_flushes_all_the_time(crew: Crew, path: str, durability: str) -> None:
    crew.run(
        SCRIPTS / "children_of_a_busy_parent.py",
        path,
        durability,
    )
    assert beside(path) == ["a.shelf"]


def test_a_fork_while_another_thread_is_in_its_flush(crew: Crew, path: str) -> None:
    """The child must not find a lock that is held for ever; the parent's flush goes on."""
    crew.run(
        SCRIPTS / "fork_in_a_flush.py",
        path,
    )
    assert beside(path) == ["a.shelf"]


def test_a_child_whose_parent_replaced_the_delta_meanwhile_follows(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "delta_replaced_after_the_fork.py",
        path,
    )
    assert beside(path) == ["a.shelf"]
