"""The sizes of branches, found within a limit of time."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

import coshelf
from coshelf.keys import encode, prefix_end
from coshelf.viewer.activity.places import places_in
from coshelf.viewer.activity.sizes import Place, Size, Sizes, largest, measured
from coshelf.viewer.keys.branches import ROOT


def branch(name: str) -> Place:
    start = encode(name)
    return Place(name, start, prefix_end(start), "", is_branch=True)


def test_small_branches_are_counted_exactly() -> None:
    with coshelf.open("memory:", codec="bytes") as shelf:
        shelf.update({"a/1": b"x" * 1_000, "a/2": b"x" * 1_000, "b/1": b"x"})
        found = measured(shelf.engine_for("sizes"), [branch("b/"), branch("a/"), branch("none/")])
        total = shelf.stats().bytes
    assert [(size.name, size.entries, size.is_exact) for size in found.sizes] == [("a/", 2, True), ("b/", 1, True)]
    assert found.bytes == total
    assert found.is_whole


def test_the_bytes_of_a_large_branch_are_estimated_and_its_entries_counted() -> None:
    with coshelf.open("memory:", codec="bytes") as shelf:
        shelf.update({f"a/{number:05}": b"x" * 100 for number in range(5_000)})
        [size] = measured(shelf.engine_for("sizes"), [branch("a/")], sample=100).sizes
        total = shelf.stats().bytes
    assert (size.entries, size.is_exact) == (5_000, False)
    assert total is not None
    assert abs(size.bytes - total) < total / 100


def test_what_the_time_does_not_suffice_for_is_left_out_and_told() -> None:
    ticks = count()
    with coshelf.open("memory:", codec="bytes") as shelf:
        shelf.update({f"{name}/1": b"x" for name in "abcdef"})
        places = [branch(f"{name}/") for name in "abcdef"]
        found = measured(shelf.engine_for("sizes"), places, seconds=3, clock=lambda: next(ticks))
    assert not found.is_whole
    assert 1 <= len(found.sizes) < 6


def test_one_place_is_measured_however_short_the_time_is() -> None:
    with coshelf.open("memory:", codec="bytes") as shelf:
        shelf["a/1"] = b"x"
        assert len(measured(shelf.engine_for("sizes"), [branch("a/"), branch("b/")], seconds=0).sizes) == 1


def test_all_but_the_largest_are_shown_together() -> None:
    sizes = Sizes(tuple(Size(str(number), "", False, 1, number, True) for number in range(10, 0, -1)), is_whole=True)
    found = largest(sizes, 4)
    assert [size.name for size in found] == ["10", "9", "8", "7 others"]
    assert sum(size.bytes for size in found) == sizes.bytes
    assert largest(sizes, 10) == list(sizes.sizes)


def test_branches_are_measured_before_keys_and_keys_beyond_the_limit_are_estimated() -> None:
    with coshelf.open("memory:", codec="bytes") as shelf:
        shelf.update({f"flat-{number:03}": b"x" * 100 for number in range(300)})
        shelf.update({f"users/{number}": b"x" * 100 for number in range(50)})
        shelf["tuple", 1] = b"x"
        reader = shelf.engine_for("sizes")
        found = places_in(reader, ROOT, most=10)
        sizes = measured(reader, found.places, other_keys=found.other_keys)
        total = shelf.stats().bytes
    assert [place.name for place in found.places[:3]] == ["users/", "('tuple', …)", "flat-000"]
    assert (found.other_keys, found.is_whole) == (290, True)
    assert (sizes.entries, sizes.bytes, sizes.is_whole) == (351, total, True)
    assert [size.name for size in sizes.sizes[:2]] == ["290 other keys", "users/"]


def test_a_branch_that_takes_long_to_search_is_told_as_far_as_it_was_searched() -> None:
    ticks = count()
    with coshelf.open("memory:", codec="bytes") as shelf:
        shelf.update({f"{name}/1": b"x" for name in "abcdef"})
        found = places_in(shelf.engine_for("sizes"), ROOT, seconds=3, clock=lambda: next(ticks))
    assert not found.is_whole
    assert [place.name for place in found.places] == ["a/", "b/", "c/"]


def test_a_damaged_record_does_not_keep_others_from_being_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open("memory:", codec="bytes") as shelf:
        shelf.update({"a/1": b"x", "b/1": b"x"})
        reader = shelf.engine_for("sizes")
        pages = reader.pages

        def damaged(start: bytes, stop: bytes) -> Any:
            if start == encode("a/"):
                raise coshelf.DamagedRecord("torn")
            return pages(start, stop)

        monkeypatch.setattr(reader, "pages", damaged)
        found = measured(reader, [branch("a/"), branch("b/")])
    assert ([size.name for size in found.sizes], found.is_whole) == (["b/"], False)
