"""With evict="expired", only what has expired goes. Then writes are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from looking import Shelf, refuse_wrong_index

import coshelf
from coshelf.contract import Batch
from coshelf.keys import encode
from coshelf.testing.moving_clock import MovingClock


def fill(shelf: Shelf, count: int) -> None:
    shelf.update({number: number for number in range(count)})
    shelf.sync()


WRITES: dict[str, Callable[[Shelf], object]] = {
    "set": lambda shelf: shelf.__setitem__("a", 1),
    "set of an object": lambda shelf: shelf.__setitem__("a", {1, 2}),
    "set with a time": lambda shelf: shelf.set("a", 1, expire=60),
    "update": lambda shelf: shelf.update({"a": 1, "b": 2}),
    "large update": lambda shelf: shelf.update({f"k{number}": number for number in range(5_000)}),
    "incr": lambda shelf: shelf.incr(3),
    "incr of a new one": lambda shelf: shelf.incr("a"),
    "modify": lambda shelf: shelf.modify(3, lambda value: value + 1),
    "setdefault": lambda shelf: shelf.setdefault("a", 1),
    "add": lambda shelf: shelf.add("a", 1),
    "set with tags": lambda shelf: shelf.set("a", 1, tags=("t",)),
    "replace": lambda shelf: shelf.replace(3, 3, 4),
}


@pytest.mark.parametrize("name", WRITES)
def test_writes_are_refused_and_nothing_is_lost(path: str, name: str) -> None:
    with coshelf.open(path, max_entries=100, evict="expired") as shelf:
        fill(shelf, 100)
        before = dict(shelf)
        with pytest.raises(coshelf.StorageFull, match=r"at its limits \(100 entries\)"):
            WRITES[name](shelf)
        assert dict(shelf) == before
        shelf.sync()
        refuse_wrong_index(shelf)


def test_deleting_makes_room(path: str) -> None:
    with coshelf.open(path, max_entries=100, evict="expired") as shelf:
        fill(shelf, 100)
        del shelf[1]
        shelf["a"] = 1
        assert shelf.pop(2) == 2
        shelf["b"] = 1
        shelf.sync()
        with pytest.raises(coshelf.StorageFull):
            shelf["c"] = 1
        shelf.clear()
        shelf["c"] = 1
        assert dict(shelf) == {"c": 1}


def test_what_has_expired_makes_room(path: str) -> None:
    with MovingClock() as clock, coshelf.open(path, max_entries=100, evict="expired") as shelf:
        fill(shelf, 50)
        shelf.update({f"k{number}": number for number in range(50)}, expire=60)
        shelf.sync()
        with pytest.raises(coshelf.StorageFull):
            shelf["a"] = 1
        clock.pass_by(60)
        shelf["a"] = 1
        assert len(shelf) == 51
        shelf.sync()
        refuse_wrong_index(shelf)


def test_full_shelf_is_full_when_it_is_opened_again(path: str) -> None:
    with coshelf.open(path, max_entries=100, evict="expired") as shelf:
        fill(shelf, 120)
        assert len(shelf) == 120
    with coshelf.open(path) as shelf, pytest.raises(coshelf.StorageFull):
        shelf["a"] = 1
    with coshelf.open(path, max_entries=200) as shelf:
        shelf["a"] = 1
    with coshelf.open(path, max_entries=100, evict="fifo") as shelf:
        assert len(shelf) == 100


def test_limit_of_bytes_refuses_too(path: str) -> None:
    with coshelf.open(path, max_bytes=100_000, evict="expired") as shelf:
        shelf.update(dict.fromkeys(range(200), "x" * 1000))
        shelf.sync()
        with pytest.raises(coshelf.StorageFull, match=r"at its limits \(100,000 bytes\)"):
            shelf["a"] = 1


def test_own_rows_can_be_written_to_a_full_shelf(path: str) -> None:
    with coshelf.open(path, max_entries=10, evict="expired") as shelf:
        fill(shelf, 10)

        @shelf.memoize()
        def square(x: int) -> int:
            return x * x

        with pytest.raises(coshelf.StorageFull):
            square(3)
    with coshelf.open(path, compress="zstd", recode=True) as shelf:
        assert len(shelf) == 10


def test_what_is_flushed_during_a_transaction_makes_room(path: str) -> None:
    with coshelf.open(path, max_entries=5, evict="expired") as shelf:
        fill(shelf, 5)
        engine: Any = shelf._handle.engine
        with engine.exclusive():
            engine.commit_held(Batch(deletes=frozenset((encode(3),))))
            engine._environment.flusher.sync()
        shelf["a"] = 1
        assert set(shelf) == {0, 1, 2, 4, "a"}
        shelf.sync()
        refuse_wrong_index(shelf)


@pytest.mark.parametrize("step", ["transaction", "modify"])
def test_what_has_expired_makes_room_for_a_transaction(path: str, step: str) -> None:
    with MovingClock() as clock, coshelf.open(path, max_entries=5, evict="expired") as shelf:
        for number in range(5):
            shelf.set(number, number, expire=60)
        shelf.sync()
        clock.pass_by(61)
        if step == "modify":
            shelf.modify("a", lambda _: {1, 2}, None)
        else:
            with shelf.transaction() as transaction:
                transaction["a"] = 1
        assert list(shelf) == ["a"]
        shelf.sync()
        refuse_wrong_index(shelf)
