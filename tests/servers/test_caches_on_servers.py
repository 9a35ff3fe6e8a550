"""The caches of frameworks on a server: the commands that are one step, and a lock whose process has ended."""

from __future__ import annotations

import asyncio

import pytest
from aiocache.lock import OptimisticLock, OptimisticLockError
from cashews import Cache
from dogpile.cache import make_region, register_backend
from valkey_servers import a_name

import coshelf
import coshelf.contrib.cashews
from coshelf.contrib.aiocache import CoshelfCache as AsyncCache
from coshelf.contrib.cachelib import CoshelfCache

register_backend("coshelf", "coshelf.contrib.dogpile", "CoshelfBackend")


@pytest.fixture(params=["server", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Of a shelf on Valkey and one on PostgreSQL."""
    found = request.getfixturevalue(request.param)
    return str(found if request.param == "server" else found.url(a_name()))


def test_region_of_dogpile(url: str) -> None:
    region = make_region().configure("coshelf", arguments={"target": url, "expire": 60})
    assert region.get_or_create("a", lambda: 1) == 1
    assert region.get_or_create_multi(["a", "b"], lambda *keys: [f"new {key}" for key in keys]) == [1, "new b"]
    region.delete_multi(["a", "c"])
    mutex = region.backend.get_mutex("a")
    assert mutex is not None
    assert mutex.acquire()
    assert not mutex.acquire(False)
    assert region.key_is_locked("a")
    mutex.release()
    assert not region.key_is_locked("a")
    with coshelf.open(url) as shelf:
        assert list(shelf) == ["dogpile/b"]
    region.actual_backend.close()


def test_cache_of_cachelib(url: str) -> None:
    cache = CoshelfCache(url)
    assert cache.set_many({"a": [1], "b": None}, timeout=60) == ["a", "b"]
    assert cache.get_many("a", "b", "c") == [[1], None, None]
    assert not cache.add("a", 1)
    assert [cache.inc("n", 5), cache.dec("n")] == [5, 4]
    assert cache.delete_many("a", "c") == ["a", "c"]
    with pytest.raises(coshelf.errors.KeyTooLong):
        cache.set((1 << 21) * "k", 1)
    assert cache.clear()
    assert not cache.has("b")
    cache.close()


def test_cache_of_aiocache(url: str) -> None:
    async def main() -> None:
        async with AsyncCache(url, ttl=60, timeout=None) as cache:
            await cache.multi_set([("a", 1), ("x:a", 2), ("x:b", 3)])
            assert await asyncio.gather(*(cache.increment("a") for _ in range(5))) is not None
            async with OptimisticLock(cache, "a") as lock:
                await lock.cas(7)
                with pytest.raises(OptimisticLockError):
                    await lock.cas(8)
            await cache.clear(namespace="x:")
            assert await cache.raw("items") == [("a", 7)]

    asyncio.run(main())


def test_backend_of_cashews(url: str) -> None:
    async def main() -> None:
        cache = Cache()
        cache.setup("coshelf://", target=url)
        await cache.set_many({"a": 1, "b": [2]})
        await cache.set("a", 3, expire=60)
        await cache.set_many({"a": 4})
        assert 50 < await cache.get_expire("a") <= 60
        assert [await cache.get_expire("b"), await cache.get_expire("c")] == [-1, -2]
        counted = await asyncio.gather(*(cache.slice_incr("window", 0, 1, 3) for _ in range(5)))
        assert sorted(counted) == [1, 2, 3, 3, 3]
        await asyncio.gather(*(cache.set_add("set", str(number)) for number in range(5)))
        assert len(await cache.get("set")) == 5
        assert await cache.incr_bits("bits", 1, 1, size=4) == (1, 2)
        assert await cache.set_lock("lock", "one", 60)
        assert not await cache.set_lock("lock", "two", 60)
        assert await cache.unlock("lock", "one")
        assert [key async for key in cache.scan("*s*")] == ["bits", "set"]
        await cache.delete_match("*s*")
        assert {key: value async for key, value in cache.get_match("*", batch_size=1)} == {"a": 4, "b": [2]}
        await cache.clear()
        assert await cache.get_keys_count() == 0
        await cache.close()

    asyncio.run(main())
