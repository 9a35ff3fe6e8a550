"""wait(): wakes when another process sets the key, is never missed, sleeps meanwhile."""

from __future__ import annotations

import threading

import pytest
from support import Crew

import coshelf
from coshelf.errors import WaitTimeout

# Without the look that a wait takes every second in any case, a wake that is missed is a test that hangs.
PATIENT = """
import coshelf.mapping.shelf
assert coshelf.mapping.shelf._LONGEST_SLEEP
coshelf.mapping.shelf._LONGEST_SLEEP = 1000.0
"""


def test_many_waiters_wake_when_another_process_sets_the_key(crew: Crew, path: str) -> None:
    waiters = [
        crew.start(
            PATIENT
            + """
with coshelf.open(path) as shelf:
    say("ready")
    say(shelf.wait("it"))
""",
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


PING_PONG = (
    PATIENT
    + """
mine, yours = sys.argv[2:4]
with coshelf.open(path) as shelf:
    for turn in range(2000):
        if mine == "ping":
            shelf[mine, turn] = turn
        assert shelf.wait((yours, turn)) == turn
        if mine == "pong":
            shelf[mine, turn] = turn
"""
)


def test_no_wake_is_missed_in_two_thousand_rounds_of_ping_pong(crew: Crew, path: str) -> None:
    players = [crew.start(PING_PONG, path, "ping", "pong"), crew.start(PING_PONG, path, "pong", "ping")]
    for player in players:
        player.finish()
    with coshelf.open(path) as shelf:
        assert len(shelf) == 4000


def test_no_wake_is_missed_among_other_writers(crew: Crew, path: str) -> None:
    others = crew.start_many(
        2,
        """
        with coshelf.open(path) as shelf:
            say("ready"); hear()
            while ("ping", 299) not in shelf:
                shelf["noise", sys.argv[2]] = 1
        """,
        path,
    )
    script = PING_PONG.replace("2000", "300")
    players = [crew.start(script, path, "ping", "pong"), crew.start(script, path, "pong", "ping")]
    for worker in players + others:
        worker.finish()


def test_a_waiter_looks_only_when_something_was_written(crew: Crew, path: str) -> None:
    waiter = crew.start(
        PATIENT
        + """
from coshelf.engines.lmdb.files.state_page import Bell
sleeps = 0
sleep = Bell.wait
def counted(*arguments):
    global sleeps
    sleeps += 1
    sleep(*arguments)
Bell.wait = counted
with coshelf.open(path) as shelf:
    say("ready")
    shelf.wait("it")
    say(sleeps)
""",
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
        PATIENT
        + """
with coshelf.open(path) as shelf:
    say("ready")
    assert shelf.wait("it") == 1
    assert shelf["with"] == 2
""",
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
        """
with coshelf.open(path) as shelf:
    try:
        shelf.wait("it", timeout=0.01)  # imports what it needs: Python can lose an interrupt that hits an import
    except WaitTimeout:
        pass
    for turn in range(20):
        try:
            say("waiting")
            shelf.wait("it")
        except KeyboardInterrupt:
            shelf["turn"] = turn
            say("interrupted")
    assert shelf.wait("turn") == 19
""",
        path,
    )
    for _ in range(20):
        waiter.expect("waiting")
        waiter.interrupt()
        waiter.expect("interrupted")
    waiter.finish()


def test_closing_the_shelf_ends_a_wait_in_another_thread(crew: Crew, path: str) -> None:
    crew.run(
        """
        import coshelf.engines.lmdb.files.state_page as state_page
        asleep = threading.Event()
        sleep = state_page.Bell.wait
        def told(*arguments):
            asleep.set()
            sleep(*arguments)
        state_page.Bell.wait = told
        shelf = coshelf.open(path)
        def wait():
            try:
                shelf.wait("it")
            except ShelfClosed:
                say("closed")
        thread = threading.Thread(target=wait)
        thread.start()
        asleep.wait()
        shelf.close()
        thread.join()
        assert sorted(os.listdir(os.path.dirname(path))) == ["a.shelf"]
        """,
        path,
    ) == ["closed"]
