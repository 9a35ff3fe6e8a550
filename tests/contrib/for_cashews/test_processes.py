"""The backend for cashews in several processes: no update is lost, and a lock ends with its process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cashews import Cache

from coshelf.contrib.cashews import CoshelfBackend
from coshelf.testing.contract.child import Child, Talk


def cache_of(path: str) -> Cache:
    cache = Cache()
    cache.setup(f"coshelf://{path}")
    return cache


def working(path: str, work: Callable[[Cache, Talk], Any]) -> Callable[[Talk], None]:
    """What a forked child does: it waits for a word, works, and ends without closing anything."""

    def run(talk: Talk) -> None:
        async def main() -> None:
            cache = cache_of(path)
            await cache.ping()
            talk.say("ready")
            talk.hear()
            talk.say(await work(cache, talk))
            talk.hear()

        asyncio.run(main())

    return run


async def update(cache: Cache, talk: Talk) -> int:
    added = 0
    for number in range(40):
        await cache.incr("n")
        await cache.incr_bits("bits", 1, size=16)
        await cache.set_add("set", f"{id(talk)} {number} {await cache.incr('unique')}")
        await cache.slice_incr("slice", 0, number, 1_000)
        added += await cache.set(f"key {number}", 1, exist=False)
    return added


async def lock(cache: Cache, talk: Talk) -> bool:
    return await cache.set_lock("lock", "of the child", 3600)


def test_no_update_is_lost_when_two_processes_write(path: str) -> None:
    with Child(working(path, update)) as one, Child(working(path, update)) as two:
        for child in (one, two):
            assert child.heard() == "ready"
        for child in (one, two):
            child.tell("go")
        added = int(one.heard()) + int(two.heard())
        one.kill()
        two.kill()

    async def main() -> None:
        cache = cache_of(path)
        assert added == 40
        assert await cache.get("n") == 80
        assert await cache.get_bits("bits", 1, size=16) == (80,)
        assert len(await cache.get("set")) == 80
        assert len(await cache.get("slice")) == 80
        await cache.close()

    asyncio.run(main())


def test_lock_ends_with_its_process(path: str) -> None:
    with Child(working(path, lock)) as child:
        assert child.heard() == "ready"
        child.tell("go")
        assert child.heard() == "True"

        async def main() -> None:
            cache = cache_of(path)
            assert await cache.is_locked("lock")
            assert not await cache.set_lock("lock", "mine", 3600)
            child.kill()
            assert not await cache.is_locked("lock")
            assert await cache.set_lock("lock", "mine", 3600)
            assert await cache.get("lock") == "mine"
            assert not await cache.unlock("lock", "of the child")
            assert await cache.is_locked("lock")
            await cache.close()

        asyncio.run(main())


def test_forked_child_has_the_locks_of_its_own(path: str) -> None:
    cache = cache_of(path)
    assert asyncio.run(cache.set_lock("parent", "parent", 3600))

    def work(talk: Talk) -> None:
        talk.say(asyncio.run(cache.set_lock("parent", "child", 3600)))
        talk.say(asyncio.run(cache.set_lock("child", "child", 3600)))
        talk.hear()

    with Child(work) as child:
        assert [child.heard(), child.heard()] == ["False", "True"]
        assert asyncio.run(cache.is_locked("child"))
        child.kill()
    assert not asyncio.run(cache.is_locked("child"))
    assert asyncio.run(cache.is_locked("parent"))
    asyncio.run(cache.close())


def test_task_that_asks_first_gets_the_lock(path: str) -> None:
    async def main() -> None:
        cache = cache_of(path)
        for number in range(20):
            asked = (cache.set_lock(f"lock {number}", str(task), 3600) for task in range(8))
            assert await asyncio.gather(*asked) == [True] + 7 * [False]
        await cache.close()

    asyncio.run(main())


def test_lock_ends_with_its_backend(path: str) -> None:
    async def main() -> None:
        one, two = CoshelfBackend(target=path), CoshelfBackend(target=path)
        assert await one.set_lock("lock", "one", 3600)
        assert not await two.set_lock("lock", "two", 3600)
        await one.close()
        assert await two.set_lock("lock", "two", 3600)
        await two.close()

    asyncio.run(main())
