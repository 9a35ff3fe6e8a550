"""Averager, throttle and memoize_stampede."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lock_talk import in_thread, wait_until
from support import Crew

from coshelf.diskcache import ENOVAL, Cache, FanoutCache
from coshelf.diskcache.recipes import Averager, memoize_stampede, throttle
from coshelf.dropin.diskcache.guarding import ground_of, name_of
from coshelf.testing.contract.task import Task


@pytest.fixture(params=[Cache, FanoutCache])
def cache(request: pytest.FixtureRequest, path: str) -> Iterator[Any]:
    with request.param(str(Path(path).parent / "cache")) as cache:
        yield cache


class Clock:
    """A clock that a test moves, and a sleep that moves it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


# --- Averager --------------------------------------------------------------------------------------------------------


def test_average_is_that_of_all_values(cache: Any) -> None:
    average = Averager(cache, "latency", expire=3600, tag="times")
    assert average.get() is None
    assert average.pop() is None
    for value in (1, 2.5, -2):
        average.add(value)
    assert cache.get("latency", expire_time=True, tag=True)[::2] == ((1.5, 3), "times")
    assert 3500 < cache.get("latency", expire_time=True)[1] - time.time() <= 3600
    assert Averager(cache, "latency").get() == 0.5
    assert average.pop() == 0.5
    assert "latency" not in cache


def test_averager_loses_no_value_of_a_thread(cache: Any) -> None:
    average = Averager(cache, "latency")

    def add() -> None:
        for value in range(20):
            average.add(value)

    for thread in [Task(add) for _ in range(3)]:
        thread.finish()
    assert cache["latency"] == (570.0, 60)


# --- throttle --------------------------------------------------------------------------------------------------------


def throttled(cache: Any, clock: Clock, count: float = 2, seconds: float = 10, **options: Any) -> Any:
    @throttle(cache, count, seconds, name="work", time_func=clock.time, sleep_func=clock.sleep, **options)
    def work(number: int) -> int:
        """Work."""
        return number + 1

    return work


def test_throttle_admits_a_number_of_calls_in_a_time(cache: Any) -> None:
    clock = Clock()
    work = throttled(cache, clock)
    assert cache["work"] == (1000.0, 2)
    assert work.__doc__ == "Work."
    assert [work(number) for number in range(6)] == [1, 2, 3, 4, 5, 6]
    assert clock.slept == [5, 5, 5, 5]  # two at once, then one in 5 seconds
    clock.now += 100
    clock.slept.clear()
    for number in range(3):
        work(number)
    assert clock.slept == [5]  # no more are saved up than two


def test_throttle_with_less_than_one_call_admits_calls(cache: Any) -> None:
    clock = Clock()
    work = throttled(cache, clock, 0.5, 1)
    clock.now += 2
    for number in range(3):
        work(number)
    assert clock.slept == [3, 3]  # as diskcache counts it: one call, and then half of one that was saved up


def test_decorating_does_not_reset_the_calls_of_other_processes(cache: Any) -> None:
    clock = Clock()
    for _ in range(2):
        throttled(cache, clock)(1)
    assert not clock.slept
    throttled(cache, clock)(1)
    assert clock.slept == [5]


def test_throttle_goes_on_when_its_entry_is_removed(cache: Any) -> None:
    clock = Clock()
    work = throttled(cache, clock, tag="limits")
    work(1)
    work(1)
    assert cache.evict("limits") == 1
    assert work(1) == 2
    assert cache.get("work", tag=True) == ((1000.0, 1), "limits")
    assert not clock.slept


def test_throttle_goes_on_when_its_clock_is_set_back(cache: Any) -> None:
    clock = Clock()
    work = throttled(cache, clock)
    work(1)
    work(1)
    clock.now = 0.0
    work(1)
    assert clock.slept == [5]


def test_throttle_keeps_tag_and_expire(cache: Any) -> None:
    work = throttled(cache, Clock(), expire=3600, tag="limits")
    for _ in range(3):
        _, expires, tag = cache.get("work", expire_time=True, tag=True)
        assert tag == "limits"
        assert 3500 < expires - time.time() <= 3600
        work(1)


def test_throttle_is_named_after_its_function(cache: Any) -> None:
    @throttle(cache, 10, 1)
    def work() -> None:
        pass

    work()
    assert list(cache) == [f"{__name__}.test_throttle_is_named_after_its_function.<locals>.work"]


def test_processes_are_throttled_together(path: str, crew: Crew) -> None:
    directory = str(Path(path).parent / "cache")
    program = """
        from coshelf.diskcache import FanoutCache
        from coshelf.diskcache.recipes import throttle

        @throttle(FanoutCache(path), 8, 1e9, name="work", sleep_func=sys.exit)
        def work():
            say("worked")

        say("ready")
        hear()
        for _ in range(8):
            work()
    """
    workers = crew.start_many(2, program, directory)
    said = []
    for worker in workers:
        output, _ = worker.process.communicate()
        said += output.split()
    assert said == ["worked"] * 8


# --- memoize_stampede ------------------------------------------------------------------------------------------------


def test_result_is_stored_with_its_duration(cache: Any) -> None:
    calls = []

    @memoize_stampede(cache, expire=3600, name="add", tag="sums", ignore={"note", 2})
    def add(first: int, second: int, note: str = "") -> int:
        """Add."""
        calls.append(note)
        return first + second

    assert add(1, 2) == add(1, 2, "a") == add(1, 2, note="b") == 3
    assert calls == [""]
    assert add.__doc__ == "Add."
    assert add.__wrapped__(1, 2, "c") == 3
    assert add.__cache_key__(1, 2) == ("add", 1, 2, None)
    (result, seconds), expires, tag = cache.get(add.__cache_key__(1, 2), expire_time=True, tag=True)
    assert (result, tag) == (3, "sums")
    assert 0 <= seconds < 60
    assert 3500 < expires - time.time() <= 3600
    del cache[add.__cache_key__(1, 2)]
    add(1, 2)
    assert calls == ["", "c", ""]


