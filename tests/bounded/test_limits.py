"""A shelf keeps its limits: what it counts, when it looks, and what it remembers."""

from __future__ import annotations

import os
from typing import Any

import pytest
from looking import Shelf, counted_bytes, evicted, order_rows, refuse_wrong_index

import coshelf
from coshelf.values.limits import bytes_of


def test_flush_leaves_as_many_entries_as_allowed(path: str) -> None:
    with coshelf.open(path, max_entries=100) as shelf:
        for number in range(1_000):
            shelf[number] = number
        shelf.sync()
        assert len(shelf) == 100
        assert evicted(shelf) == 900
        refuse_wrong_index(shelf)
        assert shelf.check().ok


def test_large_commit_leaves_as_many_entries_as_allowed(path: str) -> None:
    with coshelf.open(path, max_entries=100, evict="fifo") as shelf:
        shelf.update({number: number for number in range(5_000)})
        assert len(shelf) == 100
        refuse_wrong_index(shelf)


def test_flush_leaves_as_many_bytes_as_allowed(path: str) -> None:
    with coshelf.open(path, max_bytes=100_000, evict="fifo") as shelf:
        for number in range(1_000):
            shelf[number] = b"x" * 1_000
        shelf.sync()
        assert 98_000 < counted_bytes(shelf) <= 100_000
        assert 85 < len(shelf) < 100
        assert list(shelf) == list(range(1_000 - len(shelf), 1_000))
        refuse_wrong_index(shelf)


def test_values_in_pages_of_their_own_count_whole_pages(path: str) -> None:
    with coshelf.open(path, max_bytes="1 MiB", evict="fifo") as shelf:
        for number in range(300):
            shelf[number] = os.urandom(5_000)
        shelf.sync()
        assert 115 < len(shelf) < 128
        refuse_wrong_index(shelf)


def test_evicted_entries_leave_no_rows_of_times_and_tags(path: str) -> None:
    with coshelf.open(path, max_entries=10, evict="fifo") as shelf:
        for number in range(100):
            shelf.set(number, number, expire=3_600, tags=("even", "all") if number % 2 == 0 else ("all",))
        shelf.sync()
        assert list(shelf.tagged("all")) == list(range(90, 100))
        with shelf._handle.engine.snapshot() as snapshot:
            rows = [key for index in shelf.capabilities.indexes for key, _ in snapshot.scan(*index, keys_only=True)]
        assert len(rows) == 10 + 10 + 5
        refuse_wrong_index(shelf)


def test_large_buffers_count_and_go_with_their_entries(path: str) -> None:
    with coshelf.open(path, max_bytes="10 MiB", evict="fifo") as shelf:
        for number in range(12):
            shelf[number] = bytearray(2 << 20)
            shelf.sync()
        assert list(shelf) == [8, 9, 10, 11]
        refuse_wrong_index(shelf)
        shelf["a"] = 1
        shelf.sync()
        assert len([name for name in os.listdir(path + ".coshelf-blobs") if name != "writers"]) == 4
        assert shelf.check().ok


def test_deleting_overwriting_and_clearing_bring_the_bytes_down(path: str) -> None:
    with coshelf.open(path, max_bytes="1 GB") as shelf:
        shelf.update(dict.fromkeys(range(100), b"x" * 10000))
        shelf.sync()
        all_of_it = counted_bytes(shelf)
        for number in range(50):
            del shelf[number]
        for number in range(50, 75):
            shelf[number] = b""
        shelf.sync()
        assert counted_bytes(shelf) < 0.3 * all_of_it
        refuse_wrong_index(shelf)
        shelf.sub("a")["b"] = 1
        shelf.sub("a").clear()
        shelf.sync()
        refuse_wrong_index(shelf)
        shelf.clear()
        shelf.sync()
        assert (counted_bytes(shelf), order_rows(shelf)) == (0, [])
        shelf["a"] = 1
        shelf.sync()
        refuse_wrong_index(shelf)


def test_long_keys_are_counted_and_go(path: str) -> None:
    with coshelf.open(path, max_entries=10, evict="fifo") as shelf:
        for number in range(30):
            shelf[f"{number:04}" + "x" * (440 + 30 * number)] = number
            shelf.sync()
        assert sorted(shelf.values()) == list(range(20, 30))
        refuse_wrong_index(shelf)
        shelf.clear()
        shelf.sync()
        refuse_wrong_index(shelf)


def test_shelf_that_gets_limits_evicts_in_the_order_of_storing(path: str) -> None:
    with coshelf.open(path) as shelf:
        for number in reversed(range(500)):
            shelf[number] = number
        shelf.update({f"k{number}": number for number in range(2_000)})
    with coshelf.open(path, max_entries=2_100, evict="fifo") as shelf:
        assert len(shelf) == 2_100
        assert [key for key in shelf if isinstance(key, int)] == list(range(100))
        refuse_wrong_index(shelf)


def test_limits_are_remembered_changed_and_removed(path: str) -> None:
    with coshelf.open(path, max_entries=100, evict="fifo") as shelf:
        shelf.update({number: number for number in range(200)})
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        shelf.sync()
        assert len(shelf) == 100
    with coshelf.open(path, max_entries=50) as shelf:
        assert len(shelf) == 50
        refuse_wrong_index(shelf)
    with coshelf.open(path, max_entries=False) as shelf:
        shelf.update({number: number for number in range(200)})
        shelf.sync()
        assert len(shelf) == 201
        assert order_rows(shelf) == []
        assert shelf.check().ok


