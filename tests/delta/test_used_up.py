"""A table whose map is used up, since a process stopped in the middle of a read keeps its pages: another follows."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from insides import current_delta
from support import Crew, Worker, beside

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "used_up"

pytestmark = pytest.mark.usefixtures("tables")

PIN = SCRIPTS / "pins.py"


def pin(crew: Crew, path: str, suffix: str = "") -> Worker:
    worker = crew.start(PIN, path, suffix)
    worker.expect("pinned")
    return worker


def test_without_anybody_in_its_way_a_small_delta_is_never_used_up(crew: Crew, path: str) -> None:
    crew.run(
        SCRIPTS / "never_used_up.py",
        path,
    )
    assert beside(path) == ["a.shelf"]


def test_one_that_is_used_up_is_replaced_and_nothing_is_lost(crew: Crew, path: str) -> None:
    filler = crew.start(
        SCRIPTS / "replaced.py",
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
        SCRIPTS / "fills_for_others.py",
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
        SCRIPTS / "batches_for_the_base.py",
        path,
    )
    filler.expect("made")
    holder = pin(crew, path)
    filler.tell()
    filler.finish()
    holder.tell()


STEPS = SCRIPTS / "dies_at_a_step.py"


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
        with coshelf.open(path, timeout=60) as shelf:
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
    filler = crew.start(SCRIPTS / "fills_twice.py", path)
    filler.expect("made")
    pin(crew, path)
    opener = crew.start(
        SCRIPTS / "opener.py",
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