def test_result_without_expiry_is_kept(cache: Any) -> None:
    calls = []

    @memoize_stampede(cache, expire=None)
    def work() -> None:
        calls.append(1)

    for _ in range(3):
        assert work() is None
    assert calls == [1]


def test_result_that_expires_soon_is_computed_anew_by_one_thread(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.5)
    go_on, calls = threading.Event(), []

    @memoize_stampede(cache, expire=3600, beta=1e9, tag="numbers")
    def work(number: int) -> int:
        calls.append(threading.current_thread())
        if len(calls) > 1:
            go_on.wait(60)
        return len(calls)

    key = work.__cache_key__(1)
    cache.set(key, (1, 1000.0), expire=3600)
    calls.append(threading.current_thread())
    assert [work(1) for _ in range(3)] == [1, 1, 1]
    wait_until(lambda: len(calls) == 2)
    assert (*key, ENOVAL) in cache
    go_on.set()
    calls[1].join(60)
    assert cache.get(key, tag=True)[0][0] == 2
    assert cache.get(key, tag=True)[1] == "numbers"
    assert calls[1].daemon
    assert calls[1] is not threading.current_thread()


def test_result_that_does_not_expire_soon_is_not_computed_anew(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)

    @memoize_stampede(cache, expire=3600)
    def work() -> int:
        raise NotImplementedError

    cache.set(work.__cache_key__(), (7, 1.0), expire=3600)
    assert work() == 7


def test_first_result_is_computed_once_by_threads(cache: Any) -> None:
    calls, go_on = [], threading.Event()

    @memoize_stampede(cache, expire=3600)
    def work(number: int) -> int:
        calls.append(number)
        go_on.wait(60)
        return number

    threads = [Task(lambda: work(1)) for _ in range(3)]
    line = ground_of(cache).turn("compute", name_of(cache, work.__cache_key__(1)))
    wait_until(lambda: len(line.waiting()) == 2)
    go_on.set()
    assert [thread.finish() for thread in threads] == [1, 1, 1]
    assert calls == [1]


def test_first_result_is_computed_once_by_processes(path: str, crew: Crew) -> None:
    directory = str(Path(path).parent / "cache")
    program = """
        from coshelf.diskcache import Cache
        from coshelf.diskcache.recipes import memoize_stampede

        @memoize_stampede(Cache(path), expire=3600, name="work")
        def work(number):
            say("computes")
            hear()
            return number

        say("ready")
        hear()
        say(work(1))
    """
    with Cache(directory) as cache:
        workers = crew.start_many(2, program, directory)
        line = ground_of(cache).turn("compute", name_of(cache, ("work", 1, None)))
        wait_until(lambda: len(line.waiting()) == 1)
        for worker in workers:
            worker.tell()
        said = [worker.finish() for worker in workers]
    assert sorted(said) == [["1"], ["computes", "1"]]


def test_call_goes_on_when_the_one_that_computes_fails(cache: Any) -> None:
    calls, go_on = [], threading.Event()

    @memoize_stampede(cache, expire=3600)
    def work() -> int:
        calls.append(1)
        go_on.wait(60)
        if len(calls) == 1:
            raise ZeroDivisionError
        return 7

    first = Task(work)
    wait_until(lambda: calls)
    second = Task(work)
    line = ground_of(cache).turn("compute", name_of(cache, work.__cache_key__()))
    wait_until(line.waiting)
    go_on.set()
    with pytest.raises(ZeroDivisionError):
        first.finish()
    assert second.finish() == 7


def test_memoized_functions_call_themselves_and_each_other(cache: Any) -> None:
    @memoize_stampede(cache, expire=3600, ignore={1})
    def fibonacci(number: int, depth: int = 0) -> int:
        if depth < 3:
            return fibonacci(number, depth + 1)  # the key of the call that is being computed
        return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)

    assert fibonacci(12) == 144


def test_no_call_waits_for_another_while_it_computes(cache: Any) -> None:
    both = threading.Barrier(2)

    @memoize_stampede(cache, expire=3600, name="first", ignore={0})
    def first(depth: int) -> int:
        if depth == 0:
            return 1
        both.wait(60)
        return second(0) + 1

    @memoize_stampede(cache, expire=3600, name="second", ignore={0})
    def second(depth: int) -> int:
        if depth == 0:
            return 1
        both.wait(60)
        return first(0) + 1

    threads = [Task(lambda: first(1)), Task(lambda: second(1))]
    assert all(thread.finish() >= 2 for thread in threads)  # neither waits for the other


def test_no_call_waits_for_another_in_a_transaction(cache: Any) -> None:
    computes, go_on = threading.Event(), threading.Event()

    @memoize_stampede(cache, expire=3600)
    def work() -> int:
        if threading.current_thread() is not threading.main_thread():
            computes.set()
            go_on.wait(60)
        return 7

    other = Task(work)
    computes.wait(60)
    with cache.transact(retry=True):
        assert work() == 7
    go_on.set()
    assert other.finish() == 7


def test_statistics_count_one_miss_for_a_first_result(cache: Any) -> None:
    cache.stats(enable=True)

    @memoize_stampede(cache, expire=3600)
    def work() -> int:
        return 7

    work()
    work()
    assert in_thread(lambda: cache.stats(enable=True)) == (1, 1)
