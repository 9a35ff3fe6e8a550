"""What memoized functions do in one process: recursion, coroutines, methods, counting, forgetting, transactions."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.contract import CLAIMS
from coshelf.memo.claims import Claim, Claims, Patience

Shelf = coshelf.Shelf[Any, Any]
shared: Shelf = coshelf.open("memory:")


@shared.memoize
def module_level(number: int) -> int:
    """Double a number."""
    return number * 2


@pytest.fixture(params=["memory", "mapping", "lmdb", "sqlite", "files"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    targets: dict[str, Any] = {"memory": "memory:", "mapping": {}, "files": f"files:{tmp_path}/directory"}
    with coshelf.open(targets.get(request.param, f"{request.param}:{tmp_path}/a.shelf")) as shelf:
        yield shelf
        assert list(shelf.engine_for("test").scan(*CLAIMS)) == []


@pytest.fixture
def quick() -> Shelf:
    return coshelf.open("memory:")


# --- results ---------------------------------------------------------------------------------------------------------


def test_result_is_an_entry_that_later_calls_return(shelf: Shelf) -> None:
    calls = []

    @shelf.memoize
    def double(number: int, *, times: int = 2) -> Any:
        calls.append(number)
        return {"result": number * times}

    assert double(3) == double(3) == double(number=3, times=2) == {"result": 6}
    assert double(4) == {"result": 8}
    assert calls == [3, 4]
    assert shelf[double.cache_key(3)] == {"result": 6}
    assert double.cache_info() == (2, 2, None, 2)
    assert (double.forget(3), double.forget(3)) == (True, False)
    assert double(3) == {"result": 6}
    assert calls == [3, 4, 3]
    assert double.__wrapped__(1) == {"result": 2}
    assert len(shelf) == 2


def test_clearing_removes_the_results_of_one_function_in_all_versions(shelf: Shelf) -> None:
    def first(number: int) -> int:
        return number

    def second(number: int) -> int:
        return -number

    older, newer, other = shelf.memoize(first), shelf.memoize(version=2)(first), shelf.memoize(second)
    assert [function(number) for function in (older, newer, other) for number in (1, 2)] == [1, 2, 1, 2, -1, -2]
    assert newer.cache_info() == (0, 2, None, 2)
    newer.cache_clear()
    assert newer.cache_info() == (0, 0, None, 0)
    assert list(shelf) == [other.cache_key(1), other.cache_key(2)]


def test_shelf_with_writeback_keeps_results_too(tmp_path: Path) -> None:
    computed = []

    with coshelf.open(tmp_path / "a.shelf", writeback=True) as shelf:

        @shelf.memoize
        def numbers(number: int) -> list[int]:
            computed.append(number)
            return [number]

        assert numbers(1) == numbers(1) == [1]
        numbers.cache_clear()
        assert numbers(1) == [1]
        assert numbers.forget(1)
        assert numbers(1) == [1]
    assert computed == [1, 1, 1]


def test_results_of_a_sub_are_its_own(quick: Shelf) -> None:
    def double(number: int) -> int:
        return number * 2

    one, other = quick.sub("one").memoize(double), quick.sub("other").memoize(double)
    assert (one(1), other(1)) == (2, 2)
    assert (one.cache_info().misses, other.cache_info().misses) == (1, 1)
    one.cache_clear()
    assert (one.cache_info().currsize, other.cache_info().currsize) == (0, 1)


def test_what_when_refuses_is_not_kept(shelf: Shelf) -> None:
    @shelf.memoize(when=lambda result: result is not None)
    def half(number: int) -> int | None:
        return None if number % 2 else number // 2

    assert (half(4), half(5), half(5)) == (2, None, None)
    assert half.cache_info() == (0, 3, None, 1)


def test_result_that_cannot_be_stored_is_an_error_and_leaves_nothing(shelf: Shelf) -> None:
    @shelf.memoize
    def locks() -> Any:
        return threading.Lock()

    with pytest.raises(coshelf.UnwritableValue):
        locks()
    assert len(shelf) == 0


# --- calls inside calls ----------------------------------------------------------------------------------------------


def test_recursive_function_computes_each_result_once(shelf: Shelf) -> None:
    computed = []

    @shelf.memoize
    def fibonacci(number: int) -> int:
        computed.append(number)
        return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)

    assert fibonacci(12) == 144
    assert sorted(computed) == list(range(13))


def test_call_of_itself_with_the_same_arguments_does_not_wait_for_itself(shelf: Shelf) -> None:
    depth = []

    @shelf.memoize
    def again(number: int) -> int:
        depth.append(number)
        return len(depth) if len(depth) == 3 else again(number)

    assert again(1) == 3


def test_signal_handler_does_not_wait_for_the_call_that_it_interrupted(
    quick: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    @quick.memoize
    def again(number: int) -> int:
        calls.append(number)
        return len(calls)

    take = Claims.take
    interrupted = []

    def take_and_be_interrupted(claims: Claims, row: bytes, patience: Patience) -> Claim | None:
        claim = take(claims, row, patience)
        if not interrupted:
            interrupted.append(row)
            assert again(1) == 1  # as a handler that runs before the call goes on
        return claim

    monkeypatch.setattr(Claims, "take", take_and_be_interrupted)
    assert again(1) == 1
    assert calls == [1]


def test_threads_that_wait_for_each_other_in_a_circle_end(shelf: Shelf) -> None:
    both, is_inner = threading.Barrier(2, timeout=60), threading.local()
    results = {}

    @shelf.memoize
    def side(name: str) -> str:
        if getattr(is_inner, "value", False):
            return "end"
        is_inner.value = True
        both.wait()
        return side({"left": "right", "right": "left"}[name])

    threads = [
        threading.Thread(target=lambda name=name: results.update({name: side(name)})) for name in ("left", "right")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {"left": "end", "right": "end"}


def test_calls_inside_a_transaction_are_part_of_it(shelf: Shelf) -> None:
    @shelf.memoize
    def double(number: int) -> int:
        return number * 2

    class Undone(Exception):
        pass

    with pytest.raises(Undone), shelf.transaction():
        assert double(1) == double(1) == 2
        assert double.cache_info() == (1, 1, None, 1)
        raise Undone
    assert len(shelf) == 0
    with shelf.transaction():
        assert double(1) == 2
    assert shelf[double.cache_key(1)] == 2


def test_computation_may_use_transactions(shelf: Shelf) -> None:
    @shelf.memoize
    def counted(number: int) -> Any:
        with shelf.transaction() as transaction:
            transaction["count"] = transaction.get("count", 0) + 1
            return transaction["count"] + number

    assert (counted(1), counted(1), shelf["count"]) == (2, 2, 1)


def test_read_only_shelf_gives_results_and_refuses_to_compute(tmp_path: Path) -> None:
    computed = []

    def double(number: int) -> int:
        computed.append(number)
        return number * 2

    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.memoize(double)(1)
    with coshelf.open(tmp_path / "a.shelf", "r") as shelf:
        reading = shelf.memoize(double)
        assert reading(1) == 2
        with pytest.raises(coshelf.ReadOnlyShelf):
            reading(2)
    with pytest.raises(coshelf.ShelfClosed):
        reading(1)
    assert computed == [1]


# --- functions of all kinds ------------------------------------------------------------------------------------------


def test_function_keeps_its_name_and_can_be_pickled() -> None:
    assert module_level.__name__ == "module_level"
    assert module_level.__doc__ == "Double a number."
    assert list(inspect.signature(module_level).parameters) == ["number"]
    assert pickle.loads(pickle.dumps(module_level)) is module_level


def test_method_has_self_in_its_key_unless_it_is_ignored(quick: Shelf) -> None:
    class Source:
        def __init__(self, name: str) -> None:
            self.name = name

        @quick.memoize(ignore="self")
        def shared(self, number: int) -> str:
            return f"{self.name} {number}"

        @quick.memoize
        def own(self, number: int) -> str:
            return f"{self.name} {number}"

        @quick.memoize(key=lambda self, number: (self.name, number))
        def by_name(self, number: int) -> str:
            return f"{self.name} {number}"

        @classmethod
        @quick.memoize(ignore="cls")
        def of_class(cls, number: int) -> int:
            return number

        @staticmethod
        @quick.memoize
        def of_none(number: int) -> int:
            return number

    ann, bob = Source("ann"), Source("bob")
    assert (ann.shared(1), bob.shared(1)) == ("ann 1", "ann 1")
    assert (ann.by_name(1), bob.by_name(1)) == ("ann 1", "bob 1")
    assert (ann.of_class(1), Source.of_none(2)) == (1, 2)
    with pytest.raises(coshelf.UnkeyableArgument, match=r"argument 'self' of .*Source\.own\(\).*"):
        ann.own(1)
    assert Source.by_name.cache_key(ann, 1)[2:] == (("ann", 1),)


@pytest.mark.parametrize("kind", ["generator", "asynchronous generator", "lambda", "classmethod", "object", "number"])
def test_what_cannot_be_memoized_is_refused_at_once(quick: Shelf, kind: str) -> None:
    def generator() -> Iterator[int]:
        yield 1

    async def asynchronous() -> AsyncIterator[int]:
        yield 1

    class Callable:
        def __call__(self) -> None: ...

    refused: dict[str, tuple[Any, str]] = {
        "generator": (generator, "is a generator function"),
        "asynchronous generator": (asynchronous, "is a generator function"),
        "lambda": (lambda: 1, "use def"),
        "classmethod": (classmethod(len), "write @classmethod above @memoize"),
        "object": (Callable(), "a function is needed, not Callable"),
        "number": (5, "a function is needed, not int"),
    }
    function, reason = refused[kind]
    with pytest.raises(TypeError, match=reason):
        quick.memoize(function)
    with pytest.raises(TypeError, match=reason):
        quick.memoize()(function)


# --- coroutines ------------------------------------------------------------------------------------------------------


def test_tasks_await_a_coroutine_once(shelf: Shelf) -> None:
    computed = []

    @shelf.memoize
    async def double(number: int) -> int:
        computed.append(number)
        await asyncio.sleep(0.05)
        return number * 2

    async def main() -> list[int]:
        return await asyncio.gather(*(double(number) for number in (1, 1, 2, 1)))

    assert inspect.iscoroutinefunction(double)
    assert asyncio.run(main()) == [2, 2, 4, 2]
    assert sorted(computed) == [1, 2]
    assert double.cache_info() == (2, 2, None, 2)


def test_loop_runs_while_another_thread_computes(shelf: Shelf) -> None:
    is_computing, may_return = threading.Event(), threading.Event()

    def compute(number: int) -> int:
        is_computing.set()
        assert may_return.wait(300)
        return number

    async def compute_in_task(number: int) -> int:
        raise AssertionError("it is computed by the thread")

    compute_in_task.__module__, compute_in_task.__qualname__ = compute.__module__, compute.__qualname__
    in_thread, in_task = shelf.memoize(compute), shelf.memoize(compute_in_task)
    thread = threading.Thread(target=in_thread, args=(1,))
    thread.start()
    assert is_computing.wait(300)

    async def main() -> int:
        task = asyncio.create_task(in_task(1))
        for _ in range(50):  # each step would block the loop for ever if the task did
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert not task.done()
        may_return.set()
        return await task

    assert asyncio.run(main()) == 1
    thread.join()


def test_cancelled_computation_frees_its_claim(shelf: Shelf) -> None:
    started = []

    async def main() -> str:
        is_started = asyncio.Event()

        @shelf.memoize
        async def slow(number: int) -> str:
            started.append(number)
            if len(started) == 1:
                is_started.set()
                await asyncio.sleep(3600)
            return "result"

        first = asyncio.create_task(slow(1))
        await is_started.wait()
        second = asyncio.create_task(slow(1))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(main()) == "result"
    assert started == [1, 1]


def test_tasks_that_wait_for_each_other_in_a_circle_end(shelf: Shelf) -> None:
    async def main() -> list[str]:
        both = asyncio.Barrier(2)
        depth = []

        @shelf.memoize
        async def side(name: str) -> str:
            depth.append(name)
            if len(depth) > 2:
                return "end"
            await both.wait()
            return await side({"left": "right", "right": "left"}[name])

        return await asyncio.gather(side("left"), side("right"))

    assert asyncio.run(main()) == ["end", "end"]


def test_exception_of_a_coroutine_is_not_kept(quick: Shelf) -> None:
    @quick.memoize
    async def fails(number: int) -> int:
        raise StopAsyncIteration(number)

    for _ in range(2):
        with pytest.raises((StopAsyncIteration, RuntimeError)):
            asyncio.run(fails(1))
    assert len(quick) == 0


def test_stop_iteration_of_a_function_is_its_own(quick: Shelf) -> None:
    @quick.memoize
    def stops(number: int) -> int:
        raise StopIteration(number)

    with pytest.raises(StopIteration):
        stops(1)
