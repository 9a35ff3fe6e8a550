"""FanoutCache: one shelf whatever the number of shards, and calls that give up instead of raising Timeout."""

from __future__ import annotations

import io
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from coshelf.diskcache import DEFAULT_SETTINGS, Cache, Deque, Disk, FanoutCache, Index, JSONDisk, Timeout


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return str(tmp_path / "fanout")


@pytest.fixture
def cache(directory: str) -> Iterator[FanoutCache]:
    with FanoutCache(directory) as cache:
        yield cache


@contextmanager
def _kept_locked(directory: str) -> Iterator[None]:
    """Have another thread be in a transaction on the directory."""
    inside, over = threading.Event(), threading.Event()

    def hold() -> None:
        with Cache(directory) as other, other.transact():
            inside.set()
            over.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert inside.wait(60)
        yield
    finally:
        over.set()
        holder.join()


def test_it_stores_and_finds_what_a_cache_does(cache: FanoutCache) -> None:
    assert cache.set("a", 1, expire=60, tag="odd") is True
    assert cache.get("a") == 1
    value, expires, tag = cache.get("a", expire_time=True, tag=True)
    assert (value, tag) == (1, "odd")
    assert 0 < expires - time.time() <= 60
    assert (cache.get("z"), cache.get("z", 0), cache.get("z", tag=True)) == (None, 0, (None, None))
    assert ("a" in cache, "z" in cache, cache["a"], len(cache)) == (True, False, 1, 1)
    cache["b"] = [2]
    assert (cache["b"], list(cache), list(reversed(cache))) == ([2], ["a", "b"], ["b", "a"])
    assert (cache.add("a", 5), cache.add("c", 5), cache["a"], cache["c"]) == (False, True, 1, 5)
    assert (cache.pop("c"), cache.pop("c"), cache.pop("c", 0), cache.pop("a", tag=True)) == (5, None, 0, (1, "odd"))
    assert (cache.delete("b"), cache.delete("b")) == (True, False)
    assert len(cache) == 0


def test_a_missing_key_is_a_key_error(cache: FanoutCache) -> None:
    for call in (cache.__getitem__, cache.__delitem__, cache.read, lambda key: cache.incr(key, default=None)):
        with pytest.raises(KeyError, match=r"^'z'$"):
            call("z")


def test_touch_moves_the_time_to_expire(cache: FanoutCache) -> None:
    cache.set("a", 1, expire=60)
    assert (cache.touch("a"), cache.get("a", expire_time=True)) == (True, (1, None))
    assert (cache.touch("a", expire=0), cache.touch("a"), cache.touch("z")) == (True, False, False)


def test_incr_and_decr_count(cache: FanoutCache) -> None:
    assert (cache.incr("n"), cache.incr("n", 5), cache.decr("n", delta=8), cache.incr("m", 1, default=10)) == (
        1,
        6,
        -2,
        11,
    )


def test_files_are_stored_and_read(cache: FanoutCache) -> None:
    content = b"data" * 20_000
    assert cache.set("a", io.BytesIO(content), read=True)
    assert cache["a"] == content
    with cache.read("a") as handle:
        assert os.path.dirname(handle.name).startswith(cache.directory)
        assert handle.read() == content
    assert cache.add("b", io.BytesIO(content), read=True)
    with cache.get("b", read=True) as handle:
        assert handle.read() == content


def test_expire_evict_and_clear_count_what_they_remove(cache: FanoutCache) -> None:
    cache.reset("cull_limit", 0)
    for number in range(30):
        cache.set(number, number, expire=0 if number < 10 else None, tag="odd" if number % 2 else "even")
    assert (len(cache), cache.expire(), len(cache)) == (30, 10, 20)
    assert (cache.evict("odd"), cache.evict("none"), len(cache)) == (10, 0, 10)
    assert (cache.clear(), cache.clear(), list(cache)) == (10, 0, [])


def test_expired_entries_are_listed_until_they_are_removed(cache: FanoutCache) -> None:
    cache.reset("cull_limit", 0)
    cache.set("a", 1, expire=0)
    assert ("a" in cache, list(cache), len(cache)) == (False, ["a"], 1)
    cache.expire()
    assert (list(cache), len(cache)) == ([], 0)


