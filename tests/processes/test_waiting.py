"""wait(): wakes when another process sets the key, is never missed, sleeps meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support import INTERRUPTIBLE, Crew

import coshelf
from coshelf.errors import WaitTimeout

SCRIPTS = Path(__file__).parent / "scripts" / "waiting"


def test_many_waiters_wake_when_another_process_sets_the_key(crew: Crew, path: str) -> None:
    waiters = [
        crew.start(
            SCRIPTS / "waits.py",
            path,
        )
        for _ in range(8)
    ]
    for waiter in waiters:
        waiter.expect("ready")
    with coshelf.open(path) as shelf:
        for number in range(20):
            shelf["other", number] = number  # wakes them all, for nothing
        shelf["it"] = "here"
        for waiter in waiters:
            assert waiter.finish() == ["here"]


def test_wait_returns_at_once_what_is_there(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["it"] = 1
        assert shelf.wait("it", timeout=0) == 1


def test_wait_times_out_and_says_for_what(path: str) -> None:
    with coshelf.open(path) as shelf:
        with pytest.raises(WaitTimeout, match="'it'"):
            shelf.wait("it", timeout=0.01)
        with pytest.raises(WaitTimeout):
            shelf.wait("it", timeout=0)
        assert dict(shelf) == {}


PING_PONG = SCRIPTS / "ping_pong.py"


def test_no_wake_is_missed_in_two_thousand_rounds_of_ping_pong(crew: Crew, path: str) -> None:
    players = [crew.start(PING_PONG, path, "ping", "pong", 2000), crew.start(PING_PONG, path, "pong", "ping", 2000)]
    for player in players:
        player.finish()
    with coshelf.open(path) as shelf:
        assert len(shelf) == 4000


def test_no_wake_is_missed_among_other_writers(crew: Crew, path: str) -> None:
    others = crew.start_many(
        2,
        SCRIPTS / "noise.py",
        path,
    )
    players = [crew.start(PING_PONG, path, "ping", "pong", 300), crew.start(PING_PONG, path, "pong", "ping", 300)]
    for worker in players + others:
        worker.finish()


def test_a_waiter_looks_only_when_something_was_written(crew: Crew, path: str) -> None:
    waiter = crew.start(
        SCRIPTS / "counts_its_sleeps.py",
        path,
    )
    waiter.expect("ready")
    with coshelf.open(path) as shelf:
        for _ in range(5):
            shelf["other"] = 1
        shelf["it"] = 1
        # One sleep for each commit at most, and the one that was under way.
        assert int(waiter.finish()[0]) <= 7


def test_wait_in_a_sub_and_from_a_thread_of_the_same_process(path: str) -> None:
    with coshelf.open(path) as shelf:
        sub = shelf.sub("jobs")
        got: list[object] = []
        thread = threading.Thread(target=lambda: got.append(sub.wait("one")))
        thread.start()
        shelf["jobs/one"] = "done"
        thread.join()
        assert got == ["done"]


def test_a_transaction_wakes_waiters_when_it_is_committed(crew: Crew, path: str) -> None:
    waiter = crew.start(
        SCRIPTS / "waits_for_a_transaction.py",
        path,
    )
    waiter.expect("ready")
    with coshelf.open(path) as shelf:
        with shelf.transaction() as t:
            t["it"] = 1
            t["with"] = 2
        waiter.finish()


def test_ctrl_c_ends_a_wait_and_the_shelf_works_on(crew: Crew, path: str) -> None:
    # Not a patient one: a signal that comes between Python's last look for one and the system call that sleeps is
    # noticed at the next look, a second later.
    waiter = crew.start(
        SCRIPTS / "interrupted_waits.py",
        path,
        options=INTERRUPTIBLE,
    )
    for _ in range(20):
        waiter.expect("waiting")
        waiter.interrupt()
        waiter.expect("interrupted")
    waiter.finish()


def test_closing_the_shelf_ends_a_wait_in_another_thread(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "closed_while_waiting.py",
        path,
    ) == ["closed"]
