"""Entries that expire, one at a time: set, add, touch, expires, and what keeps or removes a time."""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

import coshelf
from coshelf.testing.moving_clock import MovingClock

Shelf = coshelf.Shelf[Any, Any]


def test_entry_is_there_until_its_time_and_missing_from_then_on(shelf: Shelf, clock: MovingClock) -> None:
    shelf.set("a", 1, expire=60)
    clock.pass_by(59.999999)
    assert (shelf["a"], "a" in shelf, len(shelf)) == (1, True, 1)
    clock.pass_by(0.000001)
    with pytest.raises(KeyError):
        shelf["a"]
    assert ("a" in shelf, len(shelf), bool(shelf), list(shelf)) == (False, 0, False, [])


@pytest.mark.parametrize("expire", [60, 60.0, timedelta(minutes=1)])
def test_time_is_in_seconds_or_a_timedelta(expire: Any, shelf: Shelf, clock: MovingClock) -> None:
    shelf.set("a", 1, expire=expire)
    assert shelf.expires("a") == clock.now() / 1_000_000 + 60


@pytest.mark.parametrize("expire", [0, -1, -1e300, timedelta(days=-1), 0.0])
def test_entry_without_a_life_is_gone_at_once(expire: Any, shelf: Shelf) -> None:
    shelf["a"] = 1
    shelf.set("a", 2, expire=expire)
    assert "a" not in shelf
    assert shelf.add("a", 1, expire=expire)
    assert "a" not in shelf
    shelf.update({"a": 1, "b": 2}, expire=expire)
    assert list(shelf) == []
    shelf["a"] = 1
    assert shelf.touch("a", expire=expire)
    assert not shelf.touch("a", expire=expire)


@pytest.mark.parametrize(
    "expire",
    [
        math.nan,
        math.inf,
        -math.inf,
        "60",
        b"60",
        True,
        False,
        1e300,
        10**30,
        10**400,
        timedelta.max,
        Fraction(1, 2),
        [],
    ],
)
def test_what_is_no_duration_is_refused_with_a_hint(expire: Any, shelf: Shelf) -> None:
    shelf["there"] = 1
    for call in (
        lambda: shelf.set("a", 1, expire=expire),
        lambda: shelf.add("a", 1, expire=expire),
        lambda: shelf.touch("there", expire=expire),
        lambda: shelf.update({"a": 1}, expire=expire),
    ):
        with pytest.raises(coshelf.InvalidExpiry, match="hint: None stores an entry that does not expire"):
            call()
    assert dict(shelf) == {"there": 1}


def test_storing_a_key_anew_makes_it_permanent(shelf: Shelf, clock: MovingClock) -> None:
    for again in (
        lambda: shelf.__setitem__("a", 2),
        lambda: shelf.update(a=2),
        lambda: shelf.set("a", 2),
        lambda: shelf.set("a", 2, expire=None),
        lambda: shelf.touch("a", expire=None),
    ):
        shelf.set("a", 2, expire=60)
        again()
        assert shelf.expires("a") is None
        clock.pass_by(61)
        assert (shelf["a"], list(shelf), len(shelf)) == (2, ["a"], 1)
        shelf.expire()
        assert shelf["a"] == 2


def test_changing_a_value_keeps_its_time(shelf: Shelf, clock: MovingClock) -> None:
    shelf.set("a", [1], expire=60)
    time = shelf.expires("a")
    clock.pass_by(30)
    shelf.modify("a", lambda value: [*value, 2])
    with shelf.edit("a") as value:
        value.append(3)
    assert shelf.replace("a", [1, 2, 3], [4])
    assert shelf.setdefault("a", []) == [4]
    assert shelf.expires("a") == time
    clock.pass_by(30)
    assert len(shelf) == 0
    assert shelf.modify("a", lambda value: value, default=[]) == []
    assert shelf.expires("a") is None


def test_counters_keep_their_time_and_begin_anew(shelf: Shelf, clock: MovingClock) -> None:
    shelf.set("hits", 5, expire=60)
    shelf.sync()
    assert shelf.incr("hits") == 6
    assert shelf.expires("hits") == clock.now() / 1_000_000 + 60
    clock.pass_by(60)
    assert shelf.incr("hits", 2) == 2
    assert shelf.expires("hits") is None
    assert len(shelf) == 1
    assert [shelf.incr("calls", expire=60), shelf.incr("calls", expire=600)] == [1, 2]
    assert shelf.expires("calls") == clock.now() / 1_000_000 + 60
    assert shelf.incr("nothing", expire=0) == 1
    assert "nothing" not in shelf
    with shelf.transaction() as transaction:
        assert transaction.incr("calls", expire=600) == 3
        assert transaction.incr("new", 5, expire=600) == 5
    assert shelf.expires("new") == clock.now() / 1_000_000 + 600
    with pytest.raises(coshelf.InvalidExpiry):
        shelf.incr("calls", expire="60")  # type: ignore[arg-type]


def test_what_has_expired_is_as_missing_for_every_change(shelf: Shelf, clock: MovingClock) -> None:
    shelf.update({"a": 1, "b": 2}, expire=60)
    clock.pass_by(60)
    for change in (
        lambda: shelf.pop("a"),
        lambda: shelf.__delitem__("a"),
        lambda: shelf.modify("a", lambda value: value),
        lambda: shelf.edit("a").__enter__(),
        lambda: shelf.expires("a"),
        lambda: shelf.record("a"),
        lambda: shelf.preview("a"),
        shelf.popitem,
    ):
        with pytest.raises(KeyError):
            change()
    assert shelf.pop("a", None) is None
    assert not shelf.replace("a", 1, 2)
    assert not shelf.touch("a", expire=60)
    with pytest.raises(coshelf.WaitTimeout):
        shelf.wait("a", timeout=0)
    assert shelf.setdefault("a", "new") == "new"
    assert shelf.add("b", "new")
    assert not shelf.add("b", "newer")
    assert dict(shelf) == {"a": "new", "b": "new"}


