"""Memoized coroutine functions on an ``AsyncShelf``."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

import coshelf
import coshelf.aio

pytestmark = pytest.mark.anyio


async def test_of_many_tasks_one_computes(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        computed: list[int] = []

        @shelf.memoize
        async def square(number: int) -> int:
            computed.append(number)
            await anyio.sleep(0.01)
            return number * number

        results: list[int] = []

        async def ask(number: int) -> None:
            results.append(await square(number))

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(ask, 3)
                group.start_soon(ask, 4)
        assert sorted(computed) == [3, 4]
        assert sorted(results) == [9] * 10 + [16] * 10
        info = await square.cache_info()
        assert (info.hits, info.misses, info.currsize) == (18, 2, 2)
        assert await square.forget(3)
        assert not await square.forget(3)
        assert await shelf.contains(square.cache_key(4))
        await square.cache_clear()
        assert await shelf.len() == 0


async def test_a_function_that_is_not_async_is_refused(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        with pytest.raises(TypeError, match="takes an async function"):
            shelf.memoize(len)  # type: ignore[type-var]


async def test_a_cancelled_computation_frees_its_claim(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        begun = anyio.Event()

        @shelf.memoize
        async def slow(wait: bool) -> str:
            begun.set()
            await anyio.sleep(60 if not slow_is_over else 0)
            return "done"

        slow_is_over: list[int] = []
        async with anyio.create_task_group() as group:
            group.start_soon(slow, True)
            await begun.wait()
            slow_is_over.append(1)
            group.cancel_scope.cancel()
        with anyio.fail_after(60):
            assert await slow(True) == "done"


async def test_a_function_that_calls_itself_in_a_task_does_not_wait_for_itself(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:

        @shelf.memoize
        async def one(depth: int) -> int:
            return 0 if depth > 2 else 1 + await two(depth)

        @shelf.memoize
        async def two(depth: int) -> int:
            return 1 + await one(depth + 1)

        @shelf.memoize
        async def circle(number: int) -> int:
            if calls:
                return number
            calls.append(number)
            return await circle(number)

        calls: list[int] = []
        with anyio.fail_after(60):
            assert await one(0) == 6
            assert await circle(7) == 7


async def test_a_result_is_computed_again_in_the_last_part_of_its_life(tmp_path: Path) -> None:
    async with coshelf.aio.open(tmp_path / "a.shelf") as shelf:
        count = 0
        again = anyio.Event()

        @shelf.memoize(expire=1000, refresh=999.999)
        async def counted() -> int:
            nonlocal count
            count += 1
            if count == 2:
                again.set()
            return count

        assert await counted() == 1
        await anyio.sleep(0.01)
        assert await counted() == 1
        with anyio.fail_after(60):
            await again.wait()
            while await counted() == 1:  # noqa: ASYNC110 (a task of the library stores it)
                await anyio.sleep(0.001)


async def test_both_faces_keep_the_same_results(tmp_path: Path) -> None:
    async def double(number: int) -> int:
        return 2 * number

    with coshelf.open(tmp_path / "a.shelf") as plain:
        async with coshelf.aio.open(tmp_path / "a.shelf") as shelf:
            assert shelf.memoize(double).cache_key(1) == plain.memoize(double).cache_key(1)
            assert await shelf.memoize(double)(4) == 8
            assert plain[plain.memoize(double).cache_key(4)] == 8
