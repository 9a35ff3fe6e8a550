"""A task that is cancelled leaves nothing held and nothing half-written, wherever the cancellation finds it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import coshelf
import coshelf.aio
from coshelf.aio import AsyncShelf
from coshelf.aio.running import _gate

Shelf = AsyncShelf[str, int]


async def transaction(shelf: Shelf) -> None:
    async with shelf.transaction() as t:
        number = await t.get("a", 0) or 0
        await t.set("a", number + 1)
        await anyio.lowlevel.checkpoint()
        await t.set("b", number + 1)


async def update(shelf: Shelf) -> None:
    number = random.randrange(10**9)
    await shelf.update({"a": number, "b": number})


async def edits(shelf: Shelf) -> None:
    async with shelf.transaction():
        number = await shelf.incr("a")
        async with shelf.transaction() as inner:
            await inner.set("b", number)


async def transact(shelf: Shelf) -> None:
    await shelf.transact(lambda t: t.update(a=7, b=7))


async def singles(shelf: Shelf) -> None:
    await shelf.set("c", 1)
    await shelf.modify("c", lambda old: old + 1, default=0)
    await shelf.pop("c", None)
    stack = shelf.sub("stack")
    await stack.set("x", 1)
    with contextlib.suppress(KeyError):
        await stack.popitem()


async def reads(shelf: Shelf) -> None:
    async with shelf.snapshot() as then:
        assert await then.get("a") == await then.get("b")
    assert len({value async for value in shelf.values(stop="c")}) <= 1
    found = await shelf.get_many(["a", "b"])
    assert found.get("a") == found.get("b")


WORK: list[Callable[[Shelf], Awaitable[None]]] = [transaction, update, edits, transact, singles, reads]


async def refuse_traces(shelf: Shelf) -> None:
    """Fail if the shelf is held, is in a transaction, or was written in part."""
    handle = shelf._handle
    assert handle.inside == {}
    assert not _gate(handle)._is_held
    assert _gate(handle)._sharing == 0
    async with shelf.transaction(timeout=60) as t:
        assert await t.get("a") == await t.get("b")
    with anyio.fail_after(60):
        await shelf.set("free", 1)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(2))
async def test_cancel_scopes_at_random_moments(target: str, seed: int) -> None:
    chance = random.Random(seed)
    async with coshelf.aio.open(target) as shelf:
        for _ in range(6):
            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(cut_short, shelf, chance.choice(WORK), chance.random() ** 3 * 0.02)
            await refuse_traces(shelf)


async def cut_short(shelf: Shelf, work: Callable[[Shelf], Awaitable[None]], seconds: float) -> None:
    with anyio.move_on_after(seconds):
        for _ in range(100):
            await work(shelf)
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_cancelling_after_each_turn_of_an_asyncio_loop(target: str, work: Callable[[Shelf], Awaitable[None]]) -> None:
    async def main() -> None:
        async with coshelf.aio.open(target) as shelf:
            for turns in range(24):
                task = asyncio.ensure_future(work(shelf))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.sleep(0)
                task.cancel()  # again, as a timeout within a timeout may
                await asyncio.wait([task])
                assert task.cancelled() or task.exception() is None
                await refuse_traces(shelf)

    asyncio.run(main())


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_cancellations(target: str, seed: int) -> None:
    """Many tasks at once, each cancelled at a random moment."""
    chance = random.Random(seed)

    async def cancelled(shelf: Shelf, work: Callable[[Shelf], Awaitable[None]], seconds: float) -> None:
        task = asyncio.ensure_future(work(shelf))
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None

    async def main() -> None:
        async with coshelf.aio.open(target) as shelf:
            for _ in range(60):
                await asyncio.gather(
                    *(cancelled(shelf, chance.choice(WORK), chance.random() ** 2 * 0.03) for _ in range(20))
                )
                await refuse_traces(shelf)

    asyncio.run(main())


@pytest.mark.anyio
async def test_a_task_that_waits_for_another_process_is_cancelled_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    held, end = threading.Event(), threading.Event()

    def hold() -> None:
        with coshelf.open(path) as shelf, shelf.transaction():
            held.set()
            end.wait(60)

    holder = threading.Thread(target=hold)
    async with coshelf.aio.open(path) as shelf:
        holder.start()
        await anyio.to_thread.run_sync(held.wait, 60)
        try:
            for work in (transaction, update, transact):
                with anyio.move_on_after(0.05) as scope:
                    await work(shelf)
                assert scope.cancelled_caught
                assert shelf._handle.inside == {}
        finally:
            end.set()
            await anyio.to_thread.run_sync(holder.join)
        await refuse_traces(shelf)


@pytest.mark.anyio
async def test_a_cancelled_block_is_undone_and_an_ended_one_is_whole(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        with anyio.CancelScope() as scope:
            async with shelf.transaction() as t:
                await t.set("a", 1)
                scope.cancel()
                await anyio.lowlevel.checkpoint()
        assert await shelf.copy() == {}
        with anyio.CancelScope() as scope:
            async with shelf.transaction() as t:
                await t.set("a", 1)
                await t.set("b", 1)
                scope.cancel()
        assert await shelf.copy() == {"a": 1, "b": 1}
        await refuse_traces(shelf)


@pytest.mark.anyio
async def test_an_iteration_that_was_cut_short_goes_on_without_a_loss(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        await shelf.update({number: number for number in range(600)})
        seen: list[int] = []
        keys = shelf.keys().__aiter__()
        chance = random.Random(1)
        while len(seen) < 600:
            with anyio.move_on_after(chance.random() * 0.0005):
                async for key in keys:
                    seen.append(key)
                    await anyio.lowlevel.checkpoint()
        assert seen == list(range(600))
