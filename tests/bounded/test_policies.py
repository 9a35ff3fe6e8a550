"""What each policy keeps, and what it knows of reads."""

from __future__ import annotations

import os
from typing import Any

import pytest
from looking import Shelf, refuse_wrong_index

import coshelf
from coshelf.engines.lmdb.files.sidecar_directory import uses_path
from coshelf.engines.lmdb.files.use_table import UseTable, make_table
from coshelf.values.limits import Limits

KEEPS_READ = ["sieve", "lru", "lfu"]


def store(shelf: Shelf, numbers: range) -> None:
    for number in numbers:
        shelf[number] = number
    shelf.sync()


@pytest.mark.parametrize("evict", KEEPS_READ)
def test_what_was_read_stays(path: str, evict: Any) -> None:
    with coshelf.open(path, max_entries=100, evict=evict) as shelf:
        store(shelf, range(100))
        for number in range(0, 100, 10):
            assert shelf[number] == number
        store(shelf, range(100, 190))
        assert list(shelf) == [*range(0, 100, 10), *range(100, 190)]
        refuse_wrong_index(shelf)


@pytest.mark.parametrize("evict", KEEPS_READ)
@pytest.mark.parametrize("value", [{1, 2}, "x" * 70_000])
def test_reads_of_values_that_are_not_loaded_in_c_count(path: str, evict: Any, value: Any) -> None:
    with coshelf.open(path, max_entries=100, evict=evict) as shelf:
        shelf.update(dict.fromkeys(range(100), value))
        shelf.sync()
        assert shelf[7] == value
        assert shelf.get(8) == value
        assert 9 in shelf
        store(shelf, range(100, 197))
        assert list(shelf)[:4] == [7, 8, 9, 100]


def test_fifo_keeps_what_was_stored_last(path: str) -> None:
    with coshelf.open(path, max_entries=100, evict="fifo") as shelf:
        store(shelf, range(100))
        assert [shelf[number] for number in range(50)] == list(range(50))
        shelf[3] = "again"
        store(shelf, range(100, 150))
        assert list(shelf) == [3, *range(51, 150)]


def test_sieve_gives_a_read_entry_one_more_round(path: str) -> None:
    with coshelf.open(path, max_entries=10, evict="sieve") as shelf:
        store(shelf, range(10))
        assert [shelf[0], shelf[1]] == [0, 1]
        store(shelf, range(10, 14))
        assert list(shelf) == [0, 1, *range(6, 14)]  # the hand stands between 5 and 6
        store(shelf, range(14, 22))
        assert list(shelf) == [0, 1, *range(14, 22)]
        store(shelf, range(22, 24))
        assert list(shelf) == [0, 1, *range(16, 24)]
        store(shelf, range(24, 32))
        assert list(shelf) == [0, 1, *range(24, 32)]


def test_sieve_comes_back_to_the_oldest(path: str) -> None:
    with coshelf.open(path, max_entries=10, evict="sieve") as shelf:
        store(shelf, range(10))
        assert sum(shelf[number] for number in range(10)) == 45
        store(shelf, range(10, 11))  # all lose their marks; the hand comes to the new one, which was not read
        assert list(shelf) == list(range(10))
        store(shelf, range(11, 13))
        assert len(shelf) == 10


def test_lru_goes_by_the_last_read(path: str) -> None:
    with coshelf.open(path, max_entries=10_000, evict="lru") as shelf:
        shelf.update({number: number for number in range(10_000)})
        for part in (range(3_000), range(8_000, 9_000), range(1_000)):
            assert [shelf[number] for number in part] == list(part)
            for number in range(200):  # reads between commits have one time
                shelf[f"later{number}"] = number
            shelf.sync()
        shelf.update({f"k{number}": number for number in range(8_000)})
        kept = [key for key in shelf if isinstance(key, int)]
        assert 1_780 < len(kept) <= 1_820
        assert set(range(1_000)) < set(kept)
        assert len(set(kept) - {*range(1_000), *range(8_000, 9_000)}) < 100  # keys that share a place in the table


