"""Lock, RLock and BoundedSemaphore in one process: what is held, who may release it, and who waits."""

from __future__ import annotations

import gc
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lock_talk import in_thread, wait_until

import coshelf
from coshelf.diskcache.core import Cache
from coshelf.diskcache.fanout import FanoutCache
from coshelf.diskcache.recipes import BoundedSemaphore, Lock, RLock, barrier
from coshelf.dropin.diskcache import holds
from coshelf.dropin.diskcache.guarding import Guarded, ground_of, name_of
from coshelf.errors import TransactionInProgress
from coshelf.testing.contract.task import Task

LOCKS: dict[str, Callable[..., Guarded]] = {"Lock": Lock, "RLock": RLock, "BoundedSemaphore": BoundedSemaphore}


@pytest.fixture(autouse=True)
def hold_nothing(path: str) -> Iterator[None]:
    """After a test give back what it holds still, so that its shelf is closed before its directory goes."""
    yield
    holds._process.begin()


class Counting(Cache):
    """Counts its transactions."""

    transactions = 0

    def transact(self, retry: bool = False) -> Any:
        self.transactions += 1
        return super().transact(retry)


@pytest.fixture
def cache(path: str) -> Iterator[Any]:
    with Cache(str(Path(path).parent / "cache")) as cache:
        yield cache
        holds._process.begin()


@pytest.fixture(params=[Cache, FanoutCache])
def each_cache(request: pytest.FixtureRequest, path: str) -> Iterator[Any]:
    with request.param(str(Path(path).parent / "cache")) as cache:
        yield cache
        holds._process.begin()


@pytest.fixture(params=sorted(LOCKS))
def make(request: pytest.FixtureRequest) -> Callable[..., Guarded]:
    return LOCKS[request.param]


def is_free(cache: Any, make: Callable[..., Guarded]) -> bool:
    """Whether a transaction, in which nobody waits, can take the lock of the key "door"."""

    def attempt() -> bool:
        lock = make(cache, "door")
        try:
            with cache.transact(retry=True):
                lock.acquire()
                lock.release()
        except TransactionInProgress:
            return False
        return True

    return bool(in_thread(attempt))


def waiting(cache: Any) -> int:
    """How many wait for the lock of the key "door"."""
    name = name_of(cache, "door")
    ahead = ground_of(cache).turn("next", name)
    return len(ahead.holders()) + len(ahead.waiting())


# --- holding ---------------------------------------------------------------------------------------------------------


def test_lock_that_is_taken_keeps_others_out(each_cache: Any, make: Callable[..., Guarded]) -> None:
    cache = each_cache
    with make(cache, "door"):
        assert "door" in cache
        assert not is_free(cache, make)
    assert is_free(cache, make)


def test_entries_of_locks_are_those_of_diskcache(cache: Any) -> None:
    with Lock(cache, "lock") as entered:
        assert entered is None
        assert cache.get("lock", "default") is None
    assert "lock" not in cache
    thread = f"{os.getpid()}-{threading.get_ident()}"
    with RLock(cache, "rlock") as lock, RLock(cache, "rlock"):
        assert lock is None
        assert cache["rlock"] == (thread, 2)
    assert cache["rlock"] == (thread, 0)
    with BoundedSemaphore(cache, "semaphore", value=3):
        assert cache["semaphore"] == 2
    assert cache["semaphore"] == 3


def test_entries_keep_their_tag_and_expire(cache: Any, make: Callable[..., Guarded]) -> None:
    lock = make(cache, "door", expire=3600, tag="doors")
    for _ in range(2):
        with lock:
            _, expires, tag = cache.get("door", expire_time=True, tag=True)
            assert tag == "doors"
            assert 3500 < expires - time.time() <= 3600
    if make is not Lock:
        assert cache.get("door", tag=True)[1] == "doors"


def test_waiter_gets_the_lock_when_it_is_released(cache: Any, make: Callable[..., Guarded]) -> None:
    lock = make(cache, "door")
    lock.acquire()
    waiter = Task(lock.acquire)
    wait_until(lambda: waiting(cache))
    assert waiter.is_alive()
    in_thread(lock.release) if make is not RLock else lock.release()
    waiter.finish()


def test_waiters_get_the_lock_in_order_of_arrival(cache: Any) -> None:
    order: list[int] = []

    def take(number: int) -> None:
        with Lock(cache, "door"):
            order.append(number)

    lock = Lock(cache, "door")
    lock.acquire()
    waiters = []
    for number in range(4):
        waiters.append(Task(lambda number=number: take(number)))
        wait_until(lambda number=number: waiting(cache) == number + 1)
    lock.release()
    for waiter in waiters:
        waiter.finish()
    assert order == [0, 1, 2, 3]


