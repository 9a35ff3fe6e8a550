"""Watches and waits of tasks."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

import coshelf
import coshelf.aio
from coshelf import ShelfClosed, WaitTimeout

pytestmark = pytest.mark.anyio


async def test_a_watch_tells_each_change_in_order(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        told: list[tuple[str, str, object]] = []
        async with shelf.watch("jobs/*") as watch, anyio.create_task_group() as group:

            async def follow() -> None:
                async for change in watch:
                    told.append((change.key, change.kind, change.value))
                    if change.key == "jobs/end":
                        return

            group.start_soon(follow)
            await shelf.set("jobs/1", 1)
            await anyio.sleep(0.05)
            await shelf.set("other", 0)
            await shelf.delete("jobs/1")
            await shelf.set("jobs/end", None)
        assert told == [("jobs/1", "set", 1), ("jobs/1", "deleted", None), ("jobs/end", "set", None)]


async def test_a_watch_goes_on_after_a_cancellation_and_from_a_version(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        before = await shelf.version()
        told: list[int] = []
        async with shelf.watch() as watch:
            for number in range(20):
                await shelf.set(number, number)
            while len(told) < 20:
                with anyio.move_on_after(0.001):
                    async for change in watch:
                        told.append(change.key)
                        await anyio.lowlevel.checkpoint()
            assert sorted(told) == list(range(20))  # the files engine knows no order
            again = [change.key async for change in shelf.watch(since=before, timeout=0)]
            assert sorted(again) == list(range(20))
            assert await watch.next(timeout=0) is None
            assert watch.version is not None


async def test_hundreds_of_watches_use_few_threads(tmp_path) -> None:
    async with coshelf.aio.open(tmp_path / "a.shelf") as shelf:
        seen: list[object] = []
        before = threading.active_count()

        async def follow(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with shelf.watch() as watch:
                task_status.started()
                change = await watch.next()
                assert change is not None
                seen.append(change.key)

        async with anyio.create_task_group() as group:
            for _ in range(300):
                await group.start(follow)
            await shelf.set("a", 1)
            await anyio.wait_all_tasks_blocked()
            # 40 calls run at once. Beside each, a thread may have ended its call while its loop does not know it yet.
            assert threading.active_count() < before + 200
        assert seen == ["a"] * 300


async def test_a_watch_ends_with_its_shelf(target: str) -> None:
    shelf = await coshelf.aio.open(target)
    watch = await shelf.watch()
    await shelf.close()
    with anyio.fail_after(60), pytest.raises(ShelfClosed):
        await watch.next()
    await watch.close()


async def test_wait_returns_as_soon_as_the_key_exists(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        with pytest.raises(WaitTimeout):
            await shelf.wait("a", timeout=0.01)
        found: list[object] = []

        async def wait(key: str) -> None:
            found.append(await shelf.wait(key))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(wait, "a")
                group.start_soon(wait, "b")
            await anyio.wait_all_tasks_blocked()
            await shelf.set("b", "b")
            await shelf.set("a", "a")
        assert sorted(map(str, found)) == ["a"] * 20 + ["b"] * 20


async def test_wait_since_a_version_returns_when_the_key_changes(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        await shelf.set("a", 1)
        before = await shelf.version()
        with pytest.raises(WaitTimeout):
            await shelf.wait("a", timeout=0.01, since=before)

        async def change(call: Callable[[], Awaitable[object]]) -> None:
            await anyio.sleep(0.01)
            await call()

        async with anyio.create_task_group() as group:
            group.start_soon(change, lambda: shelf.set("a", 2))
            assert await shelf.wait("a", since=before) == 2
        before = await shelf.version()
        async with anyio.create_task_group() as group:
            group.start_soon(change, lambda: shelf.delete("a"))
            with pytest.raises(KeyError):
                await shelf.wait("a", since=before)


async def test_a_wait_sees_the_commit_of_another_process(tmp_path) -> None:
    path = tmp_path / "a.shelf"
    async with coshelf.aio.open(path) as shelf:

        def store() -> None:
            with coshelf.open(path) as plain:
                plain["a"] = "by a thread"

        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, store)
            assert await shelf.wait("a") == "by a thread"
