"""A view is good for as long as somebody has it, whatever becomes of the entry, the shelf and the process."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arrays import LARGE, blobs, is_whole, signed
from insides import until
from support import Crew

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "lifetime"


def _nothing(shelf: Any) -> None:
    pass


def _overwritten(shelf: Any) -> None:
    shelf["a"] = signed(2)
    shelf.sync()


def _deleted(shelf: Any) -> None:
    del shelf["a"]
    shelf.sync()


def _cleared(shelf: Any) -> None:
    shelf.clear()


def _compacted(shelf: Any) -> None:
    shelf.compact()


@pytest.mark.parametrize("change", [_nothing, _overwritten, _deleted, _cleared, _compacted])
def test_a_view_outlives_its_entry_and_its_shelf(path: str, change: Any) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = signed(1, 3 * LARGE)
        array = shelf["a"]
        change(shelf)
        assert is_whole(array)
        assert shelf.get("a") is None or is_whole(shelf["a"])
    assert is_whole(array) and array[0] == 1
    os.unlink(path)
    assert is_whole(array)


def test_a_view_of_a_part_keeps_the_whole(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = {"first": signed(1), "second": signed(2)}
        part = shelf["a"]["second"][100:200:3]
        del shelf["a"]
    gc.collect()
    assert part.tolist() == signed(2)[100:200:3].tolist()


def test_a_map_goes_with_the_last_view_of_it(path: str) -> None:
    def maps() -> int:
        with open("/proc/self/maps") as file:
            return sum(f"{path}.coshelf-blobs/" in line for line in file)

    with coshelf.open(path) as shelf:
        shelf["a"] = [signed(1), bytearray(LARGE)]
        first, second = shelf["a"]
        assert maps() == 1
        del first
        assert maps() == 1
        del second
        assert maps() == 0
        shelf["a"]
        shelf.get("a", copy=True)
        assert maps() == 0


def test_values_in_a_cycle_are_still_there_when_their_finalizers_look_at_them(crew: Crew, path: str) -> None:
    """The garbage collector tells weak references first, finalizers second, and takes nothing back before."""
    said = crew.run(
        SCRIPTS / "cycle.py",
        path,
    )
    assert said == ["404142", "ff0001"]


def test_a_forked_child_has_the_views_of_its_parent_and_makes_its_own(crew: Crew, path: str) -> None:
    said = crew.run(
        SCRIPTS / "views_after_a_fork.py",
        path,
    )
    assert said == ["whole"]
    until(lambda: len(blobs(path)) == 2)


def test_a_forked_child_that_ends_takes_nothing_of_its_parents_along(crew: Crew, path: str) -> None:
    """Neither the blob of a transaction under way, nor the parent's place among those who write."""
    crew.run(
        SCRIPTS / "child_that_ends.py",
        path,
    )
    with coshelf.open(path) as shelf:
        assert is_whole(shelf["a"])


@pytest.mark.parametrize("ending", ["end of script", "sys.exit", "SystemExit", "os._exit", "close"])
def test_an_interpreter_ends_cleanly_with_views_alive(crew: Crew, path: str, ending: str) -> None:
    crew.run(SCRIPTS / "ends_with_views.py", path, ending)
    with coshelf.open(path, "r") as shelf:
        assert is_whole(shelf["a"][0])


def test_a_view_can_be_stored_again_under_its_own_key_and_in_another_shelf(path: str) -> None:
    with coshelf.open(path) as shelf, coshelf.open(path + "2") as other:
        shelf["a"] = signed(1)
        for _ in range(3):
            shelf["a"] = shelf["a"]
            shelf.sync()
        other["a"] = shelf["a"]
        other.update(shelf.items())
        del shelf["a"]
        shelf.sync()
        other.sync()
        until(lambda: blobs(path) == [] and len(blobs(path + "2")) == 1)
        assert is_whole(other["a"])
        assert other.get("a", copy=True).flags.writeable


def test_thousands_of_views_need_no_descriptors(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "thousands_of_views.py",
        path,
    )


def test_views_are_read_only_and_share_what_is_in_memory(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = signed(1)
        first, second = shelf["a"], shelf["a"]
        assert not first.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            first[0] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            first.flags.writeable = True
        assert np.array_equal(first, second)
