"""cashews with ``disk://``: one cache file, and eight shards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from cashews import Cache
from elsewhere import at_once, elsewhere

SHARDS = [0, 8]


def run(directory: Path, shards: int, work: Callable[[Cache], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        cache = Cache()
        cache.setup(f"disk://?directory={directory}&shards={shards}&timeout=60")
        await work(cache)
        await cache.close()

    asyncio.run(whole())


@pytest.mark.parametrize("shards", SHARDS)
def test_values_expiry_and_counters(tmp_path: Path, shards: int) -> None:
    async def work(cache: Cache) -> None:
        assert await cache.get("missing") is None
        assert await cache.set("plain", {"a": [1, 2]})
        assert await cache.get("plain") == {"a": [1, 2]}
        assert await cache.set("passing", 1, expire="10s")
        assert 0 < await cache.get_expire("passing") <= 10
        assert await cache.get_expire("plain") == -1
        assert not await cache.set("plain", "other", exist=False)
        assert await cache.set("plain", "other", exist=True)
        assert [await cache.incr("count", expire=10) for _ in range(3)] == [1, 2, 3]
        assert 0 < await cache.get_expire("count") <= 10
        await cache.expire("plain", 5)
        assert 0 < await cache.get_expire("plain") <= 5
        await cache.delete("plain")
        assert not await cache.exists("plain")
        await cache.set_many({"x": 1, "y": 2}, expire=30)
        assert await cache.get_many("x", "y", "z") == (1, 2, None)
        assert await cache.get_keys_count() == 4
        await cache.clear()
        assert await cache.get_keys_count() == 0

    run(tmp_path, shards, work)


def test_patterns(tmp_path: Path) -> None:
    async def work(cache: Cache) -> None:
        for number in range(20):
            await cache.set(f"user:{number}", number)
        await cache.set("other", 1)
        assert {key async for key in cache.scan("user:1*")} == {"user:1", *(f"user:1{digit}" for digit in range(10))}
        assert {key: value async for key, value in cache.get_match("user:1?")} != {"other": 1}
        await cache.delete_match("user:*")
        assert await cache.get_keys_count() == 1

    run(tmp_path, 0, work)


@pytest.mark.parametrize("shards", SHARDS)
def test_decorated_function_runs_once(tmp_path: Path, shards: int) -> None:
    calls = []

    async def work(cache: Cache) -> None:
        @cache(ttl="1m", key="square:{number}")
        async def square(number: int) -> int:
            calls.append(number)
            return number * number

        assert [await square(3) for _ in range(4)] == [9] * 4
        assert await square(4) == 16
        async with cache.lock("lock", expire=10):
            assert await cache.is_locked("lock")
        assert not await cache.is_locked("lock")

    run(tmp_path, shards, work)
    assert calls == [3, 4]


COUNT = """
import asyncio, sys
from cashews import Cache

async def whole():
    cache = Cache()
    cache.setup(f"disk://?directory={sys.argv[1]}&shards={sys.argv[2]}&timeout=60")
    for _ in range(100):
        await cache.incr("count")
    await cache.close()

asyncio.run(whole())
"""
READ = """
import asyncio, sys
from cashews import Cache

async def whole():
    cache = Cache()
    cache.setup(f"disk://?directory={sys.argv[1]}&shards={sys.argv[2]}")
    print(await cache.get("count"))

asyncio.run(whole())
"""


@pytest.mark.parametrize("shards", SHARDS)
def test_processes_count_together_and_a_later_one_reads(tmp_path: Path, shards: int) -> None:
    at_once(COUNT, [(tmp_path, shards)] * 2)
    assert elsewhere(READ, tmp_path, shards) == "200"
