"""A delta whose map is used up, since a process stopped in the middle of a read keeps its pages: another follows."""

from __future__ import annotations

import os
import signal

import pytest
from insides import current_delta
from support import Crew, Worker, beside

import coshelf

# Keeps a read transaction of the delta for as long as it lives.
PIN = """
import lmdb
name = os.path.join(os.path.dirname(path), ".a.shelf.coshelf/delta" + sys.argv[2])
delta = lmdb.open(name, subdir=False, create=False, readonly=True, max_readers=2048,
                  map_size=512 << 20, lib_version=0)
transaction = delta.begin()
say("pinned")
hear()
"""

# Writes until the delta has been replaced so many times; what was written is counted in "turn".
FILL = """
from insides import *
use_small_maps(3 << 20)
shelf = coshelf.open(path, flush_interval=1000)
shelf["turn"] = 0
flush_all(shelf)

def generation():
    return environment_of(shelf).page.delta.identity().generation

def fill(until_generation, most=20_000):
    turn = shelf["turn"]
    while generation() < until_generation:
        turn += 1
        with shelf.transaction() as t:
            t["turn"] = turn
            t["half", turn % 50] = "x" * 3000 + str(turn)
        if turn % 10 == 0:
            shelf.sync()
        assert turn < most, "it is never used up"
    return turn

def check(turn):
    assert shelf["turn"] == turn
    for place in range(50):
        expected = turn - (turn - place) % 50
        if expected > 0:
            assert shelf["half", place] == "x" * 3000 + str(expected), place
    assert len(shelf) == 1 + min(turn, 50)
"""


def pin(crew: Crew, path: str, suffix: str = "") -> Worker:
    worker = crew.start(PIN, path, suffix)
    worker.expect("pinned")
    return worker


def test_without_anybody_in_its_way_a_small_delta_is_never_used_up(crew: Crew, path: str) -> None:
    crew.run(
        FILL
        + """
for turn in range(1, 3000):
    shelf["turn"] = turn
    shelf["half", turn % 50] = "x" * 3000 + str(turn)
    if turn % 10 == 0:
        shelf.sync()
assert generation() == 0
assert delta_pages(shelf) < 200
check(turn)
shelf.close()
""",
        path,
    )
    assert beside(path) == ["a.shelf"]


def test_one_that_is_used_up_is_replaced_and_nothing_is_lost(crew: Crew, path: str) -> None:
    filler = crew.start(
        FILL
        + """
say("made")
hear()
turn = fill(1)
check(turn)
assert sorted(name for name in os.listdir(os.path.dirname(path) + "/.a.shelf.coshelf") if "delta" in name) == [
    "delta-1", "delta-1-lock"]
shelf["after"] = 1
assert set(waiting(shelf).values()) == {False}  # it goes into the delta as before
for later in range(2, 4):
    say("again")
    hear()
    turn = fill(later)
    del shelf["after"]
    check(turn)
    shelf["after"] = later
del shelf["after"]
check(turn)
shelf.close()
say(turn)
""",
        path,
    )
    filler.expect("made")
    pin(crew, path)
    filler.tell()
    for generation in (1, 2):
        filler.expect("again")
        pin(crew, path, f"-{generation}")
        filler.tell()
    turn = int(filler.finish()[-1])
    assert beside(path) == ["a.shelf"]
    with coshelf.open(path, "r") as shelf:
        assert shelf["turn"] == turn
        assert len(shelf) == 1 + min(turn, 50)


def test_other_processes_follow(crew: Crew, path: str) -> None:
    filler = crew.start(
        FILL
        + """
say("made")
hear()
turn = fill(1)
check(turn)
say(turn)
hear()
assert shelf["theirs"] == 1
shelf["mine"] = 2
say("read")
hear()
shelf.close()
""",
        path,
    )
    filler.expect("made")
    with coshelf.open(path, flush_interval=1000) as shelf, coshelf.open(path, "r") as reader:
        with shelf.snapshot() as early:
            assert current_delta(shelf).identity.generation == 0
            holder = pin(crew, path)
            filler.tell()
            turn = int(filler.hear())
            assert early["turn"] == 0
        assert reader["turn"] == turn
        assert len(list(reader)) == len(reader) == 1 + min(turn, 50)
        assert current_delta(shelf).identity.generation == 1
        shelf["theirs"] = 1
        filler.tell()
        filler.expect("read")
        with coshelf.open(path) as late:
            assert late["mine"] == shelf["mine"] == reader["mine"] == 2
        crew.run('with coshelf.open(path) as shelf:\n    assert shelf["mine"] == 2\n    shelf["new"] = 3', path)
        assert shelf["new"] == reader["new"] == 3
        with shelf.transaction() as t:
            t["mine"] += 1
        filler.tell()
        filler.finish()
        assert shelf["mine"] == 3
    holder.tell()
    assert beside(path) == ["a.shelf"]


