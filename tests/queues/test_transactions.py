"""Queues and deques inside transactions of the shelf."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

import coshelf
from coshelf.errors import TransactionInProgress

Shelf = coshelf.Shelf[Any, Any]
LONG = 60.0


def test_result_and_end_of_a_job_are_one_commit(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put(6)
    with jobs.take() as job, shelf.transaction() as transaction:
        transaction["result"] = job * job
        jobs.done()
    assert shelf["result"] == 36
    jobs.join(timeout=0)


def test_a_transaction_that_fails_leaves_the_job_undone(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put(6)
    with pytest.raises(ZeroDivisionError), jobs.take(), shelf.transaction() as transaction:
        transaction["result"] = 1
        jobs.done()
        1 / 0
    assert ("result" in shelf, jobs.get_nowait()) == (False, 6)


def test_a_job_ends_with_its_block_though_the_transaction_of_its_end_failed(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put(6)
    with jobs.take():
        try:
            with shelf.transaction():
                jobs.done()
                raise KeyError
        except KeyError:
            pass
    jobs.join(timeout=0)
    assert len(jobs) == 0


def test_puts_are_seen_after_the_commit_alone(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    with shelf.transaction():
        jobs.put("a")
        jobs.put_many(["b", "c" * 40_000])
        assert (len(jobs), jobs.peek()) == (3, "a")
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.append(len(jobs)))
        thread.start()
        thread.join(LONG)
        assert seen == [0]
    assert [jobs.get_nowait() for _ in range(3)] == ["a", "b", "c" * 40_000]


def test_puts_of_a_transaction_that_fails_are_gone(shelf: Shelf) -> None:
    jobs, recent = shelf.queue("jobs"), shelf.deque("recent")
    with pytest.raises(KeyError), shelf.transaction():
        jobs.put("a")
        recent.append("a")
        raise KeyError
    assert (len(jobs), len(recent)) == (0, 0)
    jobs.put("b")
    assert jobs.get_nowait() == "b"


def test_a_waiting_taker_is_woken_after_the_commit(shelf: Shelf) -> None:
    jobs, got = shelf.queue("jobs"), list[Any]()
    taking = threading.Thread(target=lambda: got.append((jobs.get(timeout=LONG), shelf.get("a"))))
    taking.start()
    with shelf.transaction() as transaction:
        jobs.put("x")
        transaction["a"] = 1
    taking.join(LONG)
    assert got == [("x", 1)]


def test_gets_and_takes_of_a_transaction_that_fails_are_undone(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put_many("abc")
    with pytest.raises(KeyError), shelf.transaction():
        assert jobs.get() == "a"
        with jobs.take() as job:
            assert job == "b"
        raise KeyError
    taking = jobs.take()
    with taking as job:
        assert (job, taking.attempt) == ("a", 1)
    assert [jobs.get_nowait(), jobs.get_nowait()] == ["b", "c"]


def test_a_take_inside_a_transaction_is_done_with_it(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put_many("ab")
    with shelf.transaction() as transaction:
        with jobs.take() as job:
            transaction["took"] = job
        with pytest.raises(KeyError), jobs.take():
            raise KeyError
    assert (shelf["took"], jobs.get_nowait(), len(jobs)) == ("a", "b", 0)
    jobs.join(timeout=0)


def test_nothing_waits_inside_a_transaction(shelf: Shelf) -> None:
    jobs, small = shelf.queue("jobs"), shelf.queue("small", maxsize=1)
    with shelf.transaction():
        with pytest.raises(queue.Empty):
            jobs.get()
        small.put(1)
        with pytest.raises(queue.Full):
            small.put(2)
        with pytest.raises(TransactionInProgress, match="join"):
            jobs.join()
    assert len(small) == 1


def test_a_put_in_modify_is_part_of_its_commit(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")

    def count(number: int) -> int:
        jobs.put(number)
        return number + 1

    shelf.modify("count", count, default=0)
    assert (shelf["count"], jobs.get_nowait(), len(jobs)) == (1, 0, 0)

    def fail(number: int) -> int:
        jobs.put(number)
        raise KeyError

    with pytest.raises(KeyError):
        shelf.modify("count", fail)
    assert len(jobs) == 0


def test_items_move_between_queues_and_deques_in_one_commit(shelf: Shelf) -> None:
    old, new, recent = shelf.queue("old"), shelf.queue("new"), shelf.deque("recent", maxlen=2)
    old.put_many(range(4))
    with shelf.transaction():
        while not old.empty():
            item = old.get()
            new.put(item)
            recent.append(item)
        assert list(recent) == [2, 3]
    assert ([new.get_nowait() for _ in range(4)], list(recent)) == ([0, 1, 2, 3], [2, 3])