def test_the_tag_index_is_made_and_dropped(cache: FanoutCache) -> None:
    assert cache.tag_index == 0
    cache.create_tag_index()
    assert cache.tag_index == 1
    cache.drop_tag_index()
    assert cache.tag_index == 0


def test_stats_count_hits_and_misses(cache: FanoutCache) -> None:
    cache["a"] = 1
    assert cache.stats() == (0, 0)
    for key in "aab":
        cache.get(key)
    assert cache.stats(enable=False, reset=True) == (2, 1)
    cache.get("a")
    assert cache.stats() == (0, 0)


def test_volume_grows_with_the_cache(cache: FanoutCache) -> None:
    before = cache.volume()
    cache["a"] = b"x" * 100_000
    assert cache.volume() >= before + 100_000


def test_memoize_keeps_results(cache: FanoutCache) -> None:
    calls = []

    @cache.memoize(name="square", expire=60, tag="squares")
    def square(number: int) -> int:
        calls.append(number)
        return number * number

    assert [square(3), square(3), calls] == [9, 9, [3]]
    assert cache.get(square.__cache_key__(3), tag=True) == (9, "squares")
    with pytest.raises(TypeError, match=r"^name cannot be callable$"):
        cache.memoize(lambda: None)  # type: ignore[arg-type]


def test_a_transaction_is_stored_wholly_or_not_at_all(cache: FanoutCache) -> None:
    big = b"x" * 40_000
    for number in range(10):
        cache[number] = big
    with pytest.raises(ZeroDivisionError), cache.transact():
        for number in range(10):
            cache[number] = big * 2
        with cache.transact(retry=True):
            cache.clear()
        raise ZeroDivisionError
    assert [cache[number] for number in range(10)] == [big] * 10
    assert cache.check() == []
    with pytest.raises(AssertionError, match=r"^retry must be True in FanoutCache$"), cache.transact(retry=False):
        pass


@pytest.mark.parametrize(
    ("call", "given_up"),
    [
        (lambda cache: cache.set("a", 2), False),
        (lambda cache: cache.add("z", 2), False),
        (lambda cache: cache.touch("a"), False),
        (lambda cache: cache.delete("a"), False),
        (lambda cache: cache.incr("a"), None),
        (lambda cache: cache.decr("a"), None),
        (lambda cache: cache.pop("a"), None),
        (lambda cache: cache.pop("a", "default", tag=True), "default"),
    ],
)
def test_a_call_that_cannot_have_the_lock_gives_up(
    cache: FanoutCache, call: Callable[[FanoutCache], Any], given_up: object
) -> None:
    cache["a"] = 1
    with _kept_locked(cache.directory):
        assert call(cache) is given_up or call(cache) == given_up
        assert cache.get("a") == 1
    assert (cache["a"], len(cache)) == (1, 1)


def test_a_get_that_has_to_write_gives_up(cache: FanoutCache) -> None:
    cache["a"] = 1
    cache.stats(enable=True)
    with _kept_locked(cache.directory):
        assert cache.get("a", "default") in {1, "default"}


def test_what_removes_much_goes_on_until_it_has_the_lock(directory: str) -> None:
    with FanoutCache(directory, timeout=0.001) as cache:
        for number in range(10):
            cache[number] = number
        counts: list[int] = []
        clearing = threading.Thread(target=lambda: counts.append(cache.clear()))
        with _kept_locked(directory):
            clearing.start()
            assert len(cache) == 10
        clearing.join()
        assert (counts, len(cache)) == ([10], 0)


