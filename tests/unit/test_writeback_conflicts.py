"""``writeback=True``: entries that others changed meanwhile. docs/reference/rules.md."""

from __future__ import annotations

import pytest
from unit_support import Pair

import coshelf


def test_entry_that_others_changed_stays_theirs(pair: Pair) -> None:
    pair.mine.update(a=["mine"], b=["mine"], c=["mine"], d=["mine"])
    for key in "abc":
        pair.mine[key].append("more")
    pair.theirs["b"] = ["theirs"]
    with pytest.raises(coshelf.Conflict, match="'b'") as caught:
        pair.mine.sync()
    assert caught.value.values == {"b": ["mine", "more"]}
    assert caught.value.keys == ("b",)
    assert dict(pair.theirs) == {"a": ["mine", "more"], "b": ["theirs"], "c": ["mine", "more"], "d": ["mine"]}
    assert pair.mine["b"] == ["theirs"]
    pair.mine.sync()


def test_entry_that_only_others_changed_is_no_conflict(pair: Pair) -> None:
    pair.mine["a"] = ["mine"]
    pair.theirs["a"] = ["theirs"]
    pair.mine.sync()
    assert pair.theirs["a"] == ["theirs"]
    assert pair.mine["a"] == ["theirs"]


def test_entry_that_others_wrote_alike_is_a_conflict_all_the_same(pair: Pair) -> None:
    """What counts is who wrote last: the same bytes may mean that somebody reset them."""
    pair.mine["a"] = ["same"]
    pair.mine["a"].append(1)
    pair.theirs["a"] = ["same"]
    with pytest.raises(coshelf.Conflict) as caught:
        pair.mine.sync()
    assert caught.value.values == {"a": ["same", 1]}


def test_entry_that_others_deleted_stays_deleted(pair: Pair) -> None:
    pair.mine.update(a=[1], b=[1])
    pair.mine["a"].append(2)
    pair.mine["b"].append(2)
    del pair.theirs["a"]
    with pytest.raises(coshelf.Conflict, match="'a'") as caught:
        pair.mine.sync()
    assert caught.value.values == {"a": [1, 2]}
    assert dict(pair.theirs) == {"b": [1, 2]}
    assert "a" not in pair.mine
    with pytest.raises(KeyError):
        pair.mine["a"]


def test_many_conflicts_are_told_together(pair: Pair) -> None:
    pair.mine.update({n: [n] for n in range(10)})
    for n in range(10):
        pair.mine[n].append("mine")
    pair.theirs.update(dict.fromkeys(range(0, 10, 2), "theirs"))
    with pytest.raises(coshelf.Conflict) as caught:
        pair.mine.sync()
    assert caught.value.values == {n: [n, "mine"] for n in range(0, 10, 2)}
    assert dict(pair.theirs) == {n: "theirs" if n % 2 == 0 else [n, "mine"] for n in range(10)}


def test_conflict_at_close_carries_the_values_and_closes(pair: Pair) -> None:
    pair.mine["a"] = ["mine"]
    pair.mine["a"].append("more")
    pair.theirs["a"] = ["theirs"]
    with pytest.raises(coshelf.Conflict) as caught:
        pair.mine.close()
    assert caught.value.values == {"a": ["mine", "more"]}
    assert pair.mine.closed
    pair.mine.close()


def test_conflict_in_a_namespace_names_the_key_as_it_was_used(pair: Pair) -> None:
    users = pair.mine.sub("users")
    users["ann"] = [1]
    users["ann"].append(2)
    pair.theirs["users/ann"] = "theirs"
    with pytest.raises(coshelf.Conflict) as caught:
        users.sync()
    assert caught.value.values == {"ann": [1, 2]}
