"""``durability`` and ``flush_interval``: what they promise, what capabilities say, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from insides import base_row, commits_to_base, flush_all, until, waiting

import coshelf


def test_a_commit_is_in_the_delta_when_it_returns(path: str) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["first"] = 1
        flush_all(shelf)
        before = commits_to_base(path)
        shelf["a"] = 1
        del shelf["first"]
        assert commits_to_base(path) == before
        assert sorted(waiting(shelf).values()) == [False, True]
        assert dict(shelf) == {"a": 1}


def test_commit_durability_has_it_in_the_base_when_it_returns(path: str) -> None:
    with coshelf.open(path, durability="commit", flush_interval=1000) as shelf:
        for turn in range(5):
            before = commits_to_base(path)
            shelf[turn] = turn
            assert commits_to_base(path) == before + 1
            assert waiting(shelf) == {}
        for write in (
            lambda: shelf.update(a=1, b=2),
            lambda: shelf.pop("a"),
            lambda: shelf.modify("b", lambda value: value + 1),
            lambda: shelf.__delitem__("b"),
            lambda: shelf.update({("many", n): n for n in range(1001)}),
            shelf.clear,
        ):
            before = commits_to_base(path)
            write()
            assert commits_to_base(path) > before
            assert waiting(shelf) == {}


def test_commit_durability_flushes_what_others_left_waiting_too(path: str) -> None:
    with coshelf.open(path, flush_interval=1000) as lazy, coshelf.open(path, durability="commit") as careful:
        lazy["a"] = 1
        flush_all(lazy)
        lazy["b"] = 2
        assert waiting(lazy)
        careful["c"] = 3
        assert not waiting(lazy)


@pytest.mark.parametrize(("durability", "acknowledged"), [("interval", "machine"), ("commit", "durable")])
def test_capabilities_say_what_a_returned_commit_is(path: str, durability: Any, acknowledged: str) -> None:
    with coshelf.open(path, durability=durability, require=[f"acknowledged={acknowledged}"]) as shelf:
        assert shelf.capabilities.acknowledged == acknowledged
    other = {"machine": "durable", "durable": "machine"}[acknowledged]
    with pytest.raises(coshelf.Unsupported, match=f"acknowledged={other}"):
        coshelf.open(path, durability=durability, require=[f"acknowledged={other}"])


def test_default_is_an_interval_of_one_second(path: str) -> None:
    with coshelf.open(path) as shelf:
        options = shelf._handle.engine._options  # type: ignore[attr-defined]
        assert (options.durability, options.flush_interval) == ("interval", 1.0)


@pytest.mark.parametrize("durability", ["none", "", None, True, "Commit"])
def test_another_durability_is_refused_before_anything_is_made(path: str, durability: Any, tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="durability must be 'interval' or 'commit'"):
        coshelf.open(tmp_path / "new.shelf", durability=durability)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("interval", "error"), [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (None, TypeError)]
)
def test_an_interval_that_is_no_number_of_seconds_is_refused(tmp_path: Any, interval: Any, error: Any) -> None:
    with pytest.raises(error):
        coshelf.open(tmp_path / "new.shelf", flush_interval=interval)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("interval", [0, 0.0, float("inf"), 1e300])
def test_any_interval_from_nothing_to_for_ever_works(path: str, interval: float) -> None:
    with coshelf.open(path, flush_interval=interval) as shelf:
        for turn in range(20):
            shelf[turn] = turn
        flush_all(shelf)
        shelf["later"] = 1
        assert len(shelf) == 21
    with coshelf.open(path, "r") as shelf:
        assert len(shelf) == 21


def test_of_several_handles_the_shortest_interval_holds(path: str) -> None:
    with coshelf.open(path, flush_interval=1000) as patient, coshelf.open(path, flush_interval=0) as hasty:
        patient["a"] = 1
        flush_all(patient)
        before = base_row(patient).sequence
        patient["b"] = 1
        until(lambda: base_row(patient).sequence > before)
        assert hasty["b"] == 1
