"""Locks, semaphores and barriers for tasks."""

from __future__ import annotations

import asyncio
import random
import threading

import anyio
import anyio.lowlevel
import pytest

import coshelf
import coshelf.aio
from coshelf import TurnHeld, TurnNotHeld, TurnTimeout

pytestmark = pytest.mark.anyio


async def test_one_task_at_a_time_has_a_lock_in_order_of_arrival(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        order: list[int] = []
        inside = 0

        async def work(number: int, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
            nonlocal inside
            task_status.started()
            async with shelf.lock("a") as turn:
                assert turn.held
                assert turn.token > 0
                inside += 1
                assert inside == 1
                order.append(number)
                await anyio.lowlevel.checkpoint()
                inside -= 1

        async with anyio.create_task_group() as group, shelf.lock("a"):
            for number in range(20):
                await group.start(work, number)
                while len(await shelf.lock("a").waiting()) <= number:
                    await anyio.lowlevel.checkpoint()
        assert order == list(range(20))


async def test_a_thousand_tasks_wait_for_one_lock_without_threads(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        async with shelf.lock("warm"):
            pass
        count = 0
        before = threading.active_count()

        async def work() -> None:
            nonlocal count
            async with shelf.lock("a"):
                count += 1

        async with anyio.create_task_group() as group, shelf.lock("a"):
            for _ in range(1_000):
                group.start_soon(work)
            await anyio.wait_all_tasks_blocked()
            assert threading.active_count() < before + 200
        assert count == 1_000


async def test_who_waits_in_vain_learns_who_has_it(target: str) -> None:
    async with coshelf.aio.open(target) as shelf, anyio.create_task_group() as group:
        end = anyio.Event()

        async def hold(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with shelf.lock("a"):
                task_status.started()
                await end.wait()

        await group.start(hold)
        with pytest.raises(TurnTimeout):
            async with shelf.lock("a", timeout=0.01):
                raise AssertionError("two tasks have the lock")
        assert await shelf.lock("a").acquire(blocking=False) is False
        assert await shelf.lock("a").acquire(timeout=0.01) is False
        assert await shelf.lock("a").locked()
        assert await shelf.lock("a").waiting() == ()
        end.set()


async def test_locks_belong_to_the_task(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        lock = shelf.lock("a")
        turn = await lock.acquire()
        assert turn
        with pytest.raises(TurnHeld):
            await shelf.lock("a").acquire()
        again = await shelf.lock("a", reentrant=True).acquire()
        assert again
        errors: list[BaseException] = []

        async def release() -> None:
            try:
                await lock.release()
            except TurnNotHeld as error:
                errors.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(release)
        assert len(errors) == 1
        await again.release()
        assert await lock.locked()
        await lock.release()
        assert not await lock.locked()


async def test_a_detached_turn_outlives_its_task_and_is_released_by_another(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        turns: list[coshelf.aio.AsyncTurn] = []

        async def take() -> None:
            turn = await shelf.lock("a").acquire()
            assert turn
            await turn.detach()
            turns.append(turn)

        async with anyio.create_task_group() as group:
            group.start_soon(take)
        assert turns[0].held
        assert not await shelf.lock("a").acquire(blocking=False)
        await turns[0].release()
        assert not await shelf.lock("a").locked()


async def test_semaphores_and_barriers(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        most = inside = 0
        tokens: list[int] = []

        async def work() -> None:
            nonlocal most, inside
            async with shelf.semaphore("gpu", 3):
                inside += 1
                most = max(most, inside)
                await anyio.sleep(0.001)
                inside -= 1
            tokens.append(await shelf.barrier("end", 10).wait())

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(work)
        assert most == 3
        assert len(set(tokens)) == 10


async def test_a_cancelled_wait_does_not_stop_the_line(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        chance = random.Random(1)

        async def work() -> None:
            with anyio.move_on_after(chance.random() * 0.01):
                for _ in range(50):
                    async with shelf.lock("a"):
                        await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(work)
        assert not await shelf.lock("a").locked()
        with anyio.fail_after(60):
            async with shelf.lock("a"):
                assert len(await shelf.lock("a").holders()) == 1


async def test_plain_locks_and_those_of_tasks_are_the_same(tmp_path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as plain:
        async with coshelf.aio.open(tmp_path / "a.shelf") as shelf:
            async with shelf.lock("a"):
                assert await anyio.to_thread.run_sync(lambda: plain.lock("a").acquire(blocking=False)) is False
            with plain.lock("a"):
                assert await shelf.lock("a").acquire(blocking=False) is False


async def test_a_task_that_ends_with_a_lock_gives_it_back(tmp_path, anyio_backend: str) -> None:
    if anyio_backend == "trio":
        return  # tasks of trio tell nobody of their end: their blocks give turns back
    async with coshelf.aio.open(tmp_path / "a.shelf") as shelf:

        async def forget() -> None:
            assert await shelf.lock("a").acquire()

        await asyncio.ensure_future(forget())
        async with shelf.lock("a", timeout=60):
            pass
