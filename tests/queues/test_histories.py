"""Whether histories of several processes, some of which are killed, could have happened one call after the other."""

from __future__ import annotations

import random
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pytest
from linearizability import PENDING, Operation, explain, find_order
from support import Crew, Worker

import coshelf

PLAYER = Path(__file__).parent / "scripts" / "history_player.py"

State = tuple[str, ...]


def apply(state: Any, call: Any) -> tuple[object, Hashable]:
    """A queue that is first in, first out."""
    name, item = call
    if name == "put":
        return None, (*state, item)
    return (state[0], state[1:]) if state else (None, state)


def operations(lines: list[str], process: str) -> list[Operation]:
    """The calls that a player has reported. A call without an end was killed, and so is of unknown outcome."""
    found: list[Operation] = []
    begun: tuple[str, str, float] | None = None
    for line in lines:
        if not line.endswith("\n"):
            break
        word, item, at, *result = line.split()
        if word in ("put", "get"):
            begun = (word, item, float(at))
        else:
            assert begun is not None
            got = result[0] if result else None
            found.append(Operation(process, begun[:2], begun[2], float(at), got))
            begun = None
    if begun is not None:
        found.append(Operation(process, begun[:2], begun[2], PENDING))
    return found


def play(crew: Crew, url: str, seed: int, calls: int) -> list[Operation]:
    chance = random.Random(seed)
    players = [crew.start(PLAYER, url, calls, f"{seed}-{number}") for number in range(3)]
    for player in players:
        player.expect("ready")
    for player in players:
        player.tell()
    victim, lines = players[0], list[str]()
    for _ in range(chance.randrange(1, calls)):
        lines.append(victim.hear() + "\n")
    victim.process.kill()
    history = operations(lines + _rest(victim), "victim")
    for number, player in enumerate(players[1:]):
        history += operations(_rest(player), f"{number}")
    with coshelf.open(url) as shelf:
        jobs, at = shelf.queue("jobs"), max(operation.invoked for operation in history) + 1e12
        while not jobs.empty():  # at last, all that is left
            history.append(Operation("last", ("get", ""), at, at + 1, jobs.get_nowait()))
            at += 2
    return history


def _rest(worker: Worker) -> list[str]:
    assert worker.process.stdout is not None
    lines = worker.process.stdout.readlines()
    worker.process.wait()
    return lines


def examine(history: list[Operation]) -> None:
    assert find_order(history, (), apply) is not None, explain(history, (), apply)


def test_histories_with_a_kill_are_those_of_a_queue(crew: Crew, url: str) -> None:
    examine(play(crew, url, 1, 12))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(40))
def test_many_histories_with_kills_are_those_of_a_queue(crew: Crew, url: str, seed: int) -> None:
    examine(play(crew, url, seed, 25))


def test_the_model_tells_a_queue_from_what_is_none() -> None:
    def put(item: str, start: float, end: float = 0) -> Operation:
        return Operation("p", ("put", item), start, end or start + 1)

    def get(item: str | None, start: float) -> Operation:
        return Operation("g", ("get", ""), start, start + 1, item)

    assert find_order([put("a", 0), put("b", 2), get("b", 4), get("a", 6)], (), apply) is None  # not in order
    assert find_order([put("a", 0, 9), put("b", 1, 9), get("b", 4), get("a", 6)], (), apply) is not None  # together
    assert find_order([put("a", 0), get("a", 2), get("a", 4)], (), apply) is None  # twice
    assert find_order([put("a", 0), get(None, 2)], (), apply) is None  # lost
