"""Records what processes do with one lock while some are killed, and compares it with a model of a lock."""

from __future__ import annotations

import random
import time
from pathlib import Path

from linearizability import PENDING, Operation, explain, find_order
from support import Crew

__all__ = ["check", "record"]

PLAYER = Path(__file__).parent / "scripts" / "lock_player.py"
State = tuple[str | None, int]
"""Who has the lock, and the last token."""


def apply(state: State, call: tuple[str, str, int | None]) -> tuple[object, State]:
    """One step of a lock: (what, who, token)."""
    what, who, token = call
    holder, last = state
    if what == "take":
        if holder is not None or (token is not None and token <= last):
            return False, state
        return True, (who, last if token is None else token)
    if holder != who:
        return what == "death", state
    return True, (None, last)


def record(crew: Crew, url: str, journal: Path, *, seed: int, players: int, rounds: int, kills: int) -> list[Operation]:
    """What the players did. The killed ones are replaced."""
    chance = random.Random(seed)
    names = iter(f"player-{seed}-{number}" for number in range(players + kills))
    running = {
        name: crew.start(PLAYER, url, journal, name, rounds) for name, _ in zip(names, range(players), strict=False)
    }
    for worker in running.values():
        worker.expect("ready")
    deaths = {}
    for name in names:
        time.sleep(chance.uniform(0.0, 0.05))
        victim = chance.choice(sorted(running))
        deaths[victim] = time.monotonic_ns()
        running.pop(victim).kill()
        running[name] = crew.start(PLAYER, url, journal, name, rounds)
        running[name].expect("ready")
    for worker in running.values():
        worker.process.wait()
        assert worker.process.returncode == 0, worker.errors()
    return _operations(journal.read_text(), deaths)


def _operations(text: str, deaths: dict[str, int]) -> list[Operation]:
    found: list[Operation] = []
    begun: dict[str, tuple[str, int]] = {}
    for line in text.splitlines():
        name, at, what, *token = line.split()
        if what in ("asks", "gives"):
            begun[name] = ("take" if what == "asks" else "give", int(at))
            continue
        kind, invoked = begun.pop(name)
        call = (kind, name, int(token[0]) if token else None)
        found.append(Operation(name, call, invoked, int(at), result=True))
    found += [Operation(name, (kind, name, None), invoked) for name, (kind, invoked) in begun.items()]
    found += [Operation(name, ("death", name, None), at) for name, at in deaths.items()]
    return found


def check(history: list[Operation]) -> None:
    """Raise unless the history is one of a lock, whose tokens only grow."""
    taken = sum(operation.call[0] == "take" and operation.returned != PENDING for operation in history)
    assert taken > 10
    start: State = (None, 0)
    assert find_order(history, start, apply) is not None, explain(history, start, apply)
