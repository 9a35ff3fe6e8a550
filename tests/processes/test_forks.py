"""A shelf survives fork in parent and child: what the parent holds stays whole, and the child has its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import Crew, beside

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "forks"

ENDS = ("os._exit", "sys.exit", "exception", "end of script")


@pytest.mark.parametrize("end", ENDS)
def test_what_the_parent_holds_stays_whole_while_children_commit(crew: Crew, path: str, end: str) -> None:
    crew.run(SCRIPTS / "children_beside_what_is_held.py", path, end)
    with coshelf.open(path) as shelf:
        assert len(shelf) == 200 + 4 + 1
    assert beside(path) == ["a.shelf"]


def test_a_child_that_fails_leaves_the_parent_alone(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "child_that_fails.py",
        path,
    )
    assert beside(path) == ["a.shelf"]


def test_children_at_the_same_time_and_their_children(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "children_of_children.py",
        path,
    )
    assert beside(path) == ["a.shelf"]


@pytest.mark.parametrize("end", ENDS)
def test_a_child_forked_inside_a_transaction_neither_commits_nor_releases(crew: Crew, path: str, end: str) -> None:
    crew.run(SCRIPTS / "fork_in_a_transaction.py", path, end)
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"a": "committed"}


def test_a_child_waits_for_the_parents_transaction_like_any_other(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "child_waits.py",
        path,
    )
    assert beside(path) == ["a.shelf"]


def test_the_lock_of_a_parent_that_died_is_not_kept_by_its_child(crew: Crew, path: str) -> None:
    mother = crew.start(
        SCRIPTS / "parent_that_dies.py",
        path,
    )
    mother.expect("holding")
    mother.kill()
    with coshelf.open(path, timeout=60) as shelf:
        shelf["b"] = 1
        with shelf.transaction() as t:
            assert dict(t) == {"a": 1, "b": 1}
    mother.tell()
    assert beside(path) == ["a.shelf"]


def test_a_child_that_stays_does_not_keep_the_file_locked(crew: Crew, path: str) -> None:
    """The parent goes on to close and to open again, alone and with others."""
    crew.run(
        SCRIPTS / "child_that_stays.py",
        path,
    )


@pytest.mark.parametrize("every", [16, pytest.param(1, marks=pytest.mark.long)])
def test_a_fork_at_any_step_of_opening_and_closing_leaves_no_lock_in_the_child(
    crew: Crew, path: str, every: int
) -> None:
    """As another thread may fork at that moment: the child has copies of descriptors that nobody in it knows of."""
    crew.run(
        SCRIPTS / "fork_at_any_step.py",
        path,
        every,
    )


def test_fork_while_threads_write_and_read(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "fork_beside_threads.py",
        path,
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_hands_a_shelf_over(crew: Crew, path: str, method: str) -> None:
    crew.run(SCRIPTS / "handed_over.py", path, method)
    assert beside(path) == ["a.shelf"]


def test_the_childs_writeback_cache_is_its_own(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "writeback_of_the_child.py",
        path,
    )
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"parents": [1], "childs": [2]}
    assert beside(path) == ["a.shelf"]


def test_a_child_that_never_touches_the_shelf_may_end_in_any_way(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "child_that_does_nothing.py",
        path,
    )


def test_a_shelf_that_was_closed_before_the_fork_is_closed_in_the_child(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "closed_before_the_fork.py",
        path,
    )


def test_a_child_opens_what_its_parent_has_open(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "child_opens_again.py",
        path,
    )
    assert beside(path) == ["a.shelf"]
