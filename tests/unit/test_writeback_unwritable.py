"""``writeback=True``: values that cannot be pickled. docs/reference/rules.md."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from unit_support import Pair

import coshelf


def test_value_that_cannot_be_pickled_is_named_and_stays_in_the_cache(pair: Pair) -> None:
    pair.mine.update(a=[1], b=[1], c=[1])
    lock = threading.Lock()
    for key in "abc":
        pair.mine[key].append(2)
    pair.mine["b"].append(lock)
    with pytest.raises(coshelf.UnwritableValue, match="'b'") as caught:
        pair.mine.sync()
    assert caught.value.keys == ("b",)
    assert dict(pair.theirs) == {"a": [1, 2], "b": [1], "c": [1, 2]}
    assert pair.mine["b"] == [1, 2, lock]
    with pytest.raises(coshelf.UnwritableValue):
        pair.mine.sync()
    pair.mine["b"].remove(lock)
    pair.mine.sync()
    assert pair.theirs["b"] == [1, 2]


def test_several_values_that_cannot_be_pickled_are_all_named(pair: Pair) -> None:
    pair.mine.update(a=[1], b=[1], c=[1])
    for key in "ac":
        pair.mine[key].append(threading.Lock())
    pair.mine["b"].append(2)
    with pytest.raises(coshelf.UnwritableValue, match=r"'a'.*'c'") as caught:
        pair.mine.sync()
    assert set(caught.value.keys) == {"a", "c"}
    assert dict(pair.theirs) == {"a": [1], "b": [1, 2], "c": [1]}


def test_conflict_and_unwritable_value_are_both_told(pair: Pair) -> None:
    pair.mine.update(a=[1], b=[1], c=[1])
    for key in "abc":
        pair.mine[key].append(2)
    pair.mine["b"].append(threading.Lock())
    pair.theirs["a"] = "theirs"
    with pytest.raises(coshelf.Conflict) as caught:
        pair.mine.sync()
    assert caught.value.values == {"a": [1, 2]}
    assert isinstance(caught.value.__cause__, coshelf.UnwritableValue)
    assert caught.value.__cause__.keys == ("b",)
    assert dict(pair.theirs) == {"a": "theirs", "b": [1], "c": [1, 2]}
    with pytest.raises(coshelf.UnwritableValue):
        pair.mine.sync()


def test_unwritable_value_at_close_is_named_and_the_rest_is_written(tmp_path: Path) -> None:
    shelf = coshelf.open(tmp_path / "my.shelf", writeback=True)
    shelf.update(a=[1], b=[1])
    shelf["a"].append(threading.Lock())
    shelf["b"].append(2)
    with pytest.raises(coshelf.UnwritableValue) as caught:
        shelf.close()
    assert caught.value.keys == ("a",)
    assert shelf.closed
    with coshelf.open(tmp_path / "my.shelf") as after:
        assert dict(after) == {"a": [1], "b": [1, 2]}


def test_setting_an_unwritable_value_keeps_the_old_one(pair: Pair) -> None:
    pair.mine["a"] = value = [1]
    with pytest.raises(coshelf.UnwritableValue):
        pair.mine["a"] = threading.Lock()
    with pytest.raises(coshelf.UnwritableValue):
        pair.mine.update(a=[2], b=threading.Lock())
    assert pair.mine["a"] is value
    assert dict(pair.theirs) == {"a": [1]}
