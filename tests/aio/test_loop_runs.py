"""The loop goes on while a call waits: other tasks run until the event comes that they cause."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

import coshelf.aio

pytestmark = pytest.mark.anyio

HOLDER = (
    "import coshelf, sys\n"
    "with coshelf.open(sys.argv[1]) as shelf, shelf.transaction() as t:\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.readline()\n"
    "    t['by the other'] = 1\n"
)


@pytest.mark.parametrize("engine", ["lmdb", "sqlite", "files"])
async def test_the_loop_runs_while_another_process_is_in_a_transaction(engine: str, tmp_path: Path) -> None:
    target = f"{engine}:{tmp_path / 'a'}"
    async with coshelf.aio.open(target) as shelf:
        await shelf.set("a", 1)
        with subprocess.Popen(  # noqa: ASYNC220 (it starts in milliseconds, and nothing else runs yet)
            [sys.executable, "-c", HOLDER, target], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdin is not None
            assert holder.stdout is not None
            assert await anyio.to_thread.run_sync(holder.stdout.readline) == "held\n"
            done: list[str] = []

            async def write(number: int) -> None:
                await shelf.set(f"set/{number}", number)
                done.append("set")

            async def transact(number: int) -> None:
                async with shelf.transaction() as t:
                    await t.set(f"transaction/{number}", number)
                done.append("transaction")

            async with anyio.create_task_group() as group:
                for number in range(60):
                    group.start_soon(write, number)
                    group.start_soon(transact, number)
                for _ in range(50):  # other tasks read meanwhile: the holder ends only because of them
                    assert await shelf["a"] == 1
                    await anyio.sleep(0.001)
                assert done == []
                await anyio.to_thread.run_sync(holder.communicate, "end\n")
            assert sorted(done) == ["set"] * 60 + ["transaction"] * 60
        assert await shelf["by the other"] == 1
        assert await shelf.len() == 122
