"""Synchronous calls that wait on an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import random
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coshelf.system.threads.bridge import awaited, can_await, current_bridge, is_bridged, run
from coshelf.system.threads.per_loop import PerLoop, at_once_or_soon, soon
from coshelf.system.waiting.backoff import Backoff


async def next_turn(result: Any = None) -> Any:
    await asyncio.sleep(0)
    return result


def test_call_gets_what_it_awaits_and_run_gets_what_it_returns() -> None:
    def call(first: int, *, second: int) -> tuple[int, int, int]:
        return first, second, awaited(next_turn(3))

    assert asyncio.run(run(call, 1, second=2)) == (1, 2, 3)


def test_errors_go_both_ways() -> None:
    async def failing() -> None:
        await asyncio.sleep(0)
        raise LookupError("of the coroutine")

    def call() -> None:
        with pytest.raises(LookupError, match="of the coroutine"):
            awaited(failing())
        raise ValueError("of the call")

    with pytest.raises(ValueError, match="of the call"):
        asyncio.run(run(call))


def test_calls_of_several_tasks_take_turns() -> None:
    steps: list[str] = []

    def call(name: str) -> None:
        for number in range(3):
            steps.append(f"{name}{number}")
            awaited(next_turn())

    async def main() -> None:
        await asyncio.gather(run(call, "a"), run(call, "b"))

    asyncio.run(main())
    assert steps == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_cancellation_is_raised_where_the_call_waits_and_clean_up_may_wait() -> None:
    steps: list[str] = []

    def call() -> None:
        try:
            awaited(asyncio.sleep(3600))
            steps.append("not reached")
        finally:
            steps.append(awaited(next_turn("cleaned up")))

    async def main() -> None:
        task = asyncio.create_task(run(call))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert steps == ["cleaned up"]


def test_task_that_is_destroyed_cleans_up_and_cannot_wait() -> None:
    steps: list[object] = []

    def call() -> None:
        try:
            awaited(asyncio.sleep(3600))
        finally:
            steps.append((is_bridged(), can_await()))
            with pytest.raises(GeneratorExit):
                awaited(next_turn())
            steps.append("over")

    async def main() -> None:
        begun = run(call)
        begun.send(None)
        begun.close()

    asyncio.run(main())
    assert steps == [(True, False), "over"]


def test_bridge_inside_a_bridge() -> None:
    def inner() -> object:
        return awaited(next_turn(current_bridge()))

    def outer() -> tuple[object, object]:
        return current_bridge(), awaited(run(inner))

    mine, inside = asyncio.run(run(outer))
    assert None not in (mine, inside) and mine is not inside


def test_generator_goes_on_in_another_bridge() -> None:
    def pages() -> Iterator[int]:
        try:
            for number in range(3):
                yield awaited(next_turn(number))
        finally:
            closed.append(awaited(next_turn("closed")))

    closed: list[str] = []

    async def main() -> list[int | None]:
        generator = pages()
        return [await run(next, generator, None) for _ in range(4)]

    assert asyncio.run(main()) == [0, 1, 2, None]
    assert closed == ["closed"]


def test_call_shares_the_context_of_its_task() -> None:
    variable = contextvars.ContextVar("variable", default="default")

    def call() -> str:
        before = variable.get()
        awaited(next_turn())
        variable.set("of the call")
        return before

    async def main() -> tuple[str, str]:
        variable.set("of the task")
        return await run(call), variable.get()

    assert asyncio.run(main()) == ("of the task", "of the call")


def test_nothing_can_be_awaited_outside() -> None:
    def in_a_thread(seen: list[object]) -> None:
        seen.append((is_bridged(), current_bridge()))

    def call() -> list[object]:
        seen: list[object] = []
        thread = threading.Thread(target=in_a_thread, args=(seen,))
        thread.start()
        thread.join()
        return seen

    assert asyncio.run(run(call)) == [(False, None)]
    assert not is_bridged() and not can_await()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the coroutine must not be left behind unawaited
        with pytest.raises(RuntimeError, match="only inside a bridge"):
            awaited(next_turn())
        gc.collect()


def test_pauses_let_the_loop_run() -> None:
    def call(stop: Callable[[], bool]) -> None:
        backoff = Backoff(0.0001, 0.001)
        while not stop():
            backoff.sleep()

    async def main() -> None:
        event = asyncio.Event()
        pausing = asyncio.create_task(run(call, event.is_set))
        await asyncio.sleep(0)
        event.set()
        await asyncio.wait_for(pausing, 60)

    asyncio.run(main())


def test_cancelled_at_any_step_a_call_releases_what_it_holds() -> None:
    held: set[object] = set()

    def call(steps: int) -> None:
        mine = object()
        held.add(mine)
        try:
            for _ in range(steps):
                awaited(next_turn())
        finally:
            try:
                awaited(next_turn())
            finally:
                held.remove(mine)

    async def main() -> int:
        chance = random.Random(5)
        ended = 0
        for _ in range(2000):
            task = asyncio.create_task(run(call, chance.randrange(5)))
            for _ in range(chance.randrange(9)):
                await asyncio.sleep(0)
            task.cancel()
            ended += isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
        return ended

    assert 0 < asyncio.run(main()) < 2000
    assert not held


class Closable:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.closed_on: asyncio.AbstractEventLoop | None = None
        self.closed = asyncio.Event()

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.closed_on = asyncio.get_running_loop()
        self.closed.set()


def test_each_loop_has_its_object_until_the_loop_ends() -> None:
    each = PerLoop(Closable, Closable.close)

    async def main() -> Closable:
        first, second = await run(each.here), await run(each.here)
        assert first is second and first.closed_on is None
        return first

    one, two = asyncio.run(main()), asyncio.run(main())
    assert one is not two
    assert (one.closed_on, two.closed_on) == (one.loop, two.loop)


def test_objects_are_closed_at_once_on_this_loop_and_soon_on_others() -> None:
    each = PerLoop(Closable, Closable.close)
    made: list[Closable] = []
    ready, over = threading.Event(), threading.Event()

    async def other() -> None:
        made.append(await run(each.here))
        ready.set()
        await asyncio.wait_for(made[0].closed.wait(), 60)
        over.set()

    async def main() -> None:
        thread = threading.Thread(target=lambda: asyncio.run(other()))
        thread.start()
        assert await asyncio.to_thread(ready.wait, 60)
        mine = await run(each.here)
        await run(each.close)
        assert mine.closed_on is mine.loop
        assert await asyncio.to_thread(over.wait, 60)
        await asyncio.to_thread(thread.join)

    asyncio.run(main())
    assert made[0].closed_on is made[0].loop


def test_an_object_is_closed_although_its_closer_is_cancelled() -> None:
    each = PerLoop(Closable, Closable.close)

    async def main() -> None:
        made = await run(each.here)
        closing = asyncio.create_task(run(each.close))
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await asyncio.wait_for(made.closed.wait(), 60)

    asyncio.run(main())


def test_work_for_a_loop_is_done_from_anywhere_and_forgotten_with_the_loop() -> None:
    async def main() -> None:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def work() -> None:
            done.set()

        await run(at_once_or_soon, loop, work)
        assert done.is_set()
        done.clear()
        await asyncio.to_thread(soon, loop, work)
        await asyncio.wait_for(done.wait(), 60)

    asyncio.run(main())
    loop = asyncio.new_event_loop()
    loop.close()
    soon(loop, next_turn)