def test_waiting_makes_no_attempts(path: str) -> None:
    with Counting(str(Path(path).parent / "cache")) as cache:
        for make in LOCKS.values():
            lock = make(cache, "door")
            lock.acquire()
            before = cache.transactions
            waiter = Task(lock.acquire)
            wait_until(lambda before=before: cache.transactions == before + 1)
            time.sleep(0.3)  # several looks
            assert cache.transactions == before + 1
            lock.release()
            waiter.finish()
            cache.clear()


def test_semaphore_admits_its_number(cache: Any) -> None:
    inside, most = [0], [0]
    gate = threading.Barrier(3)
    count = threading.Lock()

    def work() -> None:
        with BoundedSemaphore(cache, "door", value=3):  # once: waiting is not fair, and one could be left alone
            with count:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            gate.wait(60)  # three are inside at once
            with count:
                inside[0] -= 1

    workers = [Task(work) for _ in range(6)]
    for worker in workers:
        worker.finish()
    assert most == [3]
    assert cache["door"] == 3


def test_barrier_lets_one_call_run(each_cache: Any, make: Callable[..., Guarded]) -> None:
    cache = each_cache
    running = []

    @barrier(cache, make, name="door", expire=3600, tag="doors")
    def work(number: int) -> int:
        """Work."""
        running.append(number)
        assert len(running) == 1
        assert cache.get("door", tag=True)[1] == "doors"
        return running.pop()

    assert work.__doc__ == "Work."
    workers = [Task(lambda number=number: work(number)) for number in range(4)]
    assert [worker.finish() for worker in workers] == [0, 1, 2, 3]


# --- releasing -------------------------------------------------------------------------------------------------------


def test_any_thread_releases_a_lock(cache: Any) -> None:
    Lock(cache, "door").acquire()
    in_thread(Lock(cache, "door").release)
    assert not Lock(cache, "door").locked()
    in_thread(Lock(cache, "door").acquire)  # handed back and forth
    Lock(cache, "door").release()
    assert is_free(cache, Lock)


def test_release_of_a_free_lock_is_harmless(cache: Any) -> None:
    Lock(cache, "door").release()
    assert is_free(cache, Lock)


def test_release_of_what_is_not_held_is_an_error(cache: Any) -> None:
    lock, semaphore = RLock(cache, "rlock"), BoundedSemaphore(cache, "semaphore")
    for _ in range(2):
        with pytest.raises(AssertionError, match=r"^cannot release un-acquired lock$"):
            lock.release()
        with pytest.raises(AssertionError, match=r"^cannot release un-acquired semaphore$"):
            semaphore.release()
        with lock, semaphore:
            pass


def test_only_its_thread_releases_a_reentrant_lock(cache: Any) -> None:
    lock = RLock(cache, "door")
    with lock:
        with pytest.raises(AssertionError, match="un-acquired"):
            in_thread(lock.release)
        assert not is_free(cache, RLock)


def test_reentrant_lock_is_free_after_as_many_releases(cache: Any) -> None:
    lock = RLock(cache, "door")
    with lock:
        with RLock(cache, "door"), lock:
            pass
        assert not is_free(cache, RLock)
    assert is_free(cache, RLock)


def test_holder_takes_a_reentrant_lock_again_while_others_wait(cache: Any) -> None:
    lock = RLock(cache, "door")
    with lock:
        waiter = Task(lock.acquire)
        wait_until(lambda: waiting(cache))
        with lock:
            pass
    waiter.finish()


def test_deleted_key_frees_a_lock(cache: Any, make: Callable[..., Guarded]) -> None:
    lock = make(cache, "door", tag="doors")
    lock.acquire()
    waiter = Task(make(cache, "door", tag="doors").acquire)
    wait_until(lambda: waiting(cache))
    del cache["door"]
    waiter.finish()


def test_key_that_was_set_by_hand_keeps_a_lock(cache: Any) -> None:
    cache["door"] = None
    assert Lock(cache, "door").locked()
    waiter = Task(Lock(cache, "door").acquire)
    wait_until(lambda: waiting(cache))
    assert waiter.is_alive()
    del cache["door"]
    waiter.finish()


# --- the end of what holds -------------------------------------------------------------------------------------------


def test_lock_stays_with_its_process_when_its_thread_ends(cache: Any) -> None:
    in_thread(lambda: Lock(cache, "door").acquire())
    in_thread(lambda: BoundedSemaphore(cache, "permit").acquire())
    gc.collect()
    assert Lock(cache, "door").locked()
    assert cache["permit"] == 0
    Lock(cache, "door").release()
    BoundedSemaphore(cache, "permit").release()
    assert is_free(cache, Lock)


def test_reentrant_lock_ends_with_its_thread(cache: Any) -> None:
    over, taken = threading.Event(), threading.Event()

    def hold() -> None:
        RLock(cache, "door").acquire()
        taken.set()
        over.wait(60)

    holder = Task(hold)
    taken.wait(60)
    waiter = Task(lambda: RLock(cache, "door").acquire())
    wait_until(lambda: waiting(cache))
    over.set()
    holder.finish()
    waiter.finish()


