"""Results that expire, and that are computed again before they do."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.contract import CLAIMS
from coshelf.system import clock
from service_threads import service_threads

Shelf = coshelf.Shelf[Any, Any]
Forward = Callable[[float], None]


@pytest.fixture
def forward(monkeypatch: pytest.MonkeyPatch) -> Forward:
    """Moves the clock on by some seconds."""
    began, moved = clock.now(), [0.0]
    monkeypatch.setattr(clock, "now", lambda: began + round(moved[0] * 1_000_000))

    def forward(seconds: float) -> None:
        moved[0] += seconds

    return forward


@pytest.fixture(params=["memory", "mapping", "lmdb", "sqlite"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path, forward: Forward) -> Iterator[Shelf]:
    targets: dict[str, Any] = {"memory": "memory:", "mapping": {}}
    with coshelf.open(targets.get(request.param, f"{request.param}:{tmp_path}/a.shelf")) as shelf:
        yield shelf
        assert list(shelf.engine_for("test").scan(*CLAIMS)) == []


class Background:
    """Waits for the threads that compute in the background."""

    @staticmethod
    def wait() -> None:
        while service_threads("coshelf-refresh-start"):
            time.sleep(0.001)
        for thread in threading.enumerate():
            if thread.name == "coshelf-refresh":
                thread.join()


@pytest.mark.parametrize("expire", [60, timedelta(minutes=1)], ids=str)
def test_result_is_computed_again_when_it_has_expired(shelf: Shelf, forward: Forward, expire: Any) -> None:
    computed: list[int] = []

    @shelf.memoize(expire=expire)
    def count(number: int) -> int:
        computed.append(number)
        return len(computed)

    assert (count(1), count(1)) == (1, 1)
    forward(59)
    assert count(1) == 1
    forward(1)
    assert count(1) == 2
    assert len(shelf) == 1


def test_default_of_the_shelf_applies_unless_another_time_is_given(forward: Forward) -> None:
    shelf: Shelf = coshelf.open("memory:", expire=60)

    def same(number: int) -> int:
        return number

    for function in (shelf.memoize(same), shelf.memoize(expire=None, version=2)(same)):
        function(1)
    assert [shelf.expires(key) is None for key in shelf] == [False, True]


def test_one_call_in_the_last_part_computes_and_all_get_the_old_result(shelf: Shelf, forward: Forward) -> None:
    computed: list[int] = []
    is_computing, may_return = threading.Event(), threading.Event()

    @shelf.memoize(expire=600, refresh=60)
    def count(number: int) -> int:
        computed.append(number)
        if len(computed) == 2:
            is_computing.set()
            assert may_return.wait(300)
        return len(computed)

    assert count(1) == 1
    forward(539)
    assert count(1) == 1
    assert computed == [1]
    forward(1)
    assert [count(1) for _ in range(5)] == [1] * 5
    assert is_computing.wait(300)
    assert [count(1) for _ in range(5)] == [1] * 5
    may_return.set()
    Background.wait()
    assert count(1) == 2
    forward(539)
    assert count(1) == 2
    assert computed == [1, 1]
    assert count.cache_info() == (13, 1, None, 1)


def test_call_after_the_end_waits_for_the_computation_in_the_background(shelf: Shelf, forward: Forward) -> None:
    computed: list[int] = []
    is_computing, may_return = threading.Event(), threading.Event()

    @shelf.memoize(expire=600, refresh=60)
    def count(number: int) -> int:
        computed.append(number)
        if len(computed) == 2:
            is_computing.set()
            assert may_return.wait(300)
        return len(computed)

    count(1)
    forward(560)
    assert count(1) == 1
    assert is_computing.wait(300)
    forward(60)
    returned: list[int] = []
    thread = threading.Thread(target=lambda: returned.append(count(1)))
    thread.start()
    may_return.set()
    thread.join()
    assert returned == [2]
    Background.wait()


def test_exception_in_the_background_is_reported_and_a_later_call_computes(
    forward: Forward, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf: Shelf = coshelf.open("memory:")
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: reported.append(arguments.exc_value))
    results = iter([1, ValueError("no"), 3])

    @shelf.memoize(expire=600, refresh=60)
    def one_by_one(number: int) -> int:
        result = next(results)
        if isinstance(result, ValueError):
            raise result
        return result

    assert one_by_one(1) == 1
    forward(560)
    for expected in (1, 1, 3):
        assert one_by_one(1) == expected
        Background.wait()
    assert [str(error) for error in reported] == ["no"]


def test_coroutine_is_computed_again_in_a_task(shelf: Shelf, forward: Forward) -> None:
    computed: list[int] = []

    async def main() -> None:
        is_computing, may_return = asyncio.Event(), asyncio.Event()

        @shelf.memoize(expire=600, refresh=60)
        async def count(number: int) -> int:
            computed.append(number)
            if len(computed) == 2:
                is_computing.set()
                await may_return.wait()
            return len(computed)

        assert await count(1) == 1
        forward(560)
        assert [await count(1) for _ in range(3)] == [1] * 3
        await is_computing.wait()
        assert await count(1) == 1
        may_return.set()
        while await count(1) == 1:  # noqa: ASYNC110 (a task that nobody else sees stores it)
            await asyncio.sleep(0)

    asyncio.run(main())
    assert computed == [1, 1]


def test_transaction_and_read_only_shelf_leave_it_to_others(tmp_path: Path, forward: Forward) -> None:
    computed: list[int] = []

    def count(number: int) -> int:
        computed.append(number)
        return len(computed)

    with coshelf.open(tmp_path / "a.shelf") as shelf:
        writing = shelf.memoize(expire=600, refresh=60)(count)
        writing(1)
        forward(560)
        with shelf.transaction():
            assert writing(1) == 1
    with coshelf.open(tmp_path / "a.shelf", "r") as shelf:
        assert shelf.memoize(expire=600, refresh=60)(count)(1) == 1
    Background.wait()
    assert computed == [1]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"expire": "soon"}, coshelf.InvalidExpiry),
        ({"expire": float("nan")}, coshelf.InvalidExpiry),
        ({"expire": 60, "refresh": "late"}, coshelf.InvalidExpiry),
        ({"expire": 60, "refresh": 60}, ValueError),
        ({"expire": 60, "refresh": 0}, ValueError),
        ({"refresh": 60}, ValueError),
    ],
    ids=str,
)
def test_impossible_times_are_refused_at_once(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        coshelf.open("memory:").memoize(**options)


def test_engine_without_expiry_refuses_times_at_once(tmp_path: Path) -> None:
    with coshelf.open(f"files:{tmp_path}/a") as shelf, pytest.raises(coshelf.Unsupported, match="cannot expire"):
        shelf.memoize(expire=60)
