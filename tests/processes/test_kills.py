"""kill -9 at any instant: what had returned is there, in order and whole; the next one goes on at once."""

from __future__ import annotations

import os

import pytest
from support import Crew, beside

import coshelf

# A mother forks writers and kills them; each writes to a log, with O_APPEND, what has returned.
MOTHER = """
import random
chance = random.Random(int(sys.argv[2]))
log = os.open(path + ".log", os.O_CREAT | os.O_RDWR | os.O_APPEND)

def fork(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid

def kill(pid):
    os.kill(pid, signal.SIGKILL)
    assert reap(pid) == -signal.SIGKILL, "it failed before"
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_every_commit_that_had_returned_is_found_in_order_and_whole(crew: Crew, path: str, seed: int) -> None:
    crew.run(
        MOTHER
        + """
def write(name, start):
    shelf = coshelf.open(path, timeout=20)
    turn = start
    while True:
        turn += 1
        values = {(name, place): (turn, "x" * (turn % 7 * 1000)) for place in range(5)}
        if turn % 3:
            values[name, "last"] = turn
            shelf.update(values)
        else:
            with shelf.transaction() as t:
                t.update(values)
                t[name, "last"] = turn
        os.write(log, b"%d %d\\n" % (name, turn))

def logged():
    last = [0] * 4
    turns = [0] * 4
    with open(path + ".log", "rb") as file:
        for line in file:
            name, turn = map(int, line.split())
            assert turn >= last[name] + 1
            last[name] = turn
    return last

last = [0] * 4
for round in range(25):
    writers = [fork(lambda: write(name, last[name])) for name in range(4)]
    size = os.fstat(log).st_size
    enough = chance.randrange(0, 400)
    while os.fstat(log).st_size < size + enough:
        time.sleep(0.0005)
    time.sleep(chance.random() * 0.003)
    for pid in chance.sample(writers, 4):
        kill(pid)
        time.sleep(chance.random() * 0.001)
    known = logged()
    with coshelf.open(path, timeout=5) as shelf:
        for name in range(4):
            found = shelf.get((name, "last"), 0)
            # What returned is there; at most the one that was under way is there as well.
            assert known[name] <= found <= max(known[name], last[name]) + 1, (known, found)
            for place in range(5):
                if found:
                    assert shelf[name, place] == (found, "x" * (found % 7 * 1000))
            last[name] = found
    names = sorted(os.listdir(os.path.dirname(path)))
    assert names == ["a.shelf", "a.shelf.log"], names
assert sum(last) > 100
""",
        path,
        seed,
    )


def test_killed_inside_a_transaction_leaves_nothing_of_it_and_no_lock(crew: Crew, path: str) -> None:
    with coshelf.open(path, timeout=5) as shelf:
        shelf["a"] = 0
        for turn in range(5):
            victim = crew.start(
                """
                shelf = coshelf.open(path)
                with shelf.transaction() as t:
                    t["a"] = "the victim's"
                    t["b"] = "the victim's"
                    say("inside")
                    time.sleep(100)
                """,
                path,
            )
            victim.expect("inside")
            waiting = crew.start(
                """
                with coshelf.open(path) as shelf:
                    say("waiting")
                    shelf.modify("a", lambda value: value + 1)
                """,
                path,
            )
            waiting.expect("waiting")
            assert dict(shelf) == {"a": turn * 3}
            victim.kill()
            waiting.finish()
            shelf.modify("a", lambda value: value + 1)
            with shelf.transaction(timeout=1) as t:
                t["a"] += 1
            assert dict(shelf) == {"a": turn * 3 + 3}
    assert beside(path) == ["a.shelf"]


# The victim counts the calls into C that return inside the library, and kills itself behind the one whose turn it is.
# In between nothing changes that others could see, so every step of making, opening, writing and closing is tried.
EVERY_STEP = pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.long)])
"""Some of the steps where there is little time, and all of them."""

STEPWISE = (
    MOTHER
    + """
EVERY = int(sys.argv[-1])
import coshelf.engines.lmdb.engine  # so that no step is an import

def stepwise(prepare, work, check):
    step = 0
    while True:
        step += EVERY
        prepare()
        def die_at_step():
            count = 0
            def profile(frame, event, argument):
                nonlocal count
                if event == "c_return" and "/coshelf/" in frame.f_code.co_filename:
                    count += 1
                    if count == step:
                        os.kill(os.getpid(), signal.SIGKILL)
            sys.setprofile(profile)
            work()
            sys.setprofile(None)
        code = reap(fork(die_at_step))
        assert code in (0, -signal.SIGKILL), (step, code)
        check(step)
        if code == 0:
            return step
"""
)


@EVERY_STEP
@pytest.mark.parametrize("leftovers", [False, True], ids=["clean", "after a crash"])
def test_killed_at_any_step_of_making_a_shelf(crew: Crew, path: str, leftovers: bool, every: int) -> None:
    said = crew.run(
        STEPWISE
        + """
directory = os.path.dirname(path)
os.unlink(path + ".log")

