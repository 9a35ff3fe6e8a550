"""``check`` finds each kind of damage, and ``check(fix=True)`` repairs it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from coshelf.diskcache import Cache, EmptyDirWarning, UnknownFileWarning
from coshelf.dropin.diskcache.layout import (
    ENTRIES,
    EXPIRY,
    ORDER,
    POLICY,
    TAGS,
    TOTALS,
)
from coshelf.dropin.diskcache.rows import Rows
from coshelf.errors import DamagedShelf

LARGE = b"x" * 40_000


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    cache = Cache(tmp_path, tag_index=1, size_limit=1 << 30)
    for key in range(5):
        cache.set(key, key, expire=1_000, tag="red")
    cache["large"] = LARGE
    cache["tuple", 1] = (2,)
    return cache


def path_of(cache: Cache, key: object) -> str:
    with cache.read(key) as file:
        name: str = file.name
        return name


def lose_file(cache: Cache) -> None:
    os.remove(path_of(cache, "large"))


def move_file(cache: Cache) -> None:
    path = path_of(cache, "large")
    os.rename(path, path + "_moved")


def shorten_file(cache: Cache) -> None:
    os.truncate(path_of(cache, "large"), 5)


def leave_a_file(cache: Cache) -> None:
    place = Path(cache.directory, "ab", "cd")
    place.mkdir(parents=True)
    (place / "left.val").write_bytes(b"left over")


def leave_a_directory(cache: Cache) -> None:
    Path(cache.directory, "ab", "cd").mkdir(parents=True)


def write(change: Callable[[Rows], object]) -> Callable[[Cache], None]:
    def damage(cache: Cache) -> None:
        cache._store.step(change, retry=True)

    return damage


def drop_keys(rows: Rows, within: tuple[bytes, bytes]) -> None:
    for key in rows.keys(*within)[:2]:
        rows.delete(key)


DAMAGES: dict[str, tuple[Callable[[Cache], None], list[str]]] = {
    "a file is gone": (lose_file, ["file not found: "]),
    "a file was moved": (move_file, ["file not found: ", "unknown file: "]),
    "a file is shorter": (shorten_file, ["wrong file size: "]),
    "a file too many": (leave_a_file, ["unknown file: "]),
    "an empty directory": (leave_a_directory, ["empty directory: "]),
    "a wrong count": (lambda cache: cache.reset("count", 3), ["wrong number of entries: 3 "]),
    "a wrong size": (lambda cache: cache.reset("size", 7), ["wrong size of all files: 7 "]),
    "a wrong volume": (
        write(lambda rows: rows.put(TOTALS, (*rows.totals()[:2], 1, rows.totals()[3]))),
        ["wrong volume: 1 "],
    ),
    "a wrong last number": (
        write(lambda rows: rows.put(TOTALS, (*rows.totals()[:3], 1))),
        ["wrong last number of an entry: 1 "],
    ),
    "times are missing": (write(lambda rows: drop_keys(rows, EXPIRY.ranges[2])), ["the index of times lacks 2 of 5 "]),
    "tags are missing": (write(lambda rows: drop_keys(rows, TAGS.ranges[2])), ["the index of tags lacks 2 of 5 "]),
    "policy is incomplete": (
        write(lambda rows: drop_keys(rows, POLICY.ranges[2])),
        ["the index of the policy lacks 2 of 7 "],
    ),
    "a time too many": (
        write(lambda rows: rows.put(EXPIRY.encode((5.0, 99)), None)),
        ["the index of times has 1 entries that do not exist"],
    ),
    "a place too many": (
        write(lambda rows: rows.put(ORDER.encode(99), (True, "gone"))),
        ["the order of insertion has 1 entries that do not exist"],
    ),
    "a place is missing": (
        write(lambda rows: rows.delete(ORDER.encode(2))),
        ["the order of insertion has no place for the entry 1"],
    ),
    "a place is another's": (
        write(lambda rows: rows.put(ORDER.encode(2), (True, 3))),
        ["the order of insertion has no place for the entry 1"],
    ),
    "an entry is no row": (
        write(lambda rows: rows.put(ENTRIES.encode("odd"), "not a row")),
        ["an entry is not a row of a cache: 'not a row'"],
    ),
    "two entries with one number": (
        write(lambda rows: rows.put(ENTRIES.encode("second"), rows.find("large", True))),
        ["two entries have the number 6"],
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_repaired_and_then_gone(cache: Cache, damage: str) -> None:
    assert cache.check() == []
    make, expected = DAMAGES[damage]
    make(cache)
    for fix in (False, True):
        found = [str(warning.message) for warning in cache.check(fix=fix)]
        assert [text for text in found if any(text.startswith(start) for start in expected)], found
        for start in expected:
            assert any(text.startswith(start) for text in found), found
    assert [str(warning.message) for warning in cache.check()] == []
    assert {key for key in cache if key not in ("large", "second")} == {0, 1, 2, 3, 4, ("tuple", 1)}
    assert [cache[key] for key in range(5)] == [0, 1, 2, 3, 4]
    assert (cache.evict("red"), len(list(cache))) == (5, len(cache))


def test_the_kinds_of_warnings_are_those_that_programs_filter(cache: Cache) -> None:
    leave_a_file(cache)
    Path(cache.directory, "empty").mkdir()
    assert {warning.category for warning in cache.check()} == {UnknownFileWarning, EmptyDirWarning}
    assert {warning.category for warning in cache.check(fix=True)} == {UnknownFileWarning, EmptyDirWarning}
    assert sorted(os.listdir(cache.directory)) == sorted(set(os.listdir(cache.directory)) - {"ab", "empty"})


def test_check_finds_a_record_whose_bytes_have_changed_and_repairs_the_rest(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        for key in range(20):
            cache[key] = f"some text of entry {key}"
    file = tmp_path / "cache.shelf"
    text = b"some text of entry 7"  # pages that are free may hold it, too
    file.write_bytes(file.read_bytes().replace(text, text.upper()))
    try:
        cache = Cache(tmp_path)
    except DamagedShelf:  # the page is one of those that are compared when a shelf is opened
        return
    with cache:
        assert any("7" in str(warning.message) for warning in cache.check())
        assert cache.check(fix=True) != []
    with Cache(tmp_path) as cache:
        assert cache.check(fix=True) != []  # the counts and the order, which cannot be told before it is opened again
    assert cache.check() == []
    assert sorted(cache) == [key for key in range(20) if key != 7]


def test_files_of_a_cache_below_and_of_an_old_diskcache_are_left_alone(tmp_path: Path) -> None:
    cache, below = Cache(tmp_path), Cache(tmp_path / "cache" / "inner")
    below["large"] = LARGE
    old = tmp_path / "12" / "34" / "old.val"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    with sqlite3.connect(tmp_path / "cache.db") as database:
        database.execute("CREATE TABLE Cache (filename TEXT)")
        database.execute("INSERT INTO Cache VALUES ('12/34/old.val'), (NULL)")
    database.close()
    assert cache.check(fix=True) == []
    assert old.exists()
    assert (below["large"], below.check()) == (LARGE, [])


def test_check_in_a_block_that_raises_repairs_nothing(cache: Cache) -> None:
    leave_a_file(cache)
    cache.reset("count", 3)
    with pytest.raises(ZeroDivisionError), cache.transact():
        del cache["large"]
        assert len(cache.check(fix=True)) >= 2
        _ = 1 / 0
    assert cache["large"] == LARGE
    assert [type(warning.message) for warning in cache.check()] == [UserWarning, UnknownFileWarning]
