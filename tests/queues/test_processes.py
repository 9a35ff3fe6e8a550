"""Queues between processes: kills, forks and interrupts. No item is lost, and none is given away twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from failpoint_names import names
from support import INTERRUPTIBLE, Crew, Worker

import coshelf

SCRIPTS = Path(__file__).parent / "scripts"
TAKER, WAITER, FORKER = SCRIPTS / "taker.py", SCRIPTS / "waiter.py", SCRIPTS / "forker.py"
INTERRUPTED, PLAYER = SCRIPTS / "interrupted.py", SCRIPTS / "player.py"


def left(jobs: coshelf.coordination.queues.Queue[str]) -> list[str]:
    """The items of a queue that nobody uses any more. Those of dead takers are among them."""
    found = []
    while not jobs.empty() or jobs.rows.count(jobs.ground.engine, "taken"):
        found.append(jobs.get(timeout=60).split()[0])
    return found


def test_the_item_of_a_killed_taker_goes_to_one_that_waits(crew: Crew, url: str) -> None:
    with coshelf.open(url) as shelf:
        shelf.queue("jobs").put("a")
        first = crew.start(TAKER, url)
        first.expect("ready")
        first.expect("a 1")
        others = [crew.start(TAKER, url) for _ in range(2)]
        for other in others:
            other.expect("ready")
        first.kill()
        shelf.queue("jobs").put("b")
        heard = sorted(other.hear() for other in others)
        assert heard == ["a 2", "b 1"]
        for other in others:
            other.tell()
            assert other.finish() == ["done"]
        shelf.queue("jobs").join(timeout=60)


def test_an_item_whose_block_raises_goes_to_one_that_waits(crew: Crew, url: str) -> None:
    with coshelf.open(url) as shelf:
        shelf.queue("jobs").put("a")
    first = crew.start(TAKER, url)
    first.expect("ready")
    first.expect("a 1")
    second = crew.start(TAKER, url)
    second.expect("ready")
    first.tell("fail")
    assert first.finish() == []
    second.expect("a 2")
    second.tell()
    assert second.finish() == ["done"]


def test_one_put_wakes_one_of_those_that_wait(crew: Crew, url: str) -> None:
    waiters = [crew.start(WAITER, url) for _ in range(3)]
    for waiter in waiters:
        waiter.expect("ready")
    with coshelf.open(url) as shelf:
        for item in ("a", "b", "c"):
            shelf.queue("jobs").put(item)
        assert sorted(waiter.hear() for waiter in waiters) == ["got a", "got b", "got c"]
        assert len(shelf.queue("jobs")) == 0


def test_an_interrupt_ends_a_wait_and_nothing_else(crew: Crew, url: str) -> None:
    waiter, other = crew.start(WAITER, url, options=INTERRUPTIBLE), crew.start(WAITER, url)
    waiter.expect("ready")
    other.expect("ready")
    waiter.interrupt()
    waiter.expect("interrupted")
    with coshelf.open(url) as shelf:
        shelf.queue("jobs").put_many("ab")
    assert sorted([waiter.hear(), other.hear()]) == ["got a", "got b"]


def test_a_killed_waiter_does_not_stop_the_others(crew: Crew, url: str) -> None:
    waiters = [crew.start(WAITER, url) for _ in range(3)]
    for waiter in waiters:
        waiter.expect("ready")
    waiters[0].kill()
    with coshelf.open(url) as shelf:
        shelf.queue("jobs").put_many("ab")
    assert sorted(waiter.hear() for waiter in waiters[1:]) == ["got a", "got b"]


def test_a_forked_child_does_not_end_the_items_of_its_parent(crew: Crew, url: str) -> None:
    assert crew.run(FORKER, url) == ["child 7", "taken 1", "child 3", "c 2", "left 0"]


def test_an_interrupt_anywhere_leaves_no_item_taken(crew: Crew, path: str) -> None:
    assert crew.run(INTERRUPTED, path) == ["all places were tried"]


class Ledger:
    """What the players have said."""

    def __init__(self) -> None:
        self.begun: set[str] = set()
        self.put: set[str] = set()
        self.gone: list[str] = []
        self.may_be_gone = 0

    def read(self, lines: list[str], was_killed: bool) -> None:
        last = ""
        for line in lines:
            word, *rest = line.split()
            last = word
            if word == "put":
                self.begun.add(rest[0])
            elif word == "put-done":
                self.put.add(rest[0])
            elif word in ("got", "take-done"):
                self.gone.append(rest[2])
        self.may_be_gone += was_killed and last in ("take", "taken")

    def compare(self, remaining: list[str]) -> None:
        found = self.gone + remaining
        assert len(found) == len(set(found)), sorted(item for item in found if found.count(item) > 1)
        assert set(found) <= self.begun
        assert len(self.put - set(found)) <= self.may_be_gone


def lines_of(worker: Worker) -> list[str]:
    """The whole lines that a worker prints until its end."""
    assert worker.process.stdout is not None
    lines = worker.process.stdout.readlines()
    worker.process.wait()
    return [line for line in lines if line.endswith("\n")]


def test_no_item_is_lost_or_doubled_when_processes_are_killed(crew: Crew, url: str) -> None:
    ledger, chance = Ledger(), random.Random(11)
    for round_ in range(3):
        players = [crew.start(PLAYER, url, 40, f"{round_}-{number}") for number in range(3)]
        victims = chance.sample(players, 2)
        for victim in victims:
            for _ in range(chance.randrange(2, 30)):
                ledger.read([victim.hear()], False)
        for victim in victims:
            victim.process.kill()
        for player in players:
            ledger.read(lines_of(player), player in victims)
    with coshelf.open(url) as shelf:
        ledger.compare(left(shelf.queue("jobs", attempts=None)))


@pytest.mark.parametrize("name", [name for name in names() if name.startswith(("commit", "flush", "empty", "delta"))])
def test_no_item_is_lost_or_doubled_when_a_commit_or_flush_is_killed(
    crew: Crew, armed: Callable[..., Worker], path: str, name: str
) -> None:
    ledger = Ledger()
    with coshelf.open(path) as shelf:
        shelf.queue("jobs").put("0")
        ledger.begun.add("0")
        ledger.put.add("0")
        for turn in (1, 4):
            victim = armed(f"{name}=kill@{turn}", PLAYER, path, 40, f"{turn}")
            ledger.read(lines_of(victim), True)
        ledger.compare(left(shelf.queue("jobs", attempts=None)))
    assert coshelf.check(path).ok