def test_counts_before_a_timeout_are_added(cache: FanoutCache, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [Timeout(2), Timeout(), 3] * 4

    def remove(*arguments: object, **options: object) -> int:
        answer = answers.pop(0)
        if isinstance(answer, Timeout):
            raise answer
        return int(answer)

    for name in ("expire", "evict", "cull", "clear"):
        monkeypatch.setattr(Cache, name, remove)
    assert (cache.expire(), cache.evict("tag"), cache.cull(), cache.clear()) == (5, 5, 5, 5)


def test_items_wait_for_the_lock(cache: FanoutCache) -> None:
    stored = threading.Thread(target=cache.__setitem__, args=("a", 1))
    with _kept_locked(cache.directory):
        stored.start()
    stored.join()
    assert cache["a"] == 1


def test_threads_add_and_count_each_once(directory: str) -> None:
    with FanoutCache(directory, shards=1) as cache:
        added: list[int] = []

        def work() -> None:
            added.append(sum(cache.add(number, number, retry=True) for number in range(50)))
            for _ in range(20):
                cache.incr("n", retry=True)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (sum(added), cache["n"]) == (50, 160)
        assert cache.check() == []


def test_keys_are_found_with_another_number_of_shards(directory: str) -> None:
    with FanoutCache(directory, shards=3) as cache:
        for number in range(50):
            cache[number, "key"] = number
    for shards in (1, 8):
        with FanoutCache(directory, shards=shards) as cache:
            assert [cache.get((number, "key")) for number in range(50)] == list(range(50))
            assert len(cache) == 50


@pytest.mark.parametrize("reopen", [FanoutCache, lambda directory: FanoutCache(directory, shards=2)])
def test_the_size_limit_stays_when_reopened(directory: str, reopen: Callable[[str], FanoutCache]) -> None:
    with FanoutCache(directory, size_limit=2**24) as cache:
        assert cache.size_limit == 2**21
    with reopen(directory) as cache:
        assert cache.size_limit * cache.shards == 2**24
        assert cache.reset("size_limit") * cache.shards == 2**24
    with Cache(directory) as plain:
        assert plain.size_limit == 2**24


def test_the_size_limit_stays_when_unpickled(directory: str) -> None:
    with FanoutCache(directory, size_limit=2**24, shards=4) as cache:
        other = pickle.loads(pickle.dumps(cache))
        assert other.size_limit == 2**22
        assert cache.reset("size_limit", 2**20) == 2**20
        assert other.reset("size_limit") == 2**20
        assert pickle.loads(pickle.dumps(other)).size_limit == 2**20


def test_the_size_limit_is_that_of_the_whole_cache(directory: str) -> None:
    with FanoutCache(directory, size_limit=400_000, cull_limit=0) as cache:
        for number in range(30):
            cache[number] = b"x" * 40_000
        assert cache.volume() > 1_000_000
        assert cache.cull() >= 20
        assert cache.volume() <= 400_000
        assert list(cache) == sorted(cache)
        assert 29 in cache
        assert cache.check() == []


def test_settings_are_attributes(cache: FanoutCache) -> None:
    for name, value in DEFAULT_SETTINGS.items():
        if name != "size_limit":
            assert getattr(cache, name) == value
    assert (cache.timeout, type(cache.disk), cache.shards) == (0.010, Disk, 8)
    assert cache.reset("cull_limit", 3) == 3
    assert cache.cull_limit == 3
    cache.cull_limit = 5
    assert (cache.cull_limit, cache.reset("cull_limit")) == (5, 3)


def test_without_a_limit_the_share_reads_as_that_of_diskcache_and_nothing_goes(directory: str) -> None:
    with FanoutCache(directory, shards=4) as cache:
        assert cache.size_limit == cache.reset("size_limit") == 2**28
        with Cache(directory) as plain:
            assert plain.size_limit == DEFAULT_SETTINGS["size_limit"] == float("inf")
        assert cache.cull() == 0


@pytest.mark.parametrize("name", ["iterkeys", "peek", "peekitem", "push", "pull", "count", "nonsense"])
def test_other_attributes_do_not_exist(cache: FanoutCache, name: str) -> None:
    with pytest.raises(AssertionError, match=rf"^cannot access {name} in cache shard$"):
        getattr(cache, name)
    assert not hasattr(cache, name)
    assert getattr(cache, name, None) is None


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_carries_directory_shards_timeout_and_disk(directory: str, protocol: int) -> None:
    with FanoutCache(directory, 3, 0.5, JSONDisk) as cache:
        cache["a"] = [1]
        with pickle.loads(pickle.dumps(cache, protocol)) as other:
            assert other["a"] == [1]
            assert (other.directory, other.shards, other.timeout, type(other.disk)) == (directory, 3, 0.5, JSONDisk)


@pytest.mark.parametrize("shards", [0, -1])
def test_a_number_of_shards_below_one_is_refused(directory: str, shards: int) -> None:
    with pytest.raises(ValueError, match="one shard or more"):
        FanoutCache(directory, shards=shards)
    assert not os.path.exists(directory)


def test_a_disk_that_is_no_disk_is_refused(directory: str) -> None:
    with pytest.raises(ValueError, match=r"^disk must subclass diskcache.Disk$"):
        FanoutCache(directory, disk=dict)  # type: ignore[arg-type]


def test_it_can_be_used_again_after_closing(directory: str) -> None:
    cache = FanoutCache(directory)
    cache["a"] = 1
    cache.close()
    assert cache["a"] == 1
    with cache as same:
        assert same is cache
    assert cache["a"] == 1
    cache.close()


def test_a_directory_may_be_a_path_or_absent(tmp_path: Path) -> None:
    with FanoutCache(tmp_path / "a") as cache:
        assert cache.directory == str(tmp_path / "a")
    with FanoutCache() as cache:
        assert os.path.isdir(cache.directory)


def test_caches_deques_and_indexes_lie_below_it(directory: str, cache: FanoutCache) -> None:
    made = cache.cache("pages/old"), cache.deque("jobs", maxlen=3), cache.index("users")
    assert [type(one) for one in made] == [Cache, Deque, Index]
    assert [one.directory for one in made] == [
        os.path.join(directory, *parts) for parts in (("cache", "pages", "old"), ("deque", "jobs"), ("index", "users"))
    ]
    assert made[1].maxlen == 3
    assert (made[1].cache.eviction_policy, made[2].cache.eviction_policy) == ("none", "none")
    assert (made[0].timeout, cache.cache("quick", timeout=1, cull_limit=3).cull_limit) == (60, 3)


def test_the_same_name_is_the_same_object_until_it_is_closed(cache: FanoutCache) -> None:
    makers: list[Callable[[str], Any]] = [cache.cache, cache.deque, cache.index]
    made = [make("a") for make in makers]
    assert all(make("a") is one for make, one in zip(makers, made, strict=True))
    made[1].append(1)
    cache.close()
    again = [make("a") for make in makers]
    assert not any(one is other for one, other in zip(made, again, strict=True))
    assert list(again[1]) == list(made[1]) == [1]


class OtherDisk(Disk):
    pass


def test_a_cache_below_it_has_the_disk_that_is_given(directory: str) -> None:
    with FanoutCache(directory, disk=JSONDisk) as cache:
        assert type(cache.cache("own", disk=OtherDisk).disk) is OtherDisk
        assert type(cache.cache("same").disk) is JSONDisk
        assert type(cache.deque("same").cache.disk) is JSONDisk
        assert type(cache.index("same").cache.disk) is JSONDisk
        cache.index("same")["a"] = (1, 2)
        assert cache.index("same")["a"] == [1, 2]


def test_repairing_and_clearing_leave_what_lies_below_it_alone(cache: FanoutCache) -> None:
    big = b"x" * 40_000
    cache["a"] = cache.cache("c")["a"] = cache.index("i")["a"] = big
    cache.deque("d").append(big)
    assert cache.check() == []
    assert cache.check(fix=True) == []
    assert cache.clear() == 1
    cache.check(fix=True)
    assert (cache.cache("c")["a"], cache.index("i")["a"], list(cache.deque("d"))) == (big, big, [big])
    for below in (cache.cache("c"), cache.index("i").cache, cache.deque("d").cache):
        assert below.check() == []


def test_a_copied_directory_is_a_cache_of_its_own(tmp_path: Path) -> None:
    import shutil

    with FanoutCache(tmp_path / "a") as cache:
        for number in range(20):
            cache[number] = str(number) * (1 if number % 2 else 40_000)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with FanoutCache(tmp_path / "b") as other, FanoutCache(tmp_path / "a") as cache:
        assert [other[number] for number in range(20)] == [cache[number] for number in range(20)]
        del other[0]
        assert 0 in cache
        assert other.check() == []
