"""``incr`` and ``add`` on every local engine: exact sums, and errors that leave the entry as it was."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf import records
from coshelf.keys import encode

_EDGES = sorted(
    {sign * (1 << bits) + near for bits in (0, 7, 8, 15, 16, 31, 32, 39, 62, 63, 64, 200) for sign in (1, -1)
     for near in (-1, 0, 1)}
)  # fmt: skip


@pytest.fixture(params=["lmdb", "lmdb with writeback", "sqlite", "files", "memory", "mapping"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    path = tmp_path / "my.shelf"
    targets: dict[str, Any] = {"sqlite": f"sqlite:{path}", "files": f"files:{path}", "memory": "memory:", "mapping": {}}
    with coshelf.open(targets.get(request.param, path), writeback="writeback" in request.param) as opened:
        yield opened


def test_a_missing_key_counts_as_the_default(shelf: Any) -> None:
    assert shelf.incr("n") == 1
    assert shelf.incr("m", 5, 100) == 105
    assert shelf.incr("x", by=-2, default=0.5) == -1.5
    assert dict(shelf) == {"n": 1, "m": 105, "x": -1.5}


def test_each_call_adds_to_what_the_one_before_returned(shelf: Any) -> None:
    chance = random.Random(1)
    total = 0
    for _ in range(50):
        by = chance.choice([1, -1, 255, -70_000, 1 << 40])
        total += by
        assert shelf.incr("n", by) == total
        assert shelf["n"] == total


def test_ints_of_any_size_are_exact(shelf: Any) -> None:
    for edge in _EDGES:
        shelf["n"] = edge
        total = edge
        for by in (1, -1, -edge, edge):
            total += by
            assert shelf.incr("n", by) == total
            assert shelf["n"] == total


def test_floats_are_added_as_python_adds_them(shelf: Any) -> None:
    shelf["n"] = 1
    assert shelf.incr("n", 0.1) == 1.1
    assert shelf.incr("n", math.inf) == math.inf
    assert math.isnan(shelf.incr("n", -math.inf))
    assert math.isnan(shelf["n"])


@pytest.mark.parametrize("value", ["1", True, None, [1], b"1", 1j])
def test_a_value_that_is_no_number_stays_as_it_was(shelf: Any, value: object) -> None:
    shelf["n"] = value
    with pytest.raises(TypeError, match="'n' is a"):
        shelf.incr("n")
    assert shelf["n"] == value
    assert type(shelf["n"]) is type(value)


@pytest.mark.parametrize("wrong", ["1", True, None, 1j])
def test_only_numbers_can_be_added(shelf: Any, wrong: Any) -> None:
    shelf["n"] = 7
    with pytest.raises(TypeError, match="by="):
        shelf.incr("n", wrong)
    with pytest.raises(TypeError, match="default="):
        shelf.incr("n", 1, wrong)
    assert shelf["n"] == 7


def test_counting_in_a_sub_and_in_a_transaction(shelf: Any) -> None:
    sub = shelf.sub("users")
    assert sub.incr("n") == sub.incr("n", 0) == 1
    if shelf.capabilities.checks == "entry":
        return  # it has no transactions over several entries
    with shelf.transaction() as transaction:
        assert transaction.incr("users/n") == 2
        assert sub.incr("n") == 3
        assert shelf.incr("other") == 1
        assert transaction.sub("users").incr("n") == 4
    assert dict(shelf) == {"users/n": 4, "other": 1}


def test_a_key_that_cannot_be_one_is_refused(shelf: Any) -> None:
    with pytest.raises(coshelf.InvalidKey):
        shelf.incr([1])
    with pytest.raises(coshelf.InvalidKey):
        shelf.add([1], 1)


def test_a_closed_shelf_counts_nothing(shelf: Any) -> None:
    shelf.incr("n")
    shelf.incr("n")
    shelf.close()
    with pytest.raises(coshelf.ShelfClosed):
        shelf.incr("n")
    with pytest.raises(coshelf.ShelfClosed):
        shelf.add("n", 1)


def test_add_stores_what_is_not_there(shelf: Any) -> None:
    assert shelf.add("a", [1])
    assert not shelf.add("a", [2])
    assert shelf["a"] == [1]
    del shelf["a"]
    assert shelf.add("a", None)
    assert shelf.sub("users").add("x", 1)
    assert dict(shelf) == {"a": None, "users/x": 1}


def test_counting_goes_on_across_flushes_and_deletions(shelf: Any) -> None:
    for turn in range(1, 30):
        assert shelf.incr("n") == turn
        if turn % 3 == 0:
            shelf.sync()
    shelf.pop("n")
    assert shelf.incr("n") == 1
    del shelf["n"]
    shelf.sync()
    assert shelf.incr("n", 2) == 2


def test_a_reader_of_the_shelf_cannot_count(tmp_path: Path) -> None:
    path = tmp_path / "my.shelf"
    with coshelf.open(path) as shelf, coshelf.open(path, flag="r") as reader:
        shelf["n"] = 1
        assert shelf.incr("n") == 2
        assert reader["n"] == 2
        with pytest.raises(coshelf.ReadOnlyShelf):
            reader.incr("n")
        with pytest.raises(coshelf.ReadOnlyShelf):
            reader.add("n", 1)
        assert shelf["n"] == 2


def test_the_sum_is_stored_as_pickle_writes_it(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        for edge in _EDGES:
            shelf["n"] = edge - 1
            shelf.incr("n")
            record = shelf.engine_for("test").record(encode("n"))
            assert record is not None
            assert record[: -records.TRAILER] == pickle.dumps(edge, protocol=5)


def test_an_int_of_an_older_pickle_protocol_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "my.shelf"
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        with coshelf.open(path, protocol=protocol) as shelf:
            shelf["n"] = 70_000
        with coshelf.open(path) as shelf:
            assert [shelf.incr("n", 1 << 33), shelf.incr("n", -1)] == [70_000 + (1 << 33), 69_999 + (1 << 33)]
