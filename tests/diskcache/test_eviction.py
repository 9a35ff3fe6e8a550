"""What goes when a cache is full: how much, and in which order."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from cache_calls import Clock
from support import Crew

from coshelf.diskcache import EVICTION_POLICY, Cache
from coshelf.dropin.diskcache import reads

POLICIES = ["least-recently-stored", "least-recently-used", "least-frequently-used"]


class Model:
    """The numbers of each key by which policies order."""

    def __init__(self) -> None:
        self.stored: dict[int, float] = {}
        self.used: dict[int, float] = {}
        self.counted: dict[int, int] = {}
        self.place: dict[int, int] = {}  # in the order of insertion

    def store(self, key: int, now: float) -> None:
        self.stored[key] = self.used[key] = now
        self.counted[key] = 0
        self.place.setdefault(key, max(self.place.values(), default=0) + 1)

    def use(self, key: int, now: float) -> None:
        self.used[key] = now
        self.counted[key] += 1

    def remove(self, key: int) -> None:
        for numbers in (self.stored, self.used, self.counted, self.place):
            del numbers[key]  # type: ignore[attr-defined]

    def order(self, policy: str) -> list[int]:
        numbers: Any = dict(zip(POLICIES, (self.stored, self.used, self.counted), strict=True))[policy]
        return sorted(self.place, key=lambda key: (numbers[key], self.place[key]))


def grow(cache: Cache, model: Model, clock: Clock, seed: int, steps: int = 150) -> None:
    """Store, read, count and delete at random, in the cache and in the model."""
    chance = random.Random(seed)
    for _ in range(steps):
        clock.now += chance.choice([0, 0, 1])
        key = chance.randrange(20)
        what = chance.choice(["set", "get", "get", "get", "incr", "delete"])
        if what == "set" or key not in model.place:
            cache[key] = 5
            model.store(key, clock.now)
        elif what == "get":
            assert cache.get(key) is not None
            model.use(key, clock.now)
        elif what == "incr":
            cache.incr(key)
            model.use(key, clock.now)
            model.stored[key] = clock.now
        else:
            del cache[key]
            model.remove(key)


def culled_one_by_one(cache: Cache) -> list[int]:
    """The keys in the order in which they go."""
    gone, left = [], list(cache)
    while left:
        cache.size_limit = cache.volume() - 1
        assert cache.cull() == 1
        remaining = set(cache)
        gone += [key for key in left if key not in remaining]
        left = list(cache)
    return gone


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_entries_go_in_the_exact_order_of_the_policy(tmp_path: Path, policy: str, seed: int) -> None:
    clock, model = Clock(), Model()
    with clock.shown(), Cache(tmp_path, size_limit=1 << 30, eviction_policy=policy) as cache:
        grow(cache, model, clock, seed)
        assert cache.check() == []
        assert culled_one_by_one(cache) == model.order(policy)
        assert cache.check() == []


@pytest.mark.parametrize("policy", POLICIES)
def test_an_object_with_another_policy_than_the_index_has_removes_in_its_own_order(tmp_path: Path, policy: str) -> None:
    clock, model = Clock(), Model()
    with clock.shown(), Cache(tmp_path, size_limit=1 << 30, eviction_policy=policy) as cache:
        grow(cache, model, clock, 3)
        other = Cache(tmp_path)
        other.eviction_policy = "least-recently-stored"
        assert culled_one_by_one(other) == model.order("least-recently-stored")
        assert cache.check() == []


@pytest.mark.parametrize("policy", POLICIES)
def test_an_index_that_is_built_later_orders_by_the_times_of_storing(tmp_path: Path, policy: str) -> None:
    clock, model = Clock(), Model()
    with clock.shown(), Cache(tmp_path) as cache:
        grow(cache, model, clock, 4)
        model.used = model.stored
        model.counted = dict.fromkeys(model.place, 0)
        cache.reset("eviction_policy", policy)
        cache.reset("size_limit", 1 << 30)
        assert culled_one_by_one(cache) == model.order(policy)


def test_many_reads_between_two_writes_do_not_change_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "_AT_ONCE", 50)
    clock = Clock()
    with clock.shown(), Cache(tmp_path, size_limit=1 << 30, eviction_policy="least-recently-used") as cache:
        for key in range(90):
            cache[key] = 0
        for key in reversed(range(80)):  # more than are corrected together
            clock.now += 1
            assert key in cache
            cache.get(key)
        assert culled_one_by_one(cache) == [*range(80, 90), *reversed(range(80))]


def test_without_a_policy_nothing_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path, size_limit=100, eviction_policy="none")
    for key in range(30):
        cache[key] = "x" * 50
    assert (cache.cull(), len(cache)) == (0, 30)
    assert cache.volume() > 100


def test_a_small_limit_keeps_what_fits(tmp_path: Path) -> None:
    cache = Cache(tmp_path, size_limit=2_000, cull_limit=1)
    for key in range(30):
        cache[key] = "x" * 100
    assert 2_000 - cache.volume() / len(cache) <= cache.volume() < 2_000
    assert list(cache) == list(range(30 - len(cache), 30))


def test_a_limit_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path, size_limit=0)
    for key in range(30):
        cache[key] = key
    assert (len(cache), cache.volume(), cache.check()) == (0, 0, [])


def test_a_write_removes_expired_entries_first_and_no_more_than_the_cull_limit(tmp_path: Path) -> None:
    clock = Clock()
    with clock.shown(), Cache(tmp_path, size_limit=100, cull_limit=0) as cache:
        for key in range(10):
            cache.set(key, 0, expire=10 - key)  # the last one expires first
        cache["permanent"] = 0
        clock.now += 100
        cache.reset("cull_limit", 4)
        cache["new"] = 0
        assert list(cache) == [0, 1, 2, 3, 4, 5, "permanent", "new"]
        cache.reset("cull_limit", 8)
        cache["newer"] = 0  # six that have expired, and two by the policy
        assert list(cache) == ["newer"]


def test_a_cull_limit_of_zero_removes_nothing_at_a_write(tmp_path: Path) -> None:
    cache = Cache(tmp_path, size_limit=100, cull_limit=0)
    for key in range(30):
        cache.set(key, 0, expire=-1)
    assert len(cache) == 30
    assert (cache.cull(), len(cache)) == (30, 0)


def test_a_policy_of_a_program_selects_by_its_statement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        EVICTION_POLICY,
        "unused for a minute",
        {
            "init": None,
            "get": "access_time = {now}",
            "cull": "SELECT {fields} FROM Cache WHERE access_time < {now} - 60 ORDER BY tag, access_time LIMIT ?",
        },
    )
    clock = Clock()
    with clock.shown(), Cache(tmp_path, size_limit=1, cull_limit=0, eviction_policy="unused for a minute") as cache:
        for key, tag in [("a", 2), ("b", 1), ("c", 3)]:
            cache.set(key, 0, tag=tag)
        assert cache.cull() == 0
        clock.now += 61
        cache.get("c")
        cache.size_limit = cache.volume() - 1
        assert (cache.cull(), list(cache)) == (1, ["a", "c"])
        cache.size_limit = 1
        assert (cache.cull(), list(cache)) == (1, ["c"])


def test_files_count_and_go_with_their_entries(tmp_path: Path) -> None:
    cache = Cache(tmp_path, size_limit=350_000, cull_limit=1)
    for key in range(10):
        cache[key] = b"x" * 100_000
    assert list(cache) == [7, 8, 9]
    assert cache.reset("size") == 300_000
    assert len(list(tmp_path.rglob("*.val"))) == 3
    assert cache.check() == []


def test_volume_is_what_a_walk_over_all_entries_sums_up(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for key, value in enumerate(["", "ä" * 10, b"x" * 5_000, 7, None, [1, 2], b"f" * 40_000]):
        cache[key] = value
        cache[f"key {key}" * 20] = value
    cache[0] = "longer than before"
    cache.incr(3)
    cache.touch(4, 60)
    del cache[1]
    assert cache.check() == []
    cache.clear()
    assert cache.volume() == 0


def test_processes_with_different_policies_keep_the_limit_together(tmp_path: Path, crew: Crew) -> None:
    program = """
        from coshelf.diskcache import Cache
        cache = Cache(sys.argv[1], size_limit=None)
        cache.size_limit, cache.eviction_policy = int(sys.argv[2]), sys.argv[3]
        say("ready")
        hear()
        for number in range(60):
            cache[os.getpid(), number] = "x" * 100
            cache.get((os.getpid(), number // 2))
            assert cache.volume() < int(sys.argv[2]), cache.volume()
        """
    workers = [crew.start(program, tmp_path, 10_000, policy) for policy in POLICIES]
    for worker in workers:
        worker.expect("ready")
    for worker in workers:
        worker.tell()
    for worker in workers:
        worker.finish()
    assert Cache(tmp_path).check() == []