def test_batches_for_the_base_are_not_kept_out_by_one_that_is_used_up(crew: Crew, path: str) -> None:
    filler = crew.start(
        FILL
        + """
say("made")
hear()
shelf["large"] = 0
while generation() < 1:
    shelf["large"] += 1
    shelf.update({("large", n): shelf["large"] for n in range(1001)})
    assert shelf["large"] < 3000
assert {shelf["large", n] for n in range(1001)} <= {shelf["large"], shelf["large"] - 1}
assert len({shelf["large", n] for n in range(1001)}) == 1
shelf.close()
""",
        path,
    )
    filler.expect("made")
    holder = pin(crew, path)
    filler.tell()
    filler.finish()
    holder.tell()


# Kills itself behind each C call in turn that returns inside the library, from the beginning of the replacement on.
STEPS = (
    FILL
    + """
from coshelf.engines.lmdb.delta.committer import Committer
from coshelf.engines.lmdb.delta.flusher import Flusher
replace = Committer.replace_delta
step = int(sys.argv[2])
count = 0

def profile(frame, event, argument):
    global count
    if event == "c_return" and "/coshelf/" in frame.f_code.co_filename:
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

def replace_and_die(self):
    sys.setprofile(profile)
    replace(self)
    sys.setprofile(None)
    say("survived")
    os._exit(0)

Committer.replace_delta = replace_and_die
Flusher.notice = lambda self: None
say("made")
hear()
turn = shelf["turn"]
while True:
    turn += 1
    shelf.update({"turn": turn, ("half", turn % 50): "x" * 30_000 + str(turn)})
    if turn % 10 == 0:
        shelf.sync()
    say(turn)
"""
)


@pytest.mark.parametrize("part", [0, 1, *[pytest.param(part, marks=pytest.mark.long) for part in (2, 3)]])
def test_killed_in_the_middle_of_the_replacement_loses_nothing(crew: Crew, path: str, part: int) -> None:
    """One step in six, or three; each part has others, with another process there or without."""
    step = 1 + part * 3
    while True:
        filler = crew.start(STEPS, path, step)
        filler.expect("made")
        holder = pin(crew, path)
        other = coshelf.open(path, "r") if part % 2 else None
        filler.tell()
        turn = 0
        survived = False
        assert filler.process.stdout is not None
        for line in filler.process.stdout:
            if line == "survived\n":
                survived = True
                break
            turn = int(line)
        filler.process.wait()
        assert filler.process.returncode == (0 if survived else -signal.SIGKILL), filler.errors()
        holder.kill()
        with coshelf.open(path, timeout=5) as shelf:
            for reader in filter(None, (shelf, other)):
                found = reader["turn"]
                assert turn <= found <= turn + 1, (step, turn, found)
                assert reader["half", found % 50] == "x" * 30_000 + str(found)
                assert len(reader) == 1 + min(found, 50)
            shelf["after"] = 1
            shelf.sync()
            assert shelf["after"] == 1
        if other is not None:
            assert other["after"] == 1
            other.close()
        assert beside(path) == ["a.shelf"], step
        os.unlink(path)
        if survived:
            break
        step += 12
    assert step > 20


def test_who_opens_while_it_is_replaced_finds_the_new_one(crew: Crew, path: str) -> None:
    """Between reading which delta there is and opening it, and for who has it open and only reads, likewise."""
    filler = crew.start(FILL + 'say("made")\nhear()\nsay(fill(1))\nhear()\nsay(fill(2))\nhear()\nshelf.close()', path)
    filler.expect("made")
    pin(crew, path)
    opener = crew.start(
        """
        from insides import *
        Delta = environment_module.Delta
        calls = 0
        def wait_and_open(*arguments):
            global calls
            calls += 1
            if calls in (1, 3):
                say("opening")
                hear()
            return Delta(*arguments)
        environment_module.Delta = wait_and_open
        shelf = coshelf.open(path)
        current_delta(shelf)
        say(shelf["turn"])
        hear()
        say(shelf["turn"])
        """,
        path,
    )
    opener.expect("opening")
    filler.tell()
    turn = filler.hear()
    opener.tell()
    opener.expect(turn)
    pin(crew, path, "-1")
    filler.tell()
    turn = filler.hear()
    opener.tell()
    opener.expect("opening")
    opener.tell()
    opener.expect(turn)
    opener.finish()
    filler.tell()
    filler.finish()
    assert beside(path) == ["a.shelf"]