def test_touch_moves_the_time_both_ways(shelf: Shelf, clock: MovingClock) -> None:
    shelf.set("a", "x" * 100_000, expire=60)
    assert shelf.touch("a", expire=600)
    clock.pass_by(599)
    assert shelf["a"] == "x" * 100_000
    assert shelf.touch("a", expire=0.5)
    clock.pass_by(0.5)
    assert "a" not in shelf
    assert len(shelf) == 0


def test_namespaces_keep_times_apart(shelf: Shelf, clock: MovingClock) -> None:
    users = shelf.sub("users")
    users.set("ann", 1, expire=60)
    users.set(7, 1, expire=60)
    users["bob"] = 2
    shelf.set("ann", 3, expire=600)
    clock.pass_by(60)
    assert dict(users) == {"bob": 2}
    assert len(users) == 1
    assert dict(shelf) == {"ann": 3, "users/bob": 2}
    assert users.touch("bob", expire=60)
    users.clear()
    assert dict(shelf) == {"ann": 3}


def test_expire_removes_and_counts_what_has_expired(shelf: Shelf, clock: MovingClock) -> None:
    assert shelf.expire() == 0
    shelf.update({number: number for number in range(20)}, expire=60)
    shelf.set("later", 1, expire=61)
    shelf["stays"] = 1
    shelf.sync()  # a flush that is under way could remove them, too
    assert shelf.expire() == 0
    clock.pass_by(60)
    assert shelf.expire() == 20
    assert shelf.expire() == 0
    assert dict(shelf) == {"later": 1, "stays": 1}
    with pytest.raises(coshelf.Unsupported, match="works on a whole shelf"):
        shelf.sub("part").expire()


def test_clear_takes_the_index_with_it(shelf: Shelf, clock: MovingClock) -> None:
    shelf.update({number: number for number in range(20)}, expire=60)
    shelf.clear()
    assert shelf._handle.engine.first_expiry() is None
    clock.pass_by(60)
    assert shelf.expire() == 0


def test_a_clock_that_is_put_back_brings_entries_back_that_are_not_removed(shelf: Shelf, clock: MovingClock) -> None:
    shelf.set("a", 1, expire=60)
    shelf.sync()
    clock.pass_by(60)
    assert "a" not in shelf
    clock.pass_by(-1)
    assert shelf["a"] == 1
    assert list(shelf) == ["a"]
    assert shelf.expire() == 0


def test_engine_whose_entries_cannot_expire_says_so(tmp_path: Any) -> None:
    with coshelf.open(f"files:{tmp_path / 'd'}") as shelf:
        assert not shelf.capabilities.expiry
        shelf["a"] = 1
        for call in (
            lambda: shelf.set("b", 1, expire=60),
            lambda: shelf.add("b", 1, expire=60),
            lambda: shelf.touch("a", expire=60),
            lambda: shelf.update({"b": 1}, expire=60),
            shelf.expire,
        ):
            with pytest.raises(coshelf.Unsupported, match="cannot expire"):
                call()
        shelf.set("c", 1)
        shelf.set("d", 1, expire=None)
        assert shelf.add("e", 1)
        assert dict(shelf) == {"a": 1, "c": 1, "d": 1, "e": 1}
    with pytest.raises(coshelf.Unsupported):
        coshelf.open(f"files:{tmp_path / 'e'}", expire=60)
    with pytest.raises(coshelf.Unsupported):
        coshelf.open(f"files:{tmp_path / 'f'}", require="expiry")


def test_damaged_record_is_not_taken_for_an_expired_one(clock: MovingClock) -> None:
    mapping: dict[bytes, bytes] = {}
    with coshelf.open(mapping) as shelf:
        shelf.set("a", 1, expire=60)
        record = bytearray(mapping[b"\x30a"])
        record[4:12] = bytes(8)
        mapping[b"\x30a"] = bytes(record)
        with pytest.raises(coshelf.DamagedRecord):
            shelf["a"]
        clock.pass_by(60)
        with pytest.raises(coshelf.DamagedRecord):
            dict(shelf.items())


def test_expired_items_at_either_end_are_not_popped(shelf: Shelf, clock: MovingClock) -> None:
    for number in range(12):
        shelf.set(number, number, expire=10 if number < 4 or number >= 9 else 100)
    shelf.sync()
    shelf.set(-1, -1, expire=10)
    shelf[6] = 60
    clock.pass_by(50)
    shelf.set(20, 20, expire=10)
    assert [shelf.popitem(last=False) for _ in range(2)] == [(4, 4), (5, 5)]
    assert [shelf.popitem() for _ in range(2)] == [(20, 20), (8, 8)]
    assert shelf.pop(0, None) is None
    assert shelf.setdefault(1, "new") == "new"
    clock.pass_by(50)
    assert [shelf.popitem(last=False) for _ in range(2)] == [(1, "new"), (6, 60)]
    with pytest.raises(KeyError):
        shelf.popitem()


def test_an_entry_with_a_time_is_popped_as_any_other(shelf: Shelf, clock: MovingClock) -> None:
    for number in range(4):
        shelf.set(number, number, expire=10)
    assert shelf.popitem(last=False) == (0, 0)
    assert shelf.popitem() == (3, 3)
    assert shelf.pop(1) == 1
    assert shelf.setdefault(2, "new") == 2
    shelf[1] = "permanent"
    clock.pass_by(20)
    assert dict(shelf) == {1: "permanent"}
