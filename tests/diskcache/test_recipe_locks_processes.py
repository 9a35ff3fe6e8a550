"""Locks of caches between processes: what a killed holder leaves, who may release, forks, and what waiting costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lock_talk import wait_until
from support import Crew

from coshelf.diskcache.core import Cache
from coshelf.diskcache.fanout import FanoutCache
from coshelf.diskcache.recipes import BoundedSemaphore, Lock, RLock, barrier
from coshelf.dropin.diskcache import holds
from coshelf.dropin.diskcache.guarding import ground_of, name_of
from coshelf.testing.contract.task import Task

HOLDER = """
    from coshelf.diskcache.core import Cache
    from coshelf.diskcache.fanout import FanoutCache
    from coshelf.diskcache.recipes import BoundedSemaphore, Lock, RLock, barrier

    cache = {"Cache": Cache, "FanoutCache": FanoutCache}[sys.argv[2]](path)
    expire = float(sys.argv[3]) or None
    Lock(cache, "lock", expire=expire, tag="locks").acquire()
    for _ in range(2):
        RLock(cache, "rlock", expire=expire).acquire()
        BoundedSemaphore(cache, "permits", value=3, expire=expire).acquire()

    @barrier(cache, Lock, name="barrier", expire=expire)
    def work():
        say("held")
        hear()

    work()
