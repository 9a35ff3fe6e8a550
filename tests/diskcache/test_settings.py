"""The settings of a cache: which value holds, for whom, and until when."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from coshelf.diskcache import DEFAULT_SETTINGS, Cache
from coshelf.dropin.diskcache.layout import INDEXES, TOTALS


def test_a_new_cache_has_the_defaults_as_attributes(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert {name: getattr(cache, name) for name in DEFAULT_SETTINGS} == DEFAULT_SETTINGS
    assert (cache.count, cache.size, cache.hits, cache.misses) == (0, 0, 0, 0)


def test_what_is_given_goes_before_what_is_stored_and_that_before_the_default(tmp_path: Path) -> None:
    with Cache(tmp_path, cull_limit=3, size_limit=50_000):
        pass
    with Cache(tmp_path, cull_limit=4) as second:
        assert (second.cull_limit, second.size_limit, second.statistics) == (4, 50_000, 0)
    with Cache(tmp_path) as third:
        assert (third.cull_limit, third.size_limit) == (4, 50_000)


def test_an_object_that_is_open_keeps_its_setting_until_it_loads_it_again(tmp_path: Path) -> None:
    first, second = Cache(tmp_path, cull_limit=3), Cache(tmp_path, cull_limit=4)
    assert (first.cull_limit, second.cull_limit) == (3, 4)
    assert first.reset("cull_limit") == 4
    assert first.cull_limit == 4


def test_an_attribute_that_is_assigned_holds_for_this_object_alone(tmp_path: Path) -> None:
    first = Cache(tmp_path)
    first.cull_limit = 99
    assert Cache(tmp_path).cull_limit == 10
    assert first.reset("cull_limit", 98, update=False) == 98
    assert Cache(tmp_path).cull_limit == 10
    assert first.reset("cull_limit", 97) == 97
    assert Cache(tmp_path).cull_limit == 97


def test_every_name_is_a_setting(tmp_path: Path) -> None:
    with Cache(tmp_path, colour="red", sqlite_cache_size=5, nothing=None) as cache:
        assert (cache.colour, cache.sqlite_cache_size, cache.nothing) == ("red", 5, None)  # type: ignore[attr-defined]
    with Cache(tmp_path) as cache:
        assert (cache.reset("colour"), cache.reset("sqlite_cache_size"), cache.reset("nothing")) == ("red", 5, None)


def test_a_setting_that_was_never_given_cannot_be_loaded(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with pytest.raises(ValueError, match="no setting 'colour'"):
        cache.reset("colour")
    assert cache.reset("colour", "red") == "red"
    with pytest.raises(ValueError, match="no setting 'colour'"):
        Cache(tmp_path).reset("colour")


def test_settings_of_the_disk_are_its_attributes(tmp_path: Path) -> None:
    cache = Cache(tmp_path, disk_min_file_size=100)
    assert cache.disk.min_file_size == 100
    cache.reset("disk_min_file_size", 200)
    assert (cache.disk.min_file_size, cache.disk_min_file_size) == (200, 200)  # type: ignore[attr-defined]
    assert Cache(tmp_path).disk.min_file_size == 200


def test_a_policy_that_does_not_exist_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="last-in"):
        Cache(tmp_path, eviction_policy="last-in", cull_limit=3)
    cache = Cache(tmp_path)
    assert (cache.eviction_policy, cache.cull_limit) == ("least-recently-stored", 10)
    cache.reset("eviction_policy", "last-in")
    with pytest.raises(KeyError, match="last-in"):
        cache["a"] = 1
    assert "a" not in cache


@pytest.mark.parametrize("no_limit", [None, math.inf])
def test_a_cache_without_a_limit_removes_nothing_whatever_it_holds(tmp_path: Path, no_limit: Any) -> None:
    cache = Cache(tmp_path, size_limit=no_limit)
    cache["a"] = 1
    cache._store.step(lambda rows: rows.put(TOTALS, (1, 0, 1 << 50, 1)), retry=True)
    cache["b"] = 2
    assert cache.volume() > 1 << 49
    assert (cache.cull(), sorted(cache)) == (0, ["a", "b"])


def test_a_limit_stays_when_the_cache_is_opened_again(tmp_path: Path) -> None:
    with Cache(tmp_path, size_limit=1_000, cull_limit=1):
        pass
    with Cache(tmp_path) as cache:
        for key in range(50):
            cache[key] = "x" * 50
        assert 0 < cache.volume() <= 1_000


def test_indexes_exist_while_a_setting_asks_for_them(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def existing() -> Any:
        return cache._store.get(INDEXES)

    assert existing() == (False, None)
    cache["a"] = 1
    for setting, value, indexes in [
        ("tag_index", 1, (True, None)),
        ("size_limit", 1 << 20, (True, "store_time")),
        ("eviction_policy", "least-recently-used", (True, "access_time")),
        ("eviction_policy", "none", (True, None)),
        ("tag_index", 0, (False, None)),
        ("eviction_policy", "least-frequently-used", (False, "access_count")),
        ("size_limit", None, (False, None)),
    ]:
        cache.reset(setting, value)
        assert existing() == indexes
        assert cache.check() == []


def test_opening_without_settings_keeps_the_indexes_that_others_asked_for(tmp_path: Path) -> None:
    first = Cache(tmp_path, tag_index=1, size_limit=1 << 20)
    Cache(tmp_path)
    assert first._store.get(INDEXES) == (True, "store_time")
    Cache(tmp_path, size_limit=None)
    assert first._store.get(INDEXES) == (True, None)