def test_lfu_keeps_what_is_read_more_often(path: str) -> None:
    with coshelf.open(path, max_entries=100, evict="lfu") as shelf:
        store(shelf, range(100))
        for _ in range(8):
            assert [shelf[number] for number in range(10)] == list(range(10))
        assert [shelf[number] for number in range(10, 50)] == list(range(10, 50))
        for new in (range(1_000, 1_060), range(2_000, 2_060)):
            store(shelf, new)
            for number in new:
                shelf.get(number)
        store(shelf, range(3_000, 3_030))
        assert set(range(10)) < set(shelf)
        assert not set(range(10, 50)) & set(shelf)


@pytest.mark.parametrize("evict", KEEPS_READ)
def test_order_survives_the_end_of_the_table(path: str, evict: Any) -> None:
    with coshelf.open(path, max_entries=100, evict=evict) as shelf:
        store(shelf, range(100))
        assert shelf[0] == 0
    assert not os.path.exists(os.path.dirname(uses_path(path)))
    with coshelf.open(path) as shelf:
        store(shelf, range(100, 150))
        assert list(shelf) == list(range(50, 150))
        refuse_wrong_index(shelf)


def test_shelf_without_a_table_evicts_the_oldest(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("coshelf.engines.lmdb.open_files.make_table", fails)
    with coshelf.open(path, max_entries=100) as shelf:
        store(shelf, range(100))
        assert shelf[0] == 0
        store(shelf, range(100, 150))
        assert list(shelf) == list(range(50, 150))
        assert shelf.stats().file.hits is None  # type: ignore[union-attr]


def test_process_that_had_the_shelf_open_before_notes_its_reads(path: str) -> None:
    with coshelf.open(path) as shelf:
        store(shelf, range(100))
        assert shelf[0] == 0
        with coshelf.open(path, max_entries=100) as other:
            assert [shelf[number] for number in range(10)] == list(range(10))
            store(other, range(100, 190))
        assert list(shelf) == [*range(10), *range(100, 190)]


def test_hits_misses_and_evictions_are_counted(path: str) -> None:
    with coshelf.open(path, max_entries=100, evict="fifo") as shelf:
        store(shelf, range(150))
        for number in range(60):
            shelf.get(number)
        assert 149 in shelf
        figures = shelf.stats(cheap=True).file
        assert figures is not None
        assert (figures.hits, figures.misses, figures.evictions) == (11, 50, 50)
        info = shelf.info()
        assert (info.max_bytes, info.max_entries, info.evict) == (None, 100, "fifo")


def test_unbounded_shelf_counts_nothing(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        figures = shelf.stats(cheap=True).file
        assert figures is not None
        assert (figures.hits, figures.misses, figures.evictions, figures.counted_bytes) == (None, None, None, None)
        assert shelf.info().evict is None
        assert not os.path.exists(uses_path(path))


def test_table_in_python_is_that_of_the_module(path: str) -> None:
    with coshelf.open(path, max_entries=100) as shelf:
        store(shelf, range(100))
        table: UseTable = shelf._handle.engine._environment.current_uses()  # type: ignore[attr-defined]
        before = bytes(table.memory[4096:])
        engine: Any = shelf._handle.engine
        for number in range(100):
            assert shelf[number] == number
        noted = bytes(table.memory[4096:])
        table.memory[4096:] = before
        keys = [shelf._namespace.encode(number) for number in range(100)]
        for key in keys:
            table.note(key, engine._environment.page.last_number)
        assert bytes(table.memory[4096:]) == noted != before
        assert all(table.count(key) >= 1 for key in keys)


@pytest.mark.parametrize(("entries", "bits"), [(10, 16), (100_000, 20), (2_000_000, 24)])
def test_last_use_is_told_to_a_tick(path: str, entries: int, bits: int) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        make_table(path, os.stat(path), Limits(max_entries=entries))
        with open(uses_path(path), "r+b") as file:
            table = UseTable(file.fileno())
        assert table.bits == bits
        for number in (5, 70_000, 1 << 33):
            assert table.last(b"\x30other", number) == -1
            table.note(b"\x30a", number)
            for later in (0, 1, entries):
                assert number <= table.last(b"\x30a", number + later) < number + (1 << bits - 13)
