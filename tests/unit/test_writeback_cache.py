"""``writeback=True``: which objects are kept and handed out again. docs/reference/rules.md."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from unit_support import Pair


def test_attribute_says_so(pair: Pair) -> None:
    assert pair.mine.writeback is True
    assert pair.theirs.writeback is False
    assert pair.mine.sub("x").writeback is True


def test_change_in_place_is_not_lost(pair: Pair) -> None:
    pair.mine["a"] = [1]
    pair.mine["a"].append(2)
    assert pair.mine["a"] == [1, 2]
    assert pair.theirs["a"] == [1]
    pair.mine.sync()
    assert pair.theirs["a"] == [1, 2]


def test_without_writeback_a_change_in_place_is_lost(pair: Pair) -> None:
    pair.theirs["a"] = [1]
    pair.theirs["a"].append(2)
    assert pair.theirs["a"] == [1]


def test_object_that_is_set_is_handed_out_again(pair: Pair) -> None:
    value = [1]
    pair.mine["a"] = value
    assert pair.mine["a"] is value
    value.append(2)
    pair.mine.sync()
    assert pair.theirs["a"] == [1, 2]


def test_objects_of_update_are_handed_out_again(pair: Pair) -> None:
    one, other = [1], [2]
    pair.mine.update({"a": one}, b=other)
    pair.mine |= {"c": one}
    assert pair.mine["a"] is one
    assert pair.mine["b"] is other
    assert pair.mine["c"] is one


READS: dict[str, Callable[[Any], Any]] = {
    "[]": lambda shelf: shelf["a"],
    "get": lambda shelf: shelf.get("a"),
    "get_many": lambda shelf: shelf.get_many(["a"])["a"],
    "items": lambda shelf: dict(shelf.items(start="a"))["a"],
    "values": lambda shelf: next(iter(shelf.values())),
    "reversed": lambda shelf: next(reversed(shelf.items()))[1],
    "prefix": lambda shelf: next(iter(shelf.values(prefix="a"))),
    "setdefault": lambda shelf: shelf.setdefault("a", [7]),
    "wait": lambda shelf: shelf.wait("a"),
    "cursor": lambda shelf: shelf.cursor().first()[1],
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("again", READS)
def test_every_way_to_read_hands_out_the_same_object(read: str, again: str, pair: Pair) -> None:
    pair.theirs["a"] = [1]
    first = READS[read](pair.mine)
    assert first == [1]
    assert READS[again](pair.mine) is first
    first.append(2)
    pair.mine.sync()
    assert pair.theirs["a"] == [1, 2]


def test_setdefault_of_a_new_key_hands_out_what_is_written_back(pair: Pair) -> None:
    pair.mine.setdefault("a", []).append(1)
    pair.mine.setdefault("a", []).append(2)
    assert pair.mine["a"] == [1, 2]
    pair.mine.sync()
    assert pair.theirs["a"] == [1, 2]


def test_views_hand_out_what_is_written_back(pair: Pair) -> None:
    pair.theirs.update({n: [n] for n in range(5)})
    for value in pair.mine.values(start=1, stop=4):
        value.append("seen")
    pair.mine.sync()
    assert dict(pair.theirs) == {0: [0], 1: [1, "seen"], 2: [2, "seen"], 3: [3, "seen"], 4: [4]}


@pytest.mark.parametrize("value", [1, "text", b"bytes", None, (1, ("a", 2.5)), frozenset({1}), 10**30, True])
def test_immutable_values_are_not_kept(value: Any, pair: Pair) -> None:
    pair.theirs["a"] = value
    assert pair.mine["a"] == value
    assert not pair.mine._cache._entries()
    pair.theirs["a"] = "theirs"
    assert pair.mine["a"] == "theirs"
    pair.mine["a"] = value
    pair.theirs["a"] = "theirs again"
    assert pair.mine["a"] == "theirs again"


def test_immutable_value_takes_the_place_of_a_kept_one(pair: Pair) -> None:
    pair.mine["a"] = [1]
    pair.mine["a"].append(2)
    pair.mine["a"] = "plain"
    assert pair.mine["a"] == "plain"
    pair.mine.sync()
    assert pair.theirs["a"] == "plain"


def test_tuple_with_a_list_inside_is_kept(pair: Pair) -> None:
    pair.mine["a"] = ([1], 2)
    pair.mine["a"][0].append(3)
    pair.mine.sync()
    assert pair.theirs["a"] == ([1, 3], 2)


def test_equal_keys_are_one_entry_of_the_cache(pair: Pair) -> None:
    value = [1]
    pair.mine[1] = value
    assert pair.mine[1.0] is value
    assert pair.mine[True] is value


def test_namespaces_share_the_cache(pair: Pair) -> None:
    users = pair.mine.sub("users")
    pair.mine["users/ann"] = value = [1]
    assert users["ann"] is value
    assert pair.mine.sub("users")["ann"] is value
    value.append(2)
    users.sync()
    assert pair.theirs["users/ann"] == [1, 2]
    users[5] = other = [5]
    assert pair.mine["users/", 5] is other


def test_threads_that_load_at_once_get_one_object(pair: Pair) -> None:
    pair.theirs.update({n: [n] for n in range(200)})
    barrier = threading.Barrier(4)
    seen: list[list[Any]] = []

    def read() -> None:
        barrier.wait()
        seen.append([pair.mine[n] for n in range(200)])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for values in zip(*seen, strict=True):
        assert len({id(value) for value in values}) == 1