def test_flag_n_forgets_the_limits(path: str) -> None:
    with coshelf.open(path, max_entries=10) as shelf:
        shelf.update({number: number for number in range(20)})
    with coshelf.open(path, "n") as shelf:
        shelf.update({number: number for number in range(20)})
        shelf.sync()
        assert len(shelf) == 20
        assert order_rows(shelf) == []


def test_flag_r_changes_no_limit(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update({number: number for number in range(20)})
    with coshelf.open(path, "r", max_entries=10) as shelf:
        assert len(shelf) == 20


def test_backup_and_compacting_keep_limits_and_order(path: str) -> None:
    with coshelf.open(path, max_entries=100, evict="fifo") as shelf:
        for number in reversed(range(300)):
            shelf[number] = number
        shelf.sync()
        shelf.compact()
        refuse_wrong_index(shelf)
        shelf.backup(path + "2")
    for each in (path, path + "2"):
        with coshelf.open(each) as shelf:
            assert list(shelf) == list(range(100))
            refuse_wrong_index(shelf)
            shelf["a"] = 1
            shelf.sync()
            assert list(shelf) == [*range(99), "a"]
            refuse_wrong_index(shelf)


def test_salvaged_shelf_keeps_its_limits(path: str) -> None:
    with coshelf.open(path, max_entries=100, evict="fifo") as shelf:
        shelf.update({number: number for number in range(300)})
    coshelf.salvage(path, path + "2")
    with coshelf.open(path + "2") as shelf:
        refuse_wrong_index(shelf)
        shelf["a"] = 1
        shelf.sync()
        assert len(shelf) == 100


@pytest.mark.parametrize(
    ("size", "number"),
    [
        (5, 5), ("5", 5), ("1 kB", 1_000), ("1KiB", 1_024), ("2 GiB", 2 << 30), ("1.5 MB", 1_500_000),
        ("3 tb", 3_000_000_000_000), ("10 B", 10), ("7M", 7_000_000),
    ],
)  # fmt: skip
def test_sizes_are_numbers_or_text(size: Any, number: int) -> None:
    assert bytes_of(size) == number


@pytest.mark.parametrize(
    "options",
    [
        {"max_bytes": "two"}, {"max_bytes": "5 iB"}, {"max_bytes": 0}, {"max_bytes": -1}, {"max_bytes": 1.5},
        {"max_bytes": True}, {"max_entries": 0}, {"max_entries": "5"}, {"max_entries": 5, "evict": "mru"},
        {"evict": "lru"},
    ],
)  # fmt: skip
def test_impossible_limits_are_refused(path: str, options: dict[str, Any]) -> None:
    with pytest.raises(coshelf.InvalidLimit):
        coshelf.open(path, **options)


@pytest.mark.parametrize("kind", ["memory", "mapping", "sqlite", "files"])
def test_other_engines_refuse_limits(path: str, kind: str) -> None:
    target: Any = {"memory": "memory:", "mapping": {}, "sqlite": f"sqlite:{path}", "files": f"files:{path}"}[kind]
    with pytest.raises(coshelf.Unsupported, match="hint: use a file of the lmdb engine"):
        coshelf.open(target, max_entries=5)


def test_entries_that_were_evicted_stay_in_snapshots(path: str) -> None:
    with coshelf.open(path, max_entries=10, evict="fifo") as shelf:
        shelf.update({number: number for number in range(10)})
        shelf.sync()
        with shelf.snapshot() as then:
            for number in range(10, 30):
                shelf[number] = number
                shelf.sync()
            assert list(shelf) == list(range(20, 30))
            assert dict(then) == {number: number for number in range(10)}


def test_evicted_result_is_computed_again(path: str) -> None:
    calls = []
    with coshelf.open(path, max_entries=10, evict="fifo") as shelf:

        @shelf.memoize()
        def square(x: int) -> int:
            calls.append(x)
            return x * x

        assert [square(3), square(3)] == [9, 9]
        shelf.update({number: number for number in range(50)})
        shelf.sync()
        assert square(3) == 9
        assert calls == [3, 3]


def test_index_stays_right_through_all_kinds_of_writes(path: str) -> None:
    with coshelf.open(path, max_entries=60, evict="lru") as shelf:
        for number in range(400):
            _write(shelf, number)
            if number % 7 == 0:
                shelf.sync()
            shelf.get(number * 31 % 97)
        shelf.sync()
        assert len(shelf) <= 60
        refuse_wrong_index(shelf)


def _write(shelf: Shelf, number: int) -> None:
    kind, key = number % 8, number * 17 % 97
    if kind == 0:
        shelf.pop(key, None)
    elif kind == 1:
        shelf.set(key, number, expire=1_000)
    elif kind == 2:
        shelf.incr(f"c{key}")
    elif kind == 3:
        shelf.update({key + other: "x" * number for other in range(5)})
    elif kind == 4:
        with shelf.transaction() as transaction:
            transaction[key] = [number]
            transaction.pop(key + 1, None)
    else:
        shelf[key] = number
