"""Transactions belong to the task that began them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import coshelf.aio
from coshelf import ShelfClosed, ShelfLocked
from coshelf.aio import AsyncShelf

pytestmark = pytest.mark.anyio


async def test_a_hundred_requests_with_an_await_in_their_transaction_all_succeed(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:

        async def request(number: int) -> None:
            async with shelf.edit("log", default=[]) as log:
                await anyio.sleep(0.001)
                log.append(number)

        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(request, number)
        assert sorted(await shelf["log"]) == list(range(100))


async def test_two_handles_in_one_loop_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    async with coshelf.aio.open(path) as one, coshelf.aio.open(path) as two:

        async def add(shelf: AsyncShelf[str, int]) -> None:
            for _ in range(20):
                async with shelf.transaction() as t:
                    number = await t.get("n", 0)
                    await anyio.lowlevel.checkpoint()
                    await t.set("n", number + 1)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(add, one)
                group.start_soon(add, two)
        assert await one["n"] == 120


async def test_others_read_the_committed_state_and_their_writes_wait(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        await shelf.set("a", "before")
        events: list[str] = []

        async def write() -> None:
            await shelf.set("b", "by the other task")
            events.append("written")

        async with anyio.create_task_group() as group, shelf.transaction() as t:
            await t.set("a", "inside")
            assert await shelf.get("a") == "inside", "the shelf shows the transaction to its own task"
            group.start_soon(write)
            read = await in_another_task(shelf.get, "a")
            assert read == "before"
            await anyio.wait_all_tasks_blocked()
            events.append("ending")
        assert events == ["ending", "written"]
        assert await shelf.copy() == {"a": "inside", "b": "by the other task"}


async def in_another_task(function: Any, *args: Any) -> Any:
    """What a coroutine function returns that runs in a task of its own."""
    results: list[Any] = []

    async def task() -> None:
        results.append(await function(*args))

    async with anyio.create_task_group() as group:
        group.start_soon(task)
    return results[0]


async def test_a_child_task_is_not_taken_for_its_parent(target: str) -> None:
    async with coshelf.aio.open(target) as shelf, shelf.transaction() as t:
        await t.set("a", 1)
        assert await in_another_task(shelf.contains, "a") is False
        assert await shelf.contains("a")


async def test_a_transaction_of_another_task_has_a_timeout(target: str) -> None:
    async with coshelf.aio.open(target) as shelf, anyio.create_task_group() as group:
        begun, end = anyio.Event(), anyio.Event()

        async def hold() -> None:
            async with shelf.transaction():
                begun.set()
                await end.wait()

        group.start_soon(hold)
        await begun.wait()
        with pytest.raises(ShelfLocked):
            async with shelf.transaction(timeout=0.01):
                raise AssertionError("two tasks are in a transaction")
        end.set()


async def test_a_nested_block_undoes_its_own_writes_only(target: str) -> None:
    async with coshelf.aio.open(target) as shelf, shelf.transaction() as t:
        await t.set("a", 1)
        with pytest.raises(KeyError):
            async with shelf.transaction() as inner:
                await inner.set("a", 2)
                raise KeyError
        async with shelf.edit("list", default=[]) as value:
            await anyio.lowlevel.checkpoint()
            value.append(1)
        assert await t.copy() == {"a": 1, "list": [1]}
    assert shelf.closed


async def test_a_block_that_raises_stores_nothing(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        with pytest.raises(ZeroDivisionError):
            async with shelf.transaction() as t:
                await t.set("a", 1)
                raise ZeroDivisionError
        assert await shelf.copy() == {}
        with pytest.raises(ShelfClosed):
            await t.set("a", 1)


async def test_the_plain_face_beside_tasks_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    with coshelf.open(path) as plain:
        async with coshelf.aio.open(path) as shelf:
            with plain.transaction() as t:
                t["a"] = 1
                assert not await shelf.contains("a")
            async with shelf.transaction() as t2:
                await t2.set("a", 2)
                assert plain["a"] == 1
            assert plain["a"] == 2


async def test_a_call_of_a_function_given_to_modify_is_part_of_it(target: str) -> None:
    async with coshelf.aio.open(target) as shelf:
        await shelf.set("a", 1)
        assert await shelf.modify("a", lambda old: old + 1) == 2
        assert await shelf.transact(lambda t: t.pop("a")) == 2
        assert await shelf.copy() == {}
