"""What the cache for aiocache promises beyond aiocache's acceptance tests."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import pickle
import threading
from argparse import Namespace
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from aiocache import Cache, cached, caches, multi_cached
from aiocache.lock import OptimisticLock, OptimisticLockError, RedLock
from aiocache.plugins import HitMissRatioPlugin
from aiocache.serializers import JsonSerializer, NullSerializer, PickleSerializer, StringSerializer

import coshelf
from coshelf.contrib.aiocache import CoshelfCache
from coshelf.errors import NotAShelf, ReadOnlyShelf, ShelfClosed, Unsupported, UnwritableValue
from coshelf.testing.contract.child import Child, Talk
from coshelf.testing.moving_clock import MovingClock

pytestmark = pytest.mark.anyio

patient = functools.partial(CoshelfCache, timeout=60)
"""A busy machine needs more than the 5 s that a call has by default."""


class Keys(Enum):
    ONE = "one"


async def replace(cache: Any) -> None:
    """Count once by optimistic locking."""
    while True:
        try:
            async with OptimisticLock(cache, "replaced") as lock:
                await lock.cas(await cache.get("replaced") + 1)
            return
        except OptimisticLockError:
            continue


async def update(cache: Any) -> int:
    """Count by each means, and return how many keys were added."""
    added = 0
    for number in range(40):
        await cache.increment("n")
        await replace(cache)
        with contextlib.suppress(ValueError):
            added += await cache.add(f"key {number}", 1)
    return added


def work(path: str, talk: Talk) -> None:
    """What a forked child does. It is killed before it closes the cache."""

    async def main() -> None:
        async with patient(path) as cache:
            talk.say("ready")
            talk.hear()
            talk.say(await update(cache))
            talk.hear()

    asyncio.run(main())


@pytest.mark.parametrize("engine", ["memory", "lmdb", "sqlite"])
async def test_every_engine_that_expires_has_all_calls(engine: str, path: str) -> None:
    async with patient("memory:" if engine == "memory" else f"{engine}:{path}") as cache:
        assert await cache.multi_set([("a", [1]), ("b", None)])
        assert await cache.multi_get(["a", "b", "c"]) == [[1], None, None]
        assert await cache.exists("b")
        assert await cache.add("n", 1)
        with pytest.raises(ValueError, match="n already exists"):
            await cache.add("n", 2)
        assert await cache.increment("n", 4) == 5
        assert await cache.increment("new", -2) == -2
        assert await cache.expire("n", 60)
        assert not await cache.expire("missing", 60)
        async with OptimisticLock(cache, "n") as lock:
            await lock.cas(6)
            with pytest.raises(OptimisticLockError):
                await lock.cas(7)
        assert await cache.get("n") == 6
        assert await cache._redlock_release("n", 5) == 0
        assert await cache._redlock_release("n", 6) == 1
        assert await cache.delete("n") == 0
        assert await cache.delete("a") == 1
        assert await cache.clear()
        assert not await cache.exists("b")


async def test_entries_expire(path: str) -> None:
    with MovingClock() as clock:
        async with patient(path, ttl=10) as cache:
            await cache.multi_set([("default", 1)])
            await cache.set("long", 1, ttl=None)
            await cache.set("extended", 1)
            await cache.expire("extended", 20)
            clock.pass_by(10)
            assert await cache.multi_get(["default", "long", "extended"]) == [None, 1, 1]
            assert await cache.add("default", 2)


def test_two_processes_lose_no_update_and_a_kill_loses_no_commit(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["aiocache/replaced"] = 0
    working = functools.partial(work, path)
    with Child(working) as one, Child(working) as two:
        for child in (one, two):
            assert child.heard() == "ready"
        for child in (one, two):
            child.tell("go")
        assert int(one.heard()) + int(two.heard()) == 40
        one.kill()
        two.kill()
    with coshelf.open(path) as shelf:
        assert shelf["aiocache/n"] == 80
        assert shelf["aiocache/replaced"] == 80


async def test_namespaces_and_key_builders_are_those_of_aiocache(path: str) -> None:
    async with patient(path, namespace="one:") as cache:
        await cache.set("a", 1)
        await cache.set("a", 2, namespace="two:")
        await cache.set(Keys.ONE, 3, namespace="")
        assert await cache.raw("keys") == ["one", "one:a", "two:a"]
        await cache.clear(namespace="one:")
        assert await cache.raw("keys") == ["one", "two:a"]

    def build_key(key: str, namespace: str | None = None) -> str:
        return f"{key}@{namespace}"

    async with patient(path, part="other", namespace="three", key_builder=build_key) as cache:
        await cache.set("a", 1)
        assert await cache.get("a") == 1
        assert await cache.raw("keys") == ["a@three"]


async def test_plugins_see_the_calls(path: str) -> None:
    async with patient(path, plugins=[HitMissRatioPlugin()]) as cache:
        await cache.set("a", 1)
        await cache.get("a")
        await cache.multi_get(["a", "b"])
        assert cache.hit_miss_ratio["hits"] == 2
        assert cache.hit_miss_ratio["total"] == 3


@pytest.mark.parametrize(
    ("serializer", "stored"),
    [
        (None, {"a": 1}),
        (NullSerializer(), {"a": 1}),
        (StringSerializer(), "{'a': 1}"),
        (JsonSerializer(), '{"a": 1}'),
        (PickleSerializer(protocol=4), pickle.dumps({"a": 1}, 4)),
    ],
    ids=["none", "null", "string", "json", "pickle"],
)
async def test_what_a_serializer_makes_is_stored(serializer: Any, stored: Any, path: str) -> None:
    async with patient(path, serializer=serializer) as cache:
        await cache.set("a", {"a": 1})
        assert await cache.raw("get", "a") == stored


@pytest.mark.parametrize("serializer", [StringSerializer(), JsonSerializer()])
async def test_numbers_of_a_serializer_are_counted_in_its_form(serializer: Any, path: str) -> None:
    async with patient(path, serializer=serializer) as cache:
        await cache.set("n", 5)
        assert await cache.increment("n", -7) == -2
        assert await cache.increment("new") == 1
        assert [int(value) for value in await cache.multi_get(["n", "new"])] == [-2, 1]
        assert await cache.raw("get", "new") == "1"


@pytest.mark.parametrize("value", ["text", b"\x00", True, None, 1.5, [1]], ids=repr)
async def test_what_is_no_integer_cannot_be_counted_and_stays(value: Any, path: str) -> None:
    async with patient(path) as cache:
        await cache.set("a", value)
        with pytest.raises(TypeError, match="integer"):
            await cache.increment("a")
        assert await cache.get("a") == value


async def test_decorated_functions_are_computed_once(path: str) -> None:
    calls = []

    @cached(cache=CoshelfCache, target=path, timeout=60, ttl=60, namespace="f:")
    async def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    @multi_cached("numbers", cache=CoshelfCache, target=path, timeout=60)
    async def squares(numbers: list[int]) -> dict[int, int]:
        calls.extend(numbers)
        return {number: number * number for number in numbers}

    assert [await double(2), await double(2)] == [4, 4]
    assert await squares(numbers=[3, 4]) == {3: 9, 4: 16}
    assert await squares(numbers=[4, 5]) == {4: 16, 5: 25}
    assert calls == [2, 3, 4, 5]
    await double.cache.close()
    await squares.cache.close()


async def test_tasks_of_a_loop_wait_for_the_one_that_has_the_red_lock(path: str) -> None:
    async with patient(path) as cache:
        for number in range(10):
            given_back = []

            async def enter(key: str, given_back: list[bool]) -> bool:
                async with RedLock(cache, key, lease=60):
                    is_first = not given_back
                    await asyncio.sleep(0.01 * is_first)
                    given_back.append(True)
                    return is_first

            entered = await asyncio.gather(*(enter(f"key {number}", given_back) for _ in range(20)))
            assert sum(entered) == 1


async def test_urls_and_settings_make_caches(path: str) -> None:
    async with Cache.from_url(f"coshelf://{path}?ttl=60&timeout=60&part=web&max_entries=1000") as cache:
        await cache.set("a", 1)
    async with Cache.from_url(f"coshelf://?timeout=60&target=sqlite:{path}.db") as cache:
        await cache.set("a", 2)
    caches.add(
        "shelf", {"cache": "coshelf.contrib.aiocache.CoshelfCache", "target": path, "part": "web", "timeout": 60}
    )
    async with caches.get("shelf") as cache:
        assert await cache.get("a") == 1
    caches._config.pop("shelf")
    with coshelf.open(path) as shelf:
        assert shelf.expires("web/a") is not None
        assert shelf.info().max_entries == 1000


async def test_loops_of_two_threads_share_a_cache(path: str) -> None:
    cache = patient(path)
    thread = threading.Thread(target=lambda: asyncio.run(cache.set("a", 1)))
    thread.start()
    thread.join()
    assert await cache.get("a") == 1
    await cache.close()


async def test_shelf_of_the_program_is_shared_and_stays_open(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["mine"] = 1
        async with patient(shelf) as cache:
            await cache.set("a", Namespace(b=1))
            await cache.clear()
            await cache.set("b", 1)
        assert dict(shelf) == {"aiocache/b": 1, "mine": 1}
        with pytest.raises(TypeError, match="durability"):
            patient(shelf, durability="commit")


async def test_closed_cache_opens_again_and_a_closed_shelf_says_so(path: str) -> None:
    cache = patient(path)
    await cache.set("a", 1)
    await cache.close()
    assert await cache.get("a") == 1
    await cache.close()
    shelf = coshelf.open(path)
    cache = patient(shelf)
    shelf.close()
    with pytest.raises(ShelfClosed):
        await cache.get("a")


@pytest.mark.parametrize(
    "make",
    [CoshelfCache, lambda: Cache.from_url("coshelf://app.shelf"), lambda: Cache.from_url("coshelf://")],
)
def test_cache_without_a_target_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match="coshelf:///PATH"):
        make()


async def test_wrong_targets_are_refused_and_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a letter")
    with pytest.raises(NotAShelf):
        await patient(tmp_path / "a.txt").set("a", 1)
    assert (tmp_path / "a.txt").read_text() == "a letter"
    with pytest.raises(Unsupported, match="expiry"):
        await patient(f"files:{tmp_path}/d").set("a", 1)
    with pytest.raises(TypeError, match="unknown"):
        await patient(tmp_path / "a.shelf", unknown=1).set("a", 1)


async def test_refused_writes_change_nothing(path: str) -> None:
    async with patient(path) as cache:
        await cache.set("a", 1)
        with pytest.raises(UnwritableValue):
            await cache.multi_set([("a", 2), ("b", lambda: 1)])
    async with patient(path, flag="r") as cache:
        for call in (cache.set("a", 2), cache.increment("a"), cache.delete("a"), cache.clear(), cache.expire("a", 1)):
            with pytest.raises(ReadOnlyShelf):
                await call
        assert await cache.get("a") == 1
        assert await cache.raw("keys") == ["a"]
