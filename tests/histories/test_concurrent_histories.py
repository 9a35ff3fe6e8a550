"""What several processes do to one shelf at once has an order in which a dict gives the same results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import operations
import players
import pytest
import timed_operations
from linearizability import PENDING, Operation, explain, find_order
from players import Game
from support import Crew

# Seeds; the calls that are drawn are the same for the same seed, their interleaving is the machine's.
BOUNDED = (0, 1, 2)
LONG = range(100, 140)
SEEDS = [*BOUNDED, *[pytest.param(seed, marks=pytest.mark.long) for seed in LONG]]


PLAYS = Path(__file__).parent / "scripts" / "concurrent_histories" / "plays.py"


def rounds_of(seed: int) -> int:
    return 5 if seed in BOUNDED else 8


def play(crew: Crew, path: str, game: Game, *sabotage: str) -> list[str]:
    """What is wrong with each round that is not linearizable."""
    print(game)
    crew.run(PLAYS, path, game, *sabotage)
    wrong = []
    apply = timed_operations.apply if game.has_times else operations.apply
    for turn, (state, history) in enumerate(players.read_rounds(path)):
        for part, start in parts(history, state, game.mix):
            if find_order(part, start, apply) is None:
                wrong.append(f"round {turn}: {explain(part, start, apply)}")
    assert turn == game.rounds - 1
    return wrong


def parts(
    history: list[Operation], state: frozenset[tuple[str, int]], mix: str
) -> Iterator[tuple[list[Operation], Any]]:
    """What has to be linearizable, with the state at its beginning."""
    if mix == "one key":
        yield from apart(history, state)
    else:
        yield history, timed_operations.begin(state) if mix == "times" else state


def apart(history: list[Operation], state: frozenset[tuple[str, int]]) -> Iterator[tuple[list[Operation], Any]]:
    """A history in which each call has one key is linearizable if that of each key is."""
    for key in operations.KEYS:
        ours = [operation for operation in history if operation.call[1] == key]
        yield ours, frozenset(item for item in state if item[0] == key)


def game_of(seed: int, **more: object) -> Game:
    """All players are different from seed to seed: how many, how much they do, how often it is flushed."""
    return Game(
        seed=seed,
        players=4 + seed % 3,
        calls=8 + seed % 5,
        durability=("interval", "commit", "interval")[seed % 3],
        flush_interval=(1.0, 0.01, 0.01)[seed % 3],
        keeper=seed % 2 == 1,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mix", ["one key", "many keys"])
def test_there_is_an_order(crew: Crew, path: str, mix: str, seed: int) -> None:
    """Many keys: a transaction, a snapshot, a scan, ``len`` and ``clear`` are each of one instant."""
    assert play(crew, path, game_of(seed, mix=mix, rounds=rounds_of(seed))) == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mix", ["one key", "many keys"])
def test_there_is_an_order_when_processes_are_killed_and_replaced(crew: Crew, path: str, mix: str, seed: int) -> None:
    """A call that was cut short has happened or not; what returned has."""
    assert play(crew, path, game_of(seed, mix=mix, rounds=rounds_of(seed), deaths=2)) == []
    pending = sum(operation.returned == PENDING for _, history in players.read_rounds(path) for operation in history)
    assert pending, "nobody was killed inside a call"


@pytest.mark.parametrize("deaths", [0, 2])
@pytest.mark.parametrize("seed", [0, *[pytest.param(seed, marks=pytest.mark.long) for seed in LONG]])
def test_there_is_an_order_with_times(crew: Crew, path: str, seed: int, deaths: int) -> None:
    """From its time on, an entry is missing for all processes. It is removed beside them; nothing else is."""
    assert play(crew, path, game_of(seed, mix="times", rounds=5 + seed % 4, deaths=deaths)) == []


FAULTS = {
    "get then put": "one key",
    "stale reads": "one key",
    "late writes": "one key",
    "mixed snapshots": "many keys",
    "half transactions": "many keys",
    "touch in two steps": "times",
}


def is_convicted(crew: Crew, path: str, game: Game, *sabotage: str) -> bool:
    """Whether one of many plays shows that something is wrong. The first or second mostly does, but that is chance."""
    return any(play(crew, f"{path}-{seed}", replace(game, seed=seed), *sabotage) for seed in range(1, 51))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("store", "mix"), FAULTS.items(), ids=FAULTS)
def test_a_broken_store_is_convicted(crew: Crew, path: str, store: str, mix: str) -> None:
    """The same play on a shelf with a fault: the check can fail."""
    assert is_convicted(crew, path, Game(seed=1, mix=mix, rounds=5, store=store))


SABOTAGES = ("transaction_beside_others", "commit_without_a_look", "base_read_first", "delta_newer_than_its_base")
"""What the engine that is played on does (scripts/sabotages)."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_sabotaged_engine_is_convicted(crew: Crew, path: str, sabotage: str) -> None:
    """Each takes away a step that the engine's promises rest on."""
    game = Game(seed=1, mix="many keys", rounds=5, flush_interval=0.0)
    assert is_convicted(crew, path, game, sabotage)


@pytest.mark.timeout(600)
def test_a_sabotaged_expiry_is_convicted(crew: Crew, path: str) -> None:
    game = Game(seed=1, mix="times", rounds=5, flush_interval=0.0)
    assert is_convicted(crew, path, game, "removal_without_a_look")