def test_thread_with_the_number_of_one_that_ended_does_not_have_its_lock(cache: Any) -> None:
    cache["door"] = (f"{os.getpid()}-{threading.get_ident()}", 1)
    with pytest.raises(TransactionInProgress), cache.transact():
        RLock(cache, "door").acquire()


def test_lock_stays_taken_when_cache_and_lock_are_dropped(path: str, make: Callable[..., Guarded]) -> None:
    directory = str(Path(path).parent / "cache")
    with Cache(directory) as cache:
        make(cache, "door").acquire()
    del cache
    gc.collect()
    with Cache(directory) as again:
        assert not is_free(again, make)
        make(again, "door").release()
        assert is_free(again, make)


def test_lock_that_is_passed_on_by_pickle_is_the_same(cache: Any, make: Callable[..., Guarded]) -> None:
    lock = make(cache, "door")
    with lock:
        assert not is_free(pickle.loads(pickle.dumps(lock))._cache, make)
    copy = pickle.loads(pickle.dumps(lock))
    with copy:
        assert not is_free(cache, make)


# --- expiring --------------------------------------------------------------------------------------------------------


def test_lock_is_free_after_its_time(cache: Any, make: Callable[..., Guarded]) -> None:
    in_thread(make(cache, "door", expire=0.2).acquire)
    make(cache, "door").acquire()
    assert not is_free(cache, make)


def test_touched_lock_is_taken_for_longer(
    path: str, make: Callable[..., Guarded], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Counting(str(Path(path).parent / "cache")) as cache:
        lock = make(cache, "door", expire=600)
        lock.acquire()
        cache.touch("door", expire=3600)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 1000)
        waiter = Task(make(cache, "door").acquire)
        wait_until(lambda: cache.transactions == 2)  # the attempts of holder and waiter
        assert waiter.still_runs()
        assert cache.transactions == 2
        lock.release()
        waiter.finish()
        holds._process.begin()


def test_late_release_does_not_free_the_next_holder(cache: Any) -> None:
    late = Lock(cache, "door", expire=0.05)
    late.acquire()
    in_thread(Lock(cache, "door").acquire)
    late.release()
    assert Lock(cache, "door").locked()
    late.release()  # a second one means it
    assert not Lock(cache, "door").locked()


@pytest.mark.parametrize("make", [RLock, BoundedSemaphore])
def test_late_release_is_an_error(cache: Any, make: Callable[..., Guarded]) -> None:
    late = make(cache, "door", expire=0.05)
    late.acquire()
    wait_until(lambda: "door" not in cache)
    with pytest.raises(AssertionError, match="cannot release un-acquired"):
        late.release()


# --- transactions ----------------------------------------------------------------------------------------------------


def test_free_lock_is_taken_inside_a_transaction(each_cache: Any, make: Callable[..., Guarded]) -> None:
    cache = each_cache
    with cache.transact(retry=True):
        make(cache, "door").acquire()
    assert not is_free(cache, make)
    make(cache, "door").release()


def test_nobody_waits_inside_a_transaction(cache: Any) -> None:
    in_thread(Lock(cache, "lock").acquire)
    with cache.transact(retry=True):
        cache["other"] = 1
        with pytest.raises(TransactionInProgress, match="'lock' is not free"):
            Lock(cache, "lock").acquire()
    assert cache["other"] == 1


def test_undone_transaction_has_taken_and_released_nothing(cache: Any, make: Callable[..., Guarded]) -> None:
    lock = make(cache, "door")
    with pytest.raises(ZeroDivisionError), cache.transact(retry=True):
        lock.acquire()
        raise ZeroDivisionError
    assert is_free(cache, make)
    lock.acquire()
    with pytest.raises(ZeroDivisionError), cache.transact(retry=True):
        lock.release()
        raise ZeroDivisionError
    assert not is_free(cache, make)
    lock.release()
    assert is_free(cache, make)


# --- what is left behind ---------------------------------------------------------------------------------------------


def test_locks_that_expired_leave_nothing_behind(cache: Any, make: Callable[..., Guarded]) -> None:
    for number in range(3):
        make(cache, number, expire=0.05).acquire()
    wait_until(lambda: not any(number in cache for number in range(3)))
    with make(cache, "door", expire=3600):
        assert notes_in(cache) == [(True, "door")]
        assert lines_in(cache) == 1
    assert notes_in(cache) == []
    assert lines_in(cache) == 0


def notes_in(cache: Any) -> list[Any]:
    """The locks of which the cache has notes."""
    with coshelf.open(str(Path(cache.directory) / "cache.shelf")) as shelf:
        return list(shelf.sub("holders"))


def lines_in(cache: Any) -> int:
    """How many lines of the cache have holders."""
    with coshelf.open(str(Path(cache.directory) / "cache.shelf")) as shelf:
        return len(list(shelf._handle.engine.turns().lines()))