def prepare():
    if sys.argv[3] == "False":
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))
    elif os.path.exists(path):
        os.unlink(path)  # what lies beside it stays

def work():
    with coshelf.open(path, timeout=3) as shelf:
        shelf["a"] = 1

def check(step):
    with coshelf.open(path, timeout=3) as shelf:
        assert dict(shelf) in ({}, {"a": 1}), step
        shelf["b"] = 2
        assert os.stat(path).st_mode & 0o777 == 0o600
    left = [name for name in os.listdir(directory) if not (name.startswith(".") and name.endswith(".new"))]
    assert left == ["a.shelf"], (step, left)

say(stepwise(prepare, work, check))
""",
        path,
        0,
        leftovers,
        every,
    )
    assert int(said[-1]) > 50


@EVERY_STEP
def test_what_a_killed_creator_leaves_is_swept_away(crew: Crew, path: str, every: int) -> None:
    crew.run(
        STEPWISE
        + """
directory = os.path.dirname(path)
os.unlink(path + ".log")

def prepare():
    for name in os.listdir(directory):
        os.unlink(os.path.join(directory, name))

def work():
    coshelf.open(path, timeout=3).close()

def check(step):
    coshelf.open(path, timeout=3).close()
    assert os.listdir(directory) == ["a.shelf"], (step, os.listdir(directory))

stepwise(prepare, work, check)
""",
        path,
        0,
        every,
    )


@EVERY_STEP
def test_killed_at_any_step_of_opening_writing_and_closing(crew: Crew, path: str, every: int) -> None:
    said = crew.run(
        STEPWISE
        + """
coshelf.open(path).close()

def work():
    with coshelf.open(path, timeout=3) as shelf:
        shelf.update(a=1, b=1)
        with shelf.transaction() as t:
            t["a"] += 1
            t["b"] -= 1
        with shelf.snapshot() as snapshot:
            assert dict(snapshot)

def check(step):
    with coshelf.open(path, timeout=3) as shelf:
        assert dict(shelf) in ({}, {"a": 1, "b": 1}, {"a": 2, "b": 0}), dict(shelf)
        shelf["turn"] = step
        with shelf.transaction(timeout=1) as t:
            t.clear()
        assert len(shelf) == 0
    assert sorted(os.listdir(os.path.dirname(path))) == ["a.shelf", "a.shelf.log"], step

say(stepwise(lambda: None, work, check))
""",
        path,
        0,
        every,
    )
    assert int(said[-1]) > 200


@EVERY_STEP
def test_killed_at_any_step_while_others_have_it_open(crew: Crew, path: str, every: int) -> None:
    """The one who stays sees no error and can write at once, whatever the other was doing."""
    crew.run(
        STEPWISE
        + """
shelf = coshelf.open(path, timeout=3)
shelf["mine"] = 0

def work():
    shelf.update(a=1, b=1)
    with coshelf.open(path, timeout=3) as again:
        with again.transaction() as t:
            t["a"] += 1
            t["b"] -= 1
    shelf.close()

def check(step):
    assert shelf.get("a", 0) + shelf.get("b", 0) in (0, 2)
    shelf["mine"] = step
    with shelf.transaction(timeout=1) as t:
        t["mine"] += 1
    assert len(list(shelf.items())) == len(shelf)

stepwise(lambda: None, work, check)
shelf.close()
assert sorted(os.listdir(os.path.dirname(path))) == ["a.shelf", "a.shelf.log"]
""",
        path,
        0,
        every,
    )


GROWTH = (
    MOTHER
    + """
keys = range(50)
def overwrite(shelf, times):
    for turn in range(times):
        shelf.update({key: (turn, "x" * 500) for key in keys})

def look():
    # Registered and then killed, with a snapshot, an iterator, or in the middle of a read.
    shelf = coshelf.open(path)
    snapshot = shelf.snapshot()
    items = iter(shelf.items())
    next(items)
    os.write(log, b"x")
    while True:
        shelf[1]

with coshelf.open(path) as shelf:
    overwrite(shelf, 1)
    for round in range(6):
        if sys.argv[3] == "kill":
            size = os.fstat(log).st_size
            readers = [fork(look) for _ in range(2)]
            while os.fstat(log).st_size < size + 2:
                time.sleep(0.001)
            overwrite(shelf, 3)
            for reader in readers:
                kill(reader)
        else:
            overwrite(shelf, 3)
        overwrite(shelf, 140)
    say(os.stat(path).st_size)
"""
)


def test_killed_readers_do_not_make_the_file_grow(crew: Crew, path: str) -> None:
    without = int(crew.run(GROWTH, path, 1, "none")[0])
    os.unlink(path)
    killed = int(crew.run(GROWTH, path, 1, "kill")[0])
    # 860 overwrites of some 40 KB: 34 MB if nothing were used again. Until dead readers are looked for, every 128
    # commits, one round's pages are kept.
    assert killed < without + 140 * 100_000
    assert killed < 12_000_000
