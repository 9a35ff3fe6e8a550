"""``popitem`` from both ends, beside writes to every part of a shelf, gives what a sorted dict gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.keys import encode

Shelf = coshelf.Shelf[Any, Any]
_LONG = "x" * 600  # takes several rows of the base
_NAME = "jobs/"


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with coshelf.open(tmp_path / "my.shelf", flush_interval=1000) as opened:
        yield opened


def _key(chance: random.Random) -> Any:
    kinds: list[Any] = [
        f"k{chance.randrange(300):04}",
        f"{_NAME}{chance.randrange(100)}",
        chance.randrange(-50, 50),
        (_NAME, chance.randrange(30)),
        (_NAME, chance.randrange(30), 1),  # not a key of the namespace
        _LONG + str(chance.randrange(3)),
        b"bytes %d" % chance.randrange(20),
    ]
    return chance.choices(kinds, (50, 20, 10, 7, 5, 2, 6))[0]


def _value(chance: random.Random) -> Any:
    return chance.choices([chance.randrange(1000), {1: "a"}, {2.5}, complex(1, 2), bytes(70_000)], (90, 4, 3, 2, 1))[0]


def _in_namespace(key: Any) -> Any:
    """The key of the namespace for a key of the shelf; None if there is none."""
    if isinstance(key, str):
        return key.removeprefix(_NAME) if key.startswith(_NAME) else None
    is_part = isinstance(key, tuple) and len(key) == 2 and key[0] == _NAME
    return key[1] if is_part else None


class _Model:
    """Two handles of a shelf, and the dict that it should equal."""

    def __init__(self, shelf: Shelf, other: Shelf, seed: int) -> None:
        self.shelf, self.other, self.chance = shelf, other, random.Random(seed)
        self.model: dict[Any, Any] = {}

    def step(self) -> None:
        shelf = self.chance.choice([self.shelf, self.shelf, self.other])
        what = self.chance.choices(
            [self.store, self.pop, self.setdefault, self.update, self.transact, self.popitem, self.popitem_of_sub],
            (40, 5, 5, 1, 1, 28, 20),
        )[0]
        what(shelf)
        if self.chance.random() < 0.01:
            shelf.sync()

    def store(self, shelf: Shelf) -> None:
        key, value = _key(self.chance), _value(self.chance)
        shelf[key] = self.model[key] = value

    def pop(self, shelf: Shelf) -> None:
        key = _key(self.chance)
        assert shelf.pop(key, "none") == self.model.pop(key, "none")

    def setdefault(self, shelf: Shelf) -> None:
        key, value = _key(self.chance), _value(self.chance)
        assert shelf.setdefault(key, value) == self.model.setdefault(key, value)

    def update(self, shelf: Shelf) -> None:
        some = {_key(self.chance): number for number in range(self.chance.choice([5, 1200]))}
        shelf.update(some)
        self.model.update(some)

    def transact(self, shelf: Shelf) -> None:
        key = _key(self.chance)
        with shelf.transaction() as transaction:
            transaction[key] = 1
            transaction.pop(None, None)
            self.model[key] = 1
            self.popitem(shelf)

    def popitem(self, shelf: Shelf) -> None:
        self._take(shelf, {key: key for key in self.model})

    def popitem_of_sub(self, shelf: Shelf) -> None:
        keys = {key: own for key in self.model if (own := _in_namespace(key)) is not None}
        self._take(shelf.sub(_NAME), keys)

    def _take(self, shelf: Shelf, keys: dict[Any, Any]) -> None:
        last = self.chance.random() < 0.4
        if not keys:
            with pytest.raises(KeyError, match="empty"):
                shelf.popitem(last)
            return
        key = (max if last else min)(keys, key=lambda key: encode(keys[key]))
        assert shelf.popitem(last) == (keys[key], self.model.pop(key))


@pytest.mark.parametrize("seed", range(3))
def test_both_ends_are_those_of_a_sorted_dict(shelf: Shelf, seed: int) -> None:
    with coshelf.open(shelf.name) as other:
        model = _Model(shelf, other, seed)
        for _ in range(1_000):
            model.step()
        assert dict(shelf) == model.model


def test_a_queue_gives_items_in_order_across_flushes(shelf: Shelf) -> None:
    shelf.update((number, number) for number in range(1_000))
    shelf.sync()
    for number in range(1_500):
        shelf[1_000 + number] = 1_000 + number
        assert shelf.popitem(last=False) == (number, number)
        if number % 400 == 0:
            shelf.sync()
    assert list(shelf) == list(range(1_500, 2_500))


def test_an_item_that_was_stored_again_is_given_again(shelf: Shelf) -> None:
    shelf.update(dict.fromkeys("abc", 0))
    shelf.sync()
    for number in range(1, 20):
        assert shelf.popitem(last=False) == ("a", number - 1)
        shelf["a"] = number
    assert shelf.popitem(last=False) == ("a", 19)
    assert shelf.popitem(last=False) == ("b", 0)
    shelf["a"] = 20
    assert [shelf.popitem(last=False) for _ in range(2)] == [("a", 20), ("c", 0)]


def test_an_empty_end_is_found_again_after_each_store(shelf: Shelf) -> None:
    for number in range(50):
        for last in (True, False):
            with pytest.raises(KeyError, match="empty"):
                shelf.popitem(last)
        shelf[number] = number
        if number % 7 == 0:
            shelf.sync()
        assert shelf.popitem(last=bool(number % 2)) == (number, number)


def test_many_namespaces_have_their_own_ends(shelf: Shelf) -> None:
    parts = [shelf.sub(f"part{number}") for number in range(12)]
    for turn in range(10):
        for part in parts:
            part[f"{turn:02}"] = turn
    for turn in range(10):
        for part in parts:
            assert part.popitem(last=False) == (f"{turn:02}", turn)
    assert len(shelf) == 0


def test_values_of_any_kind_are_taken_from_the_ends(shelf: Shelf) -> None:
    values = [1, {"a": [1.5]}, complex(1, 2), bytes(100_000), range(3), None, "text"]
    for number, value in enumerate(values):
        shelf[number] = value
    shelf.sync()
    shelf[100] = frozenset({1})
    assert [shelf.popitem(last=False) for _ in values] == list(enumerate(values))
    assert shelf.popitem() == (100, frozenset({1}))


def test_a_popped_item_is_put_back_by_a_transaction_that_fails(shelf: Shelf) -> None:
    shelf.update(a=1, b=2)
    shelf.popitem()
    with pytest.raises(ZeroDivisionError), shelf.transaction():
        assert shelf.popitem() == ("a", 1)
        assert shelf.setdefault("c", 3) == 3
        raise ZeroDivisionError
    assert dict(shelf) == {"a": 1}


def test_a_reading_handle_takes_nothing(shelf: Shelf) -> None:
    shelf["a"] = 1
    with coshelf.open(shelf.name, "r") as reading:
        for step in (reading.popitem, lambda: reading.pop("a"), lambda: reading.setdefault("a", 2)):
            with pytest.raises(coshelf.ReadOnlyShelf):
                step()
    assert dict(shelf) == {"a": 1}


def test_another_handle_of_a_transaction_takes_nothing(shelf: Shelf) -> None:
    shelf["a"] = 1
    with coshelf.open(shelf.name) as other:
        other.setdefault("a", 2)
        with shelf.transaction():
            for step in (other.popitem, other.sub("empty").popitem, lambda: other.pop("a")):
                with pytest.raises(coshelf.TransactionInProgress):
                    step()
    assert dict(shelf) == {"a": 1}
