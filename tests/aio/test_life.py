"""Opening, closing, several loops, forks, and a missing anyio."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

import coshelf
import coshelf.aio
from coshelf import ShelfClosed, ShelfNotFound
from coshelf.aio import AsyncShelf


@pytest.mark.anyio
async def test_a_shelf_is_opened_by_await_and_by_async_with(target: str) -> None:
    shelf = await coshelf.aio.open(target)
    assert isinstance(shelf, AsyncShelf)
    await shelf.set("a", 1)
    async with shelf:
        assert await shelf["a"] == 1
    assert shelf.closed
    await shelf.close()
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (shelf.get, ("a",)),
        (shelf.set, ("a", 1)),
        (shelf.len, ()),
        (shelf.update, ({"a": 1},)),
        (shelf.pop, ("a", None)),
        (shelf.wait, ("a",)),
        (shelf.sync, ()),
    ]
    for call, args in calls:
        with pytest.raises(ShelfClosed):
            await call(*args)
    with pytest.raises(ShelfClosed):
        async with shelf.transaction():
            raise AssertionError("the shelf is closed")
    with pytest.raises(ShelfClosed):
        async with shelf:
            raise AssertionError("the shelf is closed")


@pytest.mark.anyio
async def test_errors_of_opening_are_those_of_the_other_face(tmp_path: Path) -> None:
    with pytest.raises(ShelfNotFound):
        await coshelf.aio.open(tmp_path / "missing", "r")
    with pytest.raises(ValueError, match="unknown flag"):
        await coshelf.aio.open(tmp_path / "missing", "x")  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_closing_while_calls_run_ends_them_with_a_result_or_shelf_closed(target: str) -> None:
    shelf = await coshelf.aio.open(target)
    ended = 0

    async def work() -> None:
        nonlocal ended
        try:
            for number in range(100_000):
                await shelf.update({number: number})
        except ShelfClosed:
            ended += 1

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(work)
            await anyio.sleep(0.05)
            await shelf.close()
    assert ended == 10


def test_loops_in_several_threads_share_a_shelf(target: str) -> None:
    shelf: AsyncShelf[str, int] = AsyncShelf(coshelf.open(target))

    async def work() -> None:
        async def add() -> None:
            for _ in range(5):
                async with shelf.transaction() as t:
                    number = await t.get("n", 0)
                    await asyncio.sleep(0)
                    await t.set("n", (number or 0) + 1)
                await shelf.incr("m")

        await asyncio.gather(*(add() for _ in range(4)))

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert asyncio.run(in_loop(shelf)) == {"n": 60, "m": 60}


async def in_loop(shelf: AsyncShelf[str, int]) -> dict[str, int]:
    found = await shelf.copy()
    await shelf.close()
    return found


def test_a_shelf_that_is_never_closed_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    program = (
        "import asyncio, coshelf.aio, sys\n"
        "async def main():\n"
        "    global shelf\n"
        "    shelf = await coshelf.aio.open(sys.argv[1])\n"
        "    await shelf.set('a', 1)\n"
        "    async with shelf.transaction() as t:\n"
        "        await t.set('b', 2)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", program, path], check=True, timeout=120)
    with coshelf.open(path, "r") as shelf:
        assert shelf.copy() == {"a": 1, "b": 2}


def test_a_loop_that_ends_in_a_transaction_frees_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"

    async def main() -> None:
        shelf = await coshelf.aio.open(path)
        block = shelf.transaction()
        await (await block.__aenter__()).set("a", 1)

    asyncio.run(main())
    gc.collect()
    with coshelf.open(path, timeout=60) as shelf:
        shelf["b"] = 2
        with shelf.transaction() as t:
            assert t.copy() == {"b": 2}


def test_a_forked_child_uses_an_inherited_shelf_on_a_loop_of_its_own(tmp_path: Path) -> None:
    shelf: AsyncShelf[str, int] = AsyncShelf(coshelf.open(tmp_path / "a.shelf"))

    async def use(key: str) -> None:
        await shelf.set(key, 1)
        async with shelf.transaction() as t:
            await t.set("n", (await t.get("n", 0) or 0) + 1)

    asyncio.run(use("parent"))
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(use("child"))
            asyncio.run(shelf.sync())
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    asyncio.run(use("again"))
    assert asyncio.run(in_loop(shelf)) == {"parent": 1, "child": 1, "again": 1, "n": 3}


def test_without_anyio_the_error_says_what_to_install() -> None:
    program = (
        "import sys\n"
        "sys.modules['anyio'] = None\n"
        "import coshelf\n"
        "try:\n"
        "    coshelf.aio\n"
        "except coshelf.MissingExtra as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=120, capture_output=True, text=True)
    assert "pip install 'coshelf[aio]'" in done.stdout


def test_importing_coshelf_imports_no_event_loop() -> None:
    program = "import coshelf, sys; print({'asyncio', 'anyio', 'trio', 'coshelf.aio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=120, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
