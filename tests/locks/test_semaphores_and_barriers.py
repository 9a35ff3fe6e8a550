"""Semaphores and barriers: as locks, but for several at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from lock_talk import in_thread, wait_until

import coshelf
from coshelf.errors import ShelfClosed, TurnHeld, TurnNotHeld, TurnTimeout
from coshelf.testing.contract.task import Task

Shelf = coshelf.Shelf[Any, Any]


def test_as_many_as_permitted_are_inside_at_once(shelf: Shelf) -> None:
    inside, most, lock = [0], [0], threading.Lock()

    def work() -> None:
        for _ in range(50):
            with shelf.semaphore("gpu", 2):
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                with lock:
                    inside[0] -= 1

    for task in [Task(work) for _ in range(5)]:
        task.finish()
    assert most[0] <= 2
    assert inside == [0]


def test_semaphore_can_stand_for_one_of_threading(shelf: Shelf) -> None:
    gpus = shelf.semaphore("gpu", 2)
    assert gpus.acquire()
    assert not gpus.locked()
    assert gpus.acquire(timeout=0)
    assert gpus.locked()
    assert gpus.acquire(blocking=False) is False
    assert in_thread(lambda: gpus.acquire(timeout=0.01)) is False
    gpus.release()
    assert not gpus.locked()
    gpus.release()
    with pytest.raises(TurnNotHeld):
        gpus.release()


def test_tokens_of_permits_differ(shelf: Shelf) -> None:
    with shelf.semaphore("gpu", 2) as first, shelf.semaphore("gpu", 2) as second:
        assert second.token > first.token
        first.release()
        assert second.held
        assert not first.held
        assert in_thread(lambda: bool(shelf.semaphore("gpu", 2).acquire())) is True
        assert shelf.semaphore("gpu", 2).acquire()  # the two blocks give two back


def test_who_has_all_permits_would_wait_for_itself(shelf: Shelf) -> None:
    gpus = shelf.semaphore("gpu", 2)
    with gpus, gpus:
        with pytest.raises(TurnHeld, match="all 2 permits"), gpus:
            pass
        assert len(gpus.holders()) == 2
    assert gpus.holders() == ()


@pytest.mark.parametrize(
    ("number", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError), (True, TypeError)]
)
def test_impossible_numbers_are_refused(shelf: Shelf, number: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="permits"):
        shelf.semaphore("gpu", number)
    with pytest.raises(error, match="parties"):
        shelf.barrier("start", number)


def test_barrier_lets_all_parties_go_together(shelf: Shelf) -> None:
    for _ in range(3):
        tasks = [Task(lambda: shelf.barrier("start", 3).wait()) for _ in range(2)]
        wait_until(lambda: shelf.barrier("start", 3).n_waiting == 2)
        assert all(task.is_alive() for task in tasks)
        numbers = [shelf.barrier("start", 3).wait(), *(task.finish() for task in tasks)]
        assert len(set(numbers)) == 3


def test_party_that_gave_up_does_not_count(shelf: Shelf) -> None:
    with pytest.raises(TurnTimeout, match="barrier 'start'"):
        shelf.barrier("start", 2, timeout=0.01).wait()
    with pytest.raises(TurnTimeout):
        shelf.barrier("start", 2).wait(timeout=0.01)
    assert shelf.barrier("start", 2).n_waiting == 0
    task = Task(lambda: shelf.barrier("start", 2).wait())
    wait_until(lambda: shelf.barrier("start", 2).n_waiting == 1)
    assert shelf.barrier("start", 2).wait() > 0
    task.finish()


def test_closing_ends_the_wait_at_a_barrier(shelf: Shelf) -> None:
    task = Task(lambda: shelf.barrier("start", 2).wait())
    wait_until(lambda: shelf.barrier("start", 2).n_waiting == 1)
    shelf.close()
    with pytest.raises(ShelfClosed):
        task.finish()
