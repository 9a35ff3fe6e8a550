"""What a queue does in one process, on every engine."""

from __future__ import annotations

import itertools
import queue
import threading
from typing import Any

import pytest

import coshelf
from coshelf.contract import QUEUES
from coshelf.errors import InvalidKey, ShelfClosed, TurnLost, UnwritableValue, WaitTimeout
from coshelf.testing.moving_clock import MovingClock

Shelf = coshelf.Shelf[Any, Any]
LONG = 60.0  # seconds


def rows(shelf: Shelf) -> list[bytes]:
    """The keys of the rows of items."""
    found = [row for row, _ in shelf.engine_for("test").scan(*QUEUES, keys_only=True)]
    return [row for row in found if not row.endswith(b"N")]  # one row of a queue has no item


# --- order -----------------------------------------------------------------------------------------------------------


def test_items_come_in_the_order_of_their_puts(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    for number in range(20):
        jobs.put(number)
    assert [jobs.get() for _ in range(20)] == list(range(20))
    assert rows(shelf) == []


def test_smaller_priorities_come_first_and_equal_ones_in_order(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    for priority in (3, -1.5, 0, 10**12, 3, -(10**12), 0.25):
        jobs.put(priority, priority=priority)
    assert [jobs.get() for _ in range(7)] == [-(10**12), -1.5, 0, 0.25, 3, 3, 10**12]


def test_many_items_of_one_call_keep_their_order(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put_many([])
    jobs.put_many(range(50))
    jobs.put_many("ab", priority=-1)
    assert [jobs.get() for _ in range(52)] == ["a", "b", *range(50)]


def test_an_item_that_comes_back_keeps_its_place(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put_many("abc")
    with pytest.raises(ZeroDivisionError), jobs.take():
        1 / 0
    assert [jobs.get(), jobs.get(), jobs.get()] == ["a", "b", "c"]


def test_the_order_goes_on_after_the_clock_of_another_boot(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    from coshelf.coordination import numbers
    from coshelf.system.processes.identity import Process

    shelf.queue("jobs").put_many("ab")
    monkeypatch.setattr(numbers.time, "monotonic_ns", itertools.count(5).__next__)
    monkeypatch.setattr(numbers, "this_process", lambda: Process("the next boot", 1, 2, 3))
    jobs = shelf.queue("jobs")
    jobs.put("c")
    shelf.queue("jobs").put("d")
    assert [jobs.get() for _ in range(4)] == list("abcd")


# --- what the standard library's queue does --------------------------------------------------------------------------


def test_an_empty_queue_raises_what_the_standard_library_raises(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    for call in (jobs.get_nowait, jobs.peek, lambda: jobs.get(timeout=0), lambda: jobs.get(timeout=0.01)):
        with pytest.raises(queue.Empty, match="'jobs' has no item"):
            call()
    with pytest.raises(queue.Empty), jobs.take(block=False):
        pass


def test_sizes_count_what_can_be_taken_and_what_is_delayed(shelf: Shelf, clock: MovingClock) -> None:
    jobs = shelf.queue("jobs", maxsize=3)
    assert (len(jobs), jobs.empty(), jobs.full(), bool(jobs)) == (0, True, False, True)
    jobs.put_many("ab")
    jobs.put("later", delay=10)
    assert (jobs.qsize(), jobs.empty(), jobs.full()) == (3, False, True)
    with jobs.take():
        assert len(jobs) == 2
    assert len(jobs) == 2


def test_peek_leaves_the_item(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put_many([[1], 2])
    assert (jobs.peek(), jobs.peek(), len(jobs), jobs.get()) == ([1], [1], 2, [1])


def test_a_full_queue_refuses_and_waits(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs", maxsize=2)
    jobs.put_many("ab")
    for call in (lambda: jobs.put_nowait("c"), lambda: jobs.put("c", timeout=0.01)):
        with pytest.raises(queue.Full, match="has 2 items, its maxsize"):
            call()
    with pytest.raises(queue.Full, match="never fit"):
        jobs.put_many("abc")
    putting = threading.Thread(target=jobs.put, args=("c",), kwargs={"timeout": LONG})
    putting.start()
    assert jobs.get() == "a"
    putting.join(LONG)
    assert [jobs.get(), jobs.get()] == ["b", "c"]


def test_a_waiting_get_has_the_item_of_a_later_put(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    got: list[object] = []
    taking = threading.Thread(target=lambda: got.append(jobs.get(timeout=LONG)))
    taking.start()
    jobs.put("a")
    taking.join(LONG)
    assert got == ["a"]


def test_each_item_goes_to_one_of_many_threads(shelf: Shelf) -> None:
    jobs, got, threads = shelf.queue("jobs"), list[int](), list[threading.Thread]()

    def work(number: int) -> None:
        while (item := jobs.get(timeout=LONG)) is not None:
            got.append(item)

    for number in range(4):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
    for number in range(60):
        jobs.put(number)
    for _ in threads:
        jobs.put(None, priority=1)
    for thread in threads:
        thread.join(LONG)
    assert sorted(got) == list(range(60))
    assert rows(shelf) == []


def test_clear_leaves_what_is_taken_and_what_has_failed(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs", attempts=1)
    jobs.put_many(["fails", "taken", "waits", "x" * 40_000])
    jobs.put("later", delay=100)
    with pytest.raises(KeyError), jobs.take():
        raise KeyError
    with jobs.take() as job:
        jobs.clear()
        assert (job, len(jobs), len(jobs.failed)) == ("taken", 0, 1)
    jobs.failed.clear()
    assert rows(shelf) == []


# --- taking ----------------------------------------------------------------------------------------------------------


def test_take_is_done_at_the_end_of_the_block(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put("a")
    taking = jobs.take()
    with taking as job:
        assert (job, taking.attempt, len(jobs)) == ("a", 1, 0)
        with pytest.raises(queue.Empty):
            jobs.get_nowait()
    assert rows(shelf) == []
    with pytest.raises(RuntimeError, match="no item is taken now"):
        _ = taking.attempt


def test_an_item_fails_after_its_attempts_and_can_be_tried_again(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs", attempts=2)
    jobs.put(["bad"])
    for attempt in (1, 2):
        taking = jobs.take()
        with pytest.raises(ValueError, match="broken"), taking:
            assert taking.attempt == attempt
            raise ValueError("broken")
    assert len(jobs) == 0
    assert [(item.value, item.error, item.attempts) for item in jobs.failed] == [(["bad"], "ValueError: broken", 2)]
    jobs.join(timeout=LONG)  # what has failed counts as done
    assert jobs.failed.retry() == 1
    taking = jobs.take()
    with taking as job:
        assert (job, taking.attempt, len(jobs.failed)) == (["bad"], 1, 0)


def test_without_a_limit_an_item_never_fails(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs", attempts=None)
    jobs.put("a")
    for _ in range(12):
        with pytest.raises(KeyError), jobs.take():
            raise KeyError
    assert (len(jobs), len(jobs.failed)) == (1, 0)


def test_done_ends_the_item_before_the_block(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put("a")
    with pytest.raises(ZeroDivisionError), jobs.take():
        jobs.done()
        jobs.done()
        1 / 0
    assert rows(shelf) == []
    with pytest.raises(RuntimeError, match="inside of a block"):
        jobs.done()


def test_a_lease_that_ends_gives_the_item_to_another_taker(shelf: Shelf, clock: MovingClock) -> None:
    jobs = shelf.queue("jobs")
    jobs.put("a")
    slow, quick = jobs.take(lease=10), jobs.take(timeout=LONG)
    with pytest.raises(TurnLost, match="was not done in time"), slow:
        clock.pass_by(9)
        slow.extend(5)
        clock.pass_by(4)
        with pytest.raises(queue.Empty):
            jobs.get(timeout=0)
        clock.pass_by(2)
        with quick as job:
            assert (job, quick.attempt) == ("a", 2)
    assert rows(shelf) == []


def test_blocks_of_one_queue_can_be_nested(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put_many("ab")
    with jobs.take() as first, jobs.take() as second:
        assert (first, second) == ("a", "b")
        jobs.done()
        assert len(rows(shelf)) == 1
    assert rows(shelf) == []


def test_join_waits_for_what_is_taken(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.join(timeout=0)
    jobs.put("a")
    with pytest.raises(WaitTimeout, match="still had items"):
        jobs.join(timeout=0.01)
    is_joined = threading.Event()

    def join() -> None:
        jobs.join(timeout=LONG)
        is_joined.set()

    with jobs.take():
        with pytest.raises(WaitTimeout):
            jobs.join(timeout=0.01)
        joining = threading.Thread(target=join)
        joining.start()
        assert not is_joined.is_set()
    joining.join(LONG)
    assert is_joined.is_set()


# --- delays ----------------------------------------------------------------------------------------------------------


def test_a_delayed_item_comes_when_its_time_has_come(shelf: Shelf, clock: MovingClock) -> None:
    jobs = shelf.queue("jobs")
    jobs.put("late", delay=100)
    jobs.put("soon", delay=0.5)
    jobs.put("urgent", delay=100, priority=-1)
    with pytest.raises(queue.Empty):
        jobs.get_nowait()
    clock.pass_by(1)
    assert jobs.get_nowait() == "soon"
    with pytest.raises(queue.Empty):
        jobs.peek()
    clock.pass_by(100)
    jobs.put("now")
    assert [jobs.get_nowait() for _ in range(3)] == ["urgent", "late", "now"]


def test_a_taker_that_waits_has_a_delayed_item_in_time(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    jobs.put("a", delay=0.05)
    assert jobs.get(timeout=LONG) == "a"


# --- names and input -------------------------------------------------------------------------------------------------


def test_names_are_separate_and_belong_to_the_namespace(shelf: Shelf) -> None:
    names = ["jobs", "jobs2", "job", "größe/\0x", "仕事", "\ud800"]
    for name in names:
        shelf.queue(name).put(name)
    assert shelf.sub("sub").queue("jobs").empty()
    shelf.sub("sub").queue("jobs").put("of the sub")
    assert [shelf.queue(name).get_nowait() for name in names] == names
    assert shelf.queue("sub/jobs").get_nowait() == "of the sub"


def test_items_are_no_entries(shelf: Shelf) -> None:
    shelf["a"] = 1
    shelf.queue("jobs").put("x")
    assert (dict(shelf), len(shelf)) == ({"a": 1}, 1)
    shelf.clear()
    assert shelf.queue("jobs").get_nowait() == "x"


def test_impossible_arguments_are_refused_and_nothing_is_stored(shelf: Shelf) -> None:
    jobs = shelf.queue("jobs")
    refused: list[tuple[type[Exception], Any]] = [
        (TypeError, lambda: shelf.queue(3)),  # type: ignore[arg-type]
        (ValueError, lambda: shelf.queue("")),
        (InvalidKey, lambda: shelf.queue("x" * 300)),
        (TypeError, lambda: shelf.queue("a", maxsize=1.5)),  # type: ignore[arg-type]
        (ValueError, lambda: shelf.queue("a", attempts=0)),
        (TypeError, lambda: jobs.put(1, priority="high")),  # type: ignore[arg-type]
        (InvalidKey, lambda: jobs.put(1, priority=float("nan"))),
        (ValueError, lambda: jobs.put(1, priority=1 << 2000)),
        (ValueError, lambda: jobs.put(1, delay=-1)),
        (ValueError, lambda: jobs.put(1, delay=float("nan"))),
        (TypeError, lambda: jobs.put(1, delay="soon")),  # type: ignore[arg-type]
        (ValueError, lambda: jobs.get(timeout=-1)),
        (UnwritableValue, lambda: jobs.put(lambda: None)),
        (UnwritableValue, lambda: jobs.put_many([1, lambda: None])),
    ]
    for error, call in refused:
        with pytest.raises(error):
            call()
    assert rows(shelf) == []


def test_a_closed_shelf_refuses_its_queues(target: Any) -> None:
    shelf = coshelf.open(target)
    jobs = shelf.queue("jobs")
    jobs.put(1)
    shelf.close()
    for call in (lambda: shelf.queue("jobs"), lambda: jobs.put(2), jobs.get, jobs.peek, lambda: len(jobs)):
        with pytest.raises(ShelfClosed):
            call()


@pytest.mark.parametrize("target", ["lmdb", "mapping", "sqlite", "files"], indirect=True)
def test_a_new_shelf_has_no_items(shelf: Shelf, target: Any) -> None:
    shelf.queue("jobs").put_many(["a", "x" * 40_000])
    shelf.deque("recent").append("b")
    with coshelf.open(target, "n") as again:
        assert (len(again.queue("jobs")), len(again.deque("recent"))) == (0, 0)