"""


@pytest.fixture
def directory(path: str) -> Iterator[str]:
    yield str(Path(path).parent / "cache")
    holds._process.begin()


@pytest.fixture
def cache(request: pytest.FixtureRequest, directory: str) -> Iterator[Any]:
    with getattr(request, "param", Cache)(directory) as cache:
        yield cache
        holds._process.begin()


def is_awaited(cache: Any, key: str) -> bool:
    return bool(ground_of(cache).turn("next", name_of(cache, key)).holders())


@pytest.mark.parametrize(("cache", "expire"), [(Cache, 3600), (FanoutCache, 0)], indirect=["cache"])
def test_killed_holder_leaves_its_locks_free(cache: Any, crew: Crew, expire: float) -> None:
    holder = crew.start(HOLDER, cache.directory, type(cache).__name__, expire)
    holder.expect("held")
    assert Lock(cache, "lock").locked()
    assert cache.get("rlock")[1] == 2
    assert cache.get("permits") == 1
    holder.kill()
    assert not Lock(cache, "lock").locked()
    Lock(cache, "lock").acquire()
    RLock(cache, "rlock").acquire()
    permits = BoundedSemaphore(cache, "permits", value=3)
    for _ in range(3):
        permits.acquire()

    @barrier(cache, Lock, name="barrier")
    def work() -> str:
        return "worked"

    assert work() == "worked"
    assert Lock(cache, "lock").locked()
    assert cache.get("rlock")[1] == 1
    assert cache.get("permits") == 0


@pytest.mark.parametrize("cache", [FanoutCache], indirect=True)
def test_kill_wakes_those_that_wait(cache: Any, crew: Crew) -> None:
    BoundedSemaphore(cache, "permits", value=3).acquire()
    holder = crew.start(HOLDER, cache.directory, type(cache).__name__, 3600)
    holder.expect("held")

    @barrier(cache, Lock, name="barrier")
    def work() -> None:
        pass

    waiters = [
        Task(Lock(cache, "lock").acquire),
        Task(RLock(cache, "rlock").acquire),
        Task(BoundedSemaphore(cache, "permits", value=3).acquire),
        Task(work),
    ]
    wait_until(lambda: all(is_awaited(cache, key) for key in ("lock", "rlock", "permits", "barrier")))
    assert all(waiter.is_alive() for waiter in waiters)
    holder.kill()
    for waiter in waiters:
        waiter.finish()
    assert cache["permits"] == 1  # of the two that hold one


@pytest.mark.long
def test_waiter_that_is_killed_does_not_stop_those_behind_it(directory: str, crew: Crew) -> None:
    program = """
        from coshelf.diskcache.core import Cache
        from coshelf.diskcache.recipes import Lock

        cache = Cache(path)
        say("ready")
        Lock(cache, "door").acquire()
    """
    with Cache(directory) as cache:
        lock = Lock(cache, "door")
        lock.acquire()
        first = crew.start(program, directory)
        first.expect("ready")
        wait_until(lambda: is_awaited(cache, "door"))
        second = Task(Lock(cache, "door").acquire)
        first.kill()
        lock.release()
        second.finish()
        holds._process.begin()


@pytest.mark.parametrize("cache", [FanoutCache], indirect=True)
def test_another_process_releases(cache: Any, crew: Crew) -> None:
    program = """
        from coshelf.diskcache.core import Cache
        from coshelf.diskcache.fanout import FanoutCache
        from coshelf.diskcache.recipes import BoundedSemaphore, Lock

        cache = {"Cache": Cache, "FanoutCache": FanoutCache}[sys.argv[2]](path)
        Lock(cache, "lock").release()
        BoundedSemaphore(cache, "permits").release()
    """
    Lock(cache, "lock").acquire()
    BoundedSemaphore(cache, "permits").acquire()
    waiters = [Task(Lock(cache, "lock").acquire), Task(BoundedSemaphore(cache, "permits").acquire)]
    wait_until(lambda: is_awaited(cache, "lock") and is_awaited(cache, "permits"))
    crew.run(program, cache.directory, type(cache).__name__)
    for waiter in waiters:
        waiter.finish()
    assert Lock(cache, "lock").locked()
    assert cache["permits"] == 0
    Lock(cache, "lock").release()  # that of the waiter: what was released before is over
    BoundedSemaphore(cache, "permits").release()
    assert not Lock(cache, "lock").locked()


def test_forked_child_holds_nothing(directory: str, crew: Crew) -> None:
    said = crew.run(
        """
        from coshelf.diskcache.core import Cache
        from coshelf.diskcache.recipes import BoundedSemaphore, Lock, RLock

        def attempt():
            for lock in (Lock(cache, "lock"), RLock(cache, "rlock")):
                try:
                    with cache.transact():
                        lock.acquire()
                except TransactionInProgress:
                    say("taken")

        cache = Cache(path)
        lock, rlock, permits = Lock(cache, "lock"), RLock(cache, "rlock"), BoundedSemaphore(cache, "permits", value=2)
        for each in (lock, rlock, permits):
            each.acquire()
        child = os.fork()
        if child == 0:
            try:
                rlock.release()
            except AssertionError:
                permits.acquire()  # the other one
                os._exit(0)
            os._exit(1)
        assert reap(child) == 0
        assert lock.locked() and cache["rlock"][1] == 1
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        permits.acquire()  # the child's
        for each in (lock, rlock, permits, permits):
            each.release()
        assert not lock.locked() and cache["rlock"][1] == 0 and cache["permits"] == 2
        """,
        directory,
    )
    assert said == ["taken", "taken"]


def test_counting_under_locks_loses_nothing(directory: str, crew: Crew) -> None:
    program = """
        from coshelf.diskcache.fanout import FanoutCache
        from coshelf.diskcache.recipes import BoundedSemaphore, Lock, RLock

        cache = FanoutCache(path)
        locks = [Lock(cache, "lock"), RLock(cache, "rlock"), BoundedSemaphore(cache, "permit")]
        say("ready")
        hear()
        for _ in range(20):
            for number, lock in enumerate(locks):
                with lock:
                    count = cache.get(number, 0)
                    cache.set(number, count + 1, retry=True)
    """
    for worker in crew.start_many(3, program, directory):
        worker.finish()
    with FanoutCache(directory) as cache:
        assert [cache[number] for number in range(3)] == [60, 60, 60]


@pytest.mark.long  # test_waiting_makes_no_attempts claims the same, without processes
@pytest.mark.parametrize("kind", [Lock, RLock, BoundedSemaphore])
def test_waiting_takes_no_processor_time(cache: Any, crew: Crew, kind: Any) -> None:
    program = """
        from coshelf.diskcache.core import Cache
        from coshelf.diskcache.recipes import BoundedSemaphore, Lock, RLock

        lock = {"Lock": Lock, "RLock": RLock, "BoundedSemaphore": BoundedSemaphore}[sys.argv[2]](Cache(path), "door")
        say("ready")
        hear()
        before = time.process_time()
        lock.acquire()
        say(time.process_time() - before)
    """
    with kind(cache, "door"):
        waiter = crew.start(program, cache.directory, kind.__name__)
        waiter.expect("ready")
        waiter.tell()
        wait_until(lambda: is_awaited(cache, "door"))
        time.sleep(3)
    assert float(waiter.hear()) < 0.5
