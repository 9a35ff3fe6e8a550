"""Many shelves open at the same time in one process: descriptors, address space, and what a fork does to the locks."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from support import Crew, beside

import coshelf
from coshelf.engines.lmdb.files import descriptors

SCRIPTS = Path(__file__).parent / "scripts" / "many_shelves"


def test_open_shelf_needs_five_descriptors_at_most(crew: Crew, path: str) -> None:
    """When it was made, while something waits in its delta, when that was flushed, and when it was opened again."""
    crew.run(
        SCRIPTS / "five_descriptors.py",
        path,
    )


def test_two_hundred_shelves_are_open_at_the_usual_limit(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "two_hundred_shelves.py",
        path,
    )


_WANTED = 5_100


@pytest.mark.long  # two hundred, above, find a leak of descriptors; this is about address space
@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < _WANTED, reason="the limit cannot be raised")
def test_a_thousand_shelves_are_open_at_once(crew: Crew, path: str) -> None:
    """At 256 GB of address space for each there would be none left after 512."""
    crew.run(
        SCRIPTS / "thousand_shelves.py",
        path,
        _WANTED,
    )


def test_child_that_stays_keeps_no_lock_of_a_parent_that_was_killed(crew: Crew, path: str) -> None:
    """Not those on the file and on the lock files either: who comes next is alone, and leaves nothing behind."""
    mother = crew.start(
        SCRIPTS / "child_without_locks.py",
        path,
    )
    mother.expect("forked")
    mother.kill()
    with coshelf.open(path, timeout=60) as shelf:
        assert dict(shelf) == {"a": 1}
        shelf["b"] = 2
        shelf.compact()  # only who is alone can do that
    assert beside(path) == [os.path.basename(path)]
    mother.tell()


def test_child_has_no_copies_of_its_parents_descriptors_and_maps(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "child_without_descriptors.py",
        path,
    )


def test_programs_that_are_started_inherit_no_descriptor(crew: Crew, path: str) -> None:
    """LMDB leaves that of the data to them, and the lock on the file would go with it."""
    crew.run(
        SCRIPTS / "children_inherit_nothing.py",
        path,
    )


def test_where_lmdbs_descriptors_are_not_found_it_works_with_others(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "_are_usable", lambda: False)
    for turn in range(3):
        with coshelf.open(path) as shelf:
            shelf["turn"] = turn
            with shelf.transaction() as t:
                t["again"] = turn
            shelf.sync()
            shelf.compact()
            assert dict(shelf) == {"turn": turn, "again": turn}
        assert beside(path) == [os.path.basename(path)]
