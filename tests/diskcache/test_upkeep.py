"""Expiry, tags, clearing and statistics of a cache."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from cache_calls import Clock
from support import Crew

from coshelf.diskcache import Cache, Timeout
from coshelf.dropin.diskcache import upkeep


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


# --- expiry ----------------------------------------------------------------------------------------------------------


def test_expire_removes_what_has_expired_by_a_time_and_nothing_else(cache: Cache) -> None:
    clock = Clock()
    with clock.shown():
        cache.reset("cull_limit", 0)
        for seconds in range(1, 101):
            cache.set(seconds, 0, expire=seconds)
        cache["permanent"] = 0
        assert cache.expire() == 0
        assert cache.expire(clock.now + 10.5) == 10
        clock.now += 20.5
        assert cache.expire() == 10
        assert (len(cache), cache.expire(clock.now + 1_000), list(cache)) == (81, 80, ["permanent"])


def test_a_time_that_was_changed_is_what_counts(cache: Cache) -> None:
    clock = Clock()
    with clock.shown():
        cache.set("longer", 0, expire=1)
        cache.set("permanent", 0, expire=1)
        cache.set("stored anew", 0, expire=1)
        cache.touch("longer", 50)
        cache.touch("permanent", None)
        cache["stored anew"] = 1
        assert (cache.expire(clock.now + 49), cache.expire(clock.now + 51)) == (0, 1)
        assert list(cache) == ["permanent", "stored anew"]


# --- tags ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag_index", [0, 1])
def test_evict_removes_all_entries_with_a_tag_and_no_others(tmp_path: Path, tag_index: int) -> None:
    cache = Cache(tmp_path, tag_index=tag_index)
    tags: list[Any] = ["red", "blue", b"red", 1, 2.5, None, float("nan")]
    for key in range(70):
        cache.set(key, key, tag=tags[key % 7])
    cache.set(70, 0, tag=True)
    cache.set(1, 1, tag="red")  # which was blue
    cache[0] = 0  # which was red: a tag goes when its key is stored without one
    assert (cache.evict("green"), cache.evict(None), cache.evict(float("nan"))) == (0, 0, 0)
    assert (cache.evict("red"), cache.evict("blue"), cache.evict(b"red")) == (10, 9, 10)
    assert (cache.evict(1.0), cache.evict(2.5)) == (11, 10)
    assert sorted(cache) == sorted([0, *range(5, 70, 7), *range(6, 70, 7)])
    assert cache.check() == []


def test_an_index_of_tags_is_built_from_what_is_there_and_dropped_again(cache: Cache) -> None:
    for key in range(10):
        cache.set(key, 0, tag="even" if key % 2 == 0 else "odd")
    cache.create_tag_index()
    assert (cache.tag_index, cache.check()) == (1, [])
    cache.set(1, 0, tag="even")
    cache.set(10, 0, tag="odd")
    assert (cache.evict("even"), cache.check()) == (6, [])
    cache.drop_tag_index()
    assert (cache.tag_index, cache.evict("odd"), cache.check()) == (0, 5, [])


def test_what_cannot_be_a_tag_is_refused_by_evict(cache: Cache) -> None:
    with pytest.raises(Exception, match="tuple") as caught:
        cache.evict(("a",))
    assert type(caught.value).__name__ == "ProgrammingError"


@pytest.mark.parametrize("tag_index", [0, 1])
def test_more_entries_than_one_commit_takes_are_all_removed(
    tmp_path: Path, tag_index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_AT_ONCE", 10)
    cache = Cache(tmp_path, tag_index=tag_index, cull_limit=0)
    with cache.transact():
        for key in range(105):
            cache.set(key, 0, expire=-1, tag="x" if key % 3 else "y")
    assert (cache.evict("y"), cache.expire(), cache.clear()) == (35, 70, 0)
    with cache.transact():
        for key in range(105):
            cache[key] = 0
    assert (cache.clear(), len(cache), cache.volume()) == (105, 0, 0)
    assert cache.check() == []


# --- clearing --------------------------------------------------------------------------------------------------------


def test_clear_leaves_no_entry_and_no_file(cache: Cache, tmp_path: Path) -> None:
    for key in range(20):
        cache.set(key, b"x" * 40_000, expire=50, tag="red")
    assert (cache.clear(), cache.clear(), len(cache)) == (20, 0, 0)
    assert list(tmp_path.rglob("*.val")) == []
    assert cache.check() == []


def test_clear_in_a_block_that_raises_removes_nothing(cache: Cache) -> None:
    cache["small"], cache["large"] = 1, b"x" * 40_000
    with pytest.raises(ZeroDivisionError), cache.transact():
        assert cache.clear() == 2
        assert len(cache) == 0
        _ = 1 / 0
    assert (cache["small"], cache["large"]) == (1, b"x" * 40_000)
    assert cache.check() == []


@pytest.mark.parametrize("call", [Cache.expire, Cache.clear, Cache.cull, lambda cache: Cache.evict(cache, "red")])
def test_a_timeout_tells_how_many_entries_were_removed(tmp_path: Path, call: Any) -> None:
    cache = Cache(tmp_path, timeout=0.01, cull_limit=0, size_limit=0)
    cache.set("a", 0, tag="red")
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with Cache(tmp_path).transact():
            held.set()
            over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(60)
        with pytest.raises(Timeout) as caught:
            call(cache)
    finally:
        over.set()
        thread.join()
    assert caught.value.args == (0,)
    assert len(cache) == 1


# --- statistics ------------------------------------------------------------------------------------------------------


def test_reads_are_counted_only_while_statistics_are_on(cache: Cache) -> None:
    def read() -> None:
        for key in ["here", "here", "missing"]:
            cache.get(key)
        assert "here" in cache  # is no read

    cache["here"] = 0
    read()
    assert cache.stats() == (0, 0)  # this turns them on
    read()
    assert cache.stats() == (2, 1)
    read()
    assert cache.stats(reset=True) == (4, 2)
    read()
    assert cache.stats(enable=False) == (2, 1)
    read()
    assert cache.stats(enable=False) == (2, 1)
    assert (cache.reset("hits"), cache.reset("misses"), cache.hits, cache.misses) == (2, 1, 2, 1)


def test_an_expired_entry_is_a_miss(cache: Cache) -> None:
    cache.stats()
    cache.set("a", 0, expire=-1)
    cache.get("a")
    assert cache.stats() == (0, 1)


def test_counting_is_a_setting_that_is_kept(cache: Cache, tmp_path: Path) -> None:
    cache.stats(enable=True)
    with Cache(tmp_path) as second:
        second.get("missing")
    assert cache.stats() == (0, 1)


def test_each_read_of_several_processes_is_counted_once(cache: Cache, tmp_path: Path, crew: Crew) -> None:
    cache["here"] = 0
    cache.stats()
    program = """
        from coshelf.diskcache import Cache
        cache = Cache(path)
        say("ready")
        hear()
        for number in range(500):
            cache.get("here")
            cache.get(number)
        cache.close()  # which writes what a transaction kept from being written
        """
    for worker in crew.start_many(2, program, tmp_path):
        worker.finish()
    assert cache.stats() == (1_000, 1_000)


@pytest.mark.parametrize("policy", ["least-recently-used", "least-frequently-used"])
def test_a_read_does_not_wait_for_a_transaction_and_is_noted_after_it(tmp_path: Path, policy: str) -> None:
    cache = Cache(tmp_path, timeout=60, size_limit=1 << 20, eviction_policy=policy, statistics=1)
    cache["a"], cache["b"] = 1, 2
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with Cache(tmp_path).transact():
            held.set()
            over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(60)
        assert (cache.get("a"), cache.get("missing")) == (1, None)
    finally:
        over.set()
        thread.join()
    assert cache.stats() == (1, 1)
    cache.size_limit = cache.volume() - 1
    assert (cache.cull(), list(cache)) == (1, ["a"])


def test_a_forked_child_does_not_count_the_reads_of_its_parent_again(cache: Cache) -> None:
    cache.stats()
    with cache.transact():
        cache.get("missing")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            cache.get("missing")
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert cache.stats() == (0, 2)


def test_a_count_in_a_block_that_raises_is_undone(cache: Cache) -> None:
    cache.stats()
    with pytest.raises(ZeroDivisionError), cache.transact():
        cache.get("missing")
        _ = 1 / 0
    assert cache.stats() == (0, 0)
