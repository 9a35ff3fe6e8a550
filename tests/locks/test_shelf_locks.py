"""Locks: who has one, who waits, and what is refused."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

import pytest
from lock_talk import in_thread, try_lock, wait_until

import coshelf
from coshelf.errors import ReadOnlyShelf, ShelfClosed, TransactionInProgress, TurnHeld, TurnNotHeld, TurnTimeout
from coshelf.testing.contract.task import PATIENCE, Task

Shelf = coshelf.Shelf[Any, Any]


def test_block_has_the_lock(shelf: Shelf) -> None:
    with shelf.lock("door") as turn:
        assert turn.held
        assert not turn.lost
        assert turn.token > 0
        assert not try_lock(shelf)
    assert not turn.held
    assert try_lock(shelf)


def test_lock_can_stand_for_one_of_threading(shelf: Shelf) -> None:
    lock = shelf.lock("door")
    assert not lock.locked()
    assert lock.acquire()
    assert lock.locked()
    assert lock.acquire(False) is False
    assert in_thread(lambda: lock.acquire(timeout=0.01)) is False
    lock.release()
    assert not lock.locked()
    with pytest.raises(RuntimeError):
        lock.release()


def test_condition_of_threading_works_over_it(shelf: Shelf) -> None:
    condition, said = threading.Condition(shelf.lock("door")), []  # type: ignore[arg-type]

    def answer() -> None:
        with condition:
            said.append("here")
            condition.notify()

    with condition:
        task = Task(answer)
        assert condition.wait_for(lambda: said == ["here"], PATIENCE)
    task.finish()


@pytest.mark.parametrize("name", ["door", "", "a/b", "\udc80", 0, 1.5, None, True, ("a", 1), b"\x00", 5000 * "long"])
def test_any_key_is_a_name(shelf: Shelf, name: Any) -> None:
    with shelf.lock(name):
        assert not try_lock(shelf, name)
        assert try_lock(shelf, "another")


def test_long_names_with_one_beginning_are_apart(shelf: Shelf) -> None:
    with shelf.lock(5000 * "a"):
        assert try_lock(shelf, 5001 * "a")
        assert not try_lock(shelf, 5000 * "a")


def test_what_is_no_key_is_no_name(shelf: Shelf) -> None:
    with pytest.raises(coshelf.InvalidKey):
        shelf.lock(["door"])


def test_sub_has_names_of_its_own(shelf: Shelf) -> None:
    with shelf.sub("users").lock("ann"):
        assert try_lock(shelf, "ann")
        assert not try_lock(shelf, "users/ann")
        assert not try_lock(shelf.sub("users"), "ann")


def test_lock_semaphore_and_barrier_of_one_name_are_apart(shelf: Shelf) -> None:
    with shelf.lock("x"), shelf.semaphore("x", 1):
        assert shelf.barrier("x", 1).wait(timeout=0) > 0


def test_locks_are_no_entries(shelf: Shelf) -> None:
    with shelf.lock("door"):
        assert list(shelf) == []
        assert len(shelf) == 0


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_waiters_get_the_lock_in_order_of_arrival(shelf: Shelf) -> None:
    order: list[int] = []

    def work(number: int) -> None:
        with shelf.lock("door"):
            order.append(number)

    lock = shelf.lock("door")
    with lock:
        tasks = []
        for number in range(5):
            tasks.append(Task(lambda number=number: work(number)))
            wait_until(lambda number=number: len(lock.waiting()) == number + 1)
    for task in tasks:
        task.finish()
    assert order == list(range(5))


def test_error_names_the_holder(shelf: Shelf) -> None:
    def attempt() -> None:
        with shelf.lock("door", timeout=0.01):
            pass

    with shelf.lock("door") as turn:
        with pytest.raises(TurnTimeout) as raised:
            in_thread(attempt)
        (holder,) = raised.value.holders
        assert (holder.token, holder.task) == (turn.token, threading.current_thread().name)
        text = str(raised.value)
        for part in ("'door'", shelf.name, f"pid {holder.pid}", holder.host, holder.program, holder.task, "waited 0.0"):
            assert part in text
    assert isinstance(raised.value, TimeoutError)
    assert shelf.lock("door").waiting() == ()


def test_timeout_of_zero_takes_a_free_lock(shelf: Shelf) -> None:
    with shelf.lock("door", timeout=0) as turn:
        assert turn.held


def test_timeout_of_acquire_takes_precedence(shelf: Shelf) -> None:
    lock = shelf.lock("door", timeout=3600)
    with shelf.lock("door"):
        assert in_thread(lambda: lock.acquire(timeout=0.01)) is False


@pytest.mark.parametrize("timeout", [-2, float("nan")])
def test_bad_timeouts_are_refused(shelf: Shelf, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        shelf.lock("door").acquire(timeout=timeout)
    with shelf.lock("door"), pytest.raises(ValueError, match="timeout"):
        in_thread(shelf.lock("door", timeout=timeout).__enter__)
    assert not shelf.lock("door").locked()
    with pytest.raises(ValueError, match="timeout"):
        shelf.lock("door").acquire(blocking=False, timeout=1)


def test_turn_goes_on_after_a_wait_in_vain(shelf: Shelf) -> None:
    lock = shelf.lock("door")
    with lock:
        assert in_thread(lambda: lock.acquire(timeout=0.01)) is False
        patient = Task(lambda: bool(lock.acquire()))
        assert patient.still_runs()
    assert patient.finish() is True


def test_many_threads_count_without_losing_one(shelf: Shelf) -> None:
    counts = {"count": 0}

    def work() -> None:
        for _ in range(100):
            with shelf.lock("door"):
                before = counts["count"]
                time.sleep(0)
                counts["count"] = before + 1

    for task in [Task(work) for _ in range(4)]:
        task.finish()
    assert counts["count"] == 400


# --- one's own turn --------------------------------------------------------------------------------------------------


def test_who_would_wait_for_itself_is_told_at_once(shelf: Shelf) -> None:
    with shelf.lock("door") as turn:
        with pytest.raises(TurnHeld, match="reentrant=True"), shelf.lock("door"):
            pass
        with pytest.raises(TurnHeld):
            shelf.lock("door").acquire(timeout=1)
        assert shelf.lock("door").acquire(blocking=False) is False
        assert turn.held
    assert try_lock(shelf)


def test_reentrant_lock_is_given_back_as_often_as_it_was_taken(shelf: Shelf) -> None:
    lock = shelf.lock("door", reentrant=True)
    with lock as first:
        with shelf.lock("door", reentrant=True) as second:
            assert second is first
            assert lock.acquire() is first
            lock.release()
            assert not try_lock(shelf)
        assert first.held
        assert not try_lock(shelf)
    assert not first.held
    assert try_lock(shelf)
    with pytest.raises(TurnNotHeld):
        lock.release()


def test_reentrant_lock_is_one_of_one_thread(shelf: Shelf) -> None:
    with shelf.lock("door", reentrant=True):
        assert in_thread(lambda: shelf.lock("door", reentrant=True).acquire(timeout=0.01)) is False


def test_another_thread_cannot_release(shelf: Shelf) -> None:
    with shelf.lock("door") as turn:
        with pytest.raises(TurnNotHeld, match=threading.current_thread().name):
            in_thread(shelf.lock("door").release)
        assert turn.held


def test_turn_can_be_handed_to_another_thread(shelf: Shelf) -> None:
    turn = shelf.lock("door").acquire()
    assert turn
    in_thread(turn.release)
    assert not turn.held
    assert try_lock(shelf)
    with pytest.raises(TurnNotHeld, match="already"):
        turn.release()


def test_block_whose_turn_was_given_back_says_so(shelf: Shelf) -> None:
    with pytest.raises(TurnNotHeld), shelf.lock("door") as turn:
        turn.release()
    with pytest.raises(ZeroDivisionError), shelf.lock("door") as turn:
        turn.release()
        raise ZeroDivisionError
    assert try_lock(shelf)


def test_exception_in_the_block_gives_the_lock_back(shelf: Shelf) -> None:
    with pytest.raises(ZeroDivisionError), shelf.lock("door"):
        raise ZeroDivisionError
    assert try_lock(shelf)


def test_lock_of_another_object_is_the_same(shelf: Shelf) -> None:
    shelf.lock("door").acquire()
    with pytest.raises(TurnHeld):
        shelf.lock("door").acquire()
    shelf.lock("door").release()
    assert try_lock(shelf)


# --- transactions ----------------------------------------------------------------------------------------------------


def test_locks_are_taken_before_transactions_and_not_inside(shelf: Shelf) -> None:
    """The holder may need to write before it gives the lock back. So the wait would never end."""
    with shelf.lock("door"), shelf.transaction() as transaction:
        transaction["a"] = 1
    with shelf.transaction() as transaction:
        for take in (shelf.lock("door").__enter__, shelf.lock("door").acquire, shelf.semaphore("gpu", 2).acquire):
            with pytest.raises(TransactionInProgress, match="take the lock first"):
                take()
        with pytest.raises(TransactionInProgress):
            shelf.lock("door").acquire(blocking=False)
        with pytest.raises(TransactionInProgress):
            shelf.barrier("start", 1).wait()
        transaction["b"] = 2
    shelf["list"] = []
    with pytest.raises(TransactionInProgress), shelf.edit("list"), shelf.lock("door"):
        pass
    assert not shelf.lock("door").locked()
    assert (shelf["a"], shelf["b"]) == (1, 2)


def test_lock_can_be_given_back_inside_a_transaction(shelf: Shelf) -> None:
    lock = shelf.lock("door")
    lock.acquire()
    with shelf.transaction() as transaction:
        lock.release()
        assert try_lock(shelf)
        transaction["a"] = 1
    assert shelf["a"] == 1


# --- the shelf -------------------------------------------------------------------------------------------------------


def test_closing_gives_the_locks_back_and_ends_the_waits(shelf: Shelf) -> None:
    lock = shelf.lock("door")
    with lock as turn:
        waiter = Task(lock.acquire)
        assert waiter.still_runs()
        shelf.close()
        assert not turn.held
        assert not turn.lost
        with pytest.raises(ShelfClosed):
            waiter.finish()
    with pytest.raises(ShelfClosed):
        lock.acquire()
    with pytest.raises(ShelfClosed):
        shelf.lock("door")


def test_lock_keeps_its_shelf_open(url: str) -> None:
    lock = coshelf.open(url).lock("door")
    with lock as turn:
        assert turn.held


def test_shelf_for_reading_has_no_locks(tmp_path: Any) -> None:
    path = tmp_path / "a.shelf"
    coshelf.open(path).close()
    with coshelf.open(path, "r") as shelf:
        for make in (shelf.lock, lambda name: shelf.semaphore(name, 1), lambda name: shelf.barrier(name, 1)):
            with pytest.raises(ReadOnlyShelf, match="flag 'r'"):
                make("door")


@pytest.mark.parametrize(("timeout", "error"), [("soon", TypeError), (-1, ValueError), (float("nan"), ValueError)])
def test_timeout_that_cannot_be_is_refused_though_nobody_waits(shelf: Shelf, timeout: Any, error: type) -> None:
    for make in (shelf.lock, partial(shelf.semaphore, permits=1), partial(shelf.barrier, parties=1)):
        with pytest.raises(error, match="a timeout is"):
            make("door", timeout=timeout)
    assert not shelf.lock("door").locked()
