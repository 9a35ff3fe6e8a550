"""Queues and deques for tasks."""

from __future__ import annotations

import queue
import random
import threading

import anyio
import anyio.lowlevel
import pytest

import coshelf
import coshelf.aio
from coshelf import WaitTimeout

pytestmark = pytest.mark.anyio


async def test_each_item_is_given_to_one_of_many_tasks(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        jobs = shelf.queue("jobs")
        done: list[int] = []

        async def work() -> None:
            while True:
                async with jobs.take() as job:
                    if job is None:
                        return
                    await anyio.lowlevel.checkpoint()
                    done.append(job)

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(work)
            for number in range(30):
                await jobs.put(number)
            await jobs.put_many([None] * 5)
        assert sorted(done) == list(range(30))
        await jobs.join(timeout=60)


async def test_hundreds_of_tasks_wait_without_threads(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        jobs = shelf.queue("jobs")
        got: list[tuple[int, int]] = []
        before = threading.active_count()

        async def work(number: int) -> None:
            got.append((number, await jobs.get()))

        async with anyio.create_task_group() as group:
            for number in range(300):
                group.start_soon(work, number)
            await anyio.sleep(0.05)
            assert threading.active_count() < before + 200
            await jobs.put_many(range(300))
        assert sorted(item for _, item in got) == list(range(300))


async def test_nothing_waits_that_is_not_to_wait(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        jobs = shelf.queue("jobs", maxsize=1)
        with pytest.raises(queue.Empty):
            await jobs.get(timeout=0.01)
        with pytest.raises(queue.Empty):
            await jobs.get_nowait()
        await jobs.put("a")
        with pytest.raises(queue.Full):
            await jobs.put("b", timeout=0.01)
        with pytest.raises(queue.Full):
            await jobs.put_nowait("b")
        with pytest.raises(WaitTimeout):
            await jobs.join(timeout=0.01)
        async with anyio.create_task_group() as group:
            group.start_soon(jobs.put, "b")
            await anyio.sleep(0.01)
            assert await jobs.get() == "a"
        assert await jobs.get() == "b"


async def test_an_item_goes_back_if_its_block_raises_or_is_cancelled(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        jobs = shelf.queue("jobs", attempts=3)
        await jobs.put("a")
        with pytest.raises(ZeroDivisionError):
            async with jobs.take() as job:
                assert job == "a"
                raise ZeroDivisionError
        with anyio.CancelScope() as scope:
            taking = jobs.take()
            async with taking:
                assert taking.attempt == 2
                scope.cancel()
                await anyio.lowlevel.checkpoint()
        assert await jobs.peek() == "a"
        with pytest.raises(ZeroDivisionError):
            async with jobs.take():
                raise ZeroDivisionError
        assert [item.value async for item in jobs.failed] == ["a"]
        assert await jobs.failed.retry() == 1
        assert await jobs.get() == "a"


async def test_a_result_and_its_job_are_done_in_one_commit(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        if shelf.capabilities.atomic == "none":
            return
        jobs = shelf.queue("jobs")
        await jobs.put(4)
        with pytest.raises(ZeroDivisionError):
            async with jobs.take() as job, shelf.transaction():
                await shelf.set("result", job)
                await jobs.done()
                raise ZeroDivisionError
        assert not await shelf.contains("result")
        async with jobs.take() as job, shelf.transaction():
            await shelf.set("result", job * job)
            await jobs.done()
        assert await shelf["result"] == 16
        assert await jobs.len() == 0


async def test_cancelled_takers_lose_no_item(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        jobs = shelf.queue("jobs", attempts=None)
        got: list[int] = []
        chance = random.Random(1)

        async def work() -> None:
            with anyio.move_on_after(chance.random() * 0.02):
                while True:
                    async with jobs.take() as job:
                        await anyio.lowlevel.checkpoint()
                        job_is_done = job
                    got.append(job_is_done)

        async with anyio.create_task_group() as group:
            for number in range(30):
                await jobs.put(number)
                group.start_soon(work)
        while await jobs.len():
            got.append(await jobs.get())
        assert set(got) == set(range(30))


async def test_deques(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        recent = shelf.deque("recent", maxlen=3)
        await recent.extend("abcd")
        await recent.appendleft("z")
        assert [item async for item in recent] == ["z", "b", "c"]
        await recent.rotate()
        assert await recent[0] == "c"
        assert await recent.pop() == "b"
        assert (await recent.len(), await recent.contains("z")) == (2, True)


async def test_both_faces_share_a_queue(tmp_path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as plain:
        async with coshelf.aio.open(tmp_path / "a.shelf") as shelf:
            async with anyio.create_task_group() as group:

                async def put() -> None:
                    await anyio.sleep(0.01)
                    await anyio.to_thread.run_sync(plain.queue("jobs").put, 1)

                group.start_soon(put)
                assert await shelf.queue("jobs").get(timeout=60) == 1
            await shelf.queue("jobs").put(2)
            assert plain.queue("jobs").get(timeout=60) == 2
