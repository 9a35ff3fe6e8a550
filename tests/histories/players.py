"""Processes that work on one shelf and write down what they called, when, and what came of it.

Run by a worker: ``players.main(path, Game(...))``. Each player has a file of its own. It writes a line before a call
and one after it; a call without the second was cut short by a kill. Between two rounds nobody is at work, and an
*auditor* commits and reads what there is: it is a player as any other, and what it found is what the next round begins
with.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import broken_stores
import children
import failpoint_names
import operations
import timed_operations
from children import append, end, fork, kill, noise
from linearizability import PENDING, Operation
from shared_clock import SharedClock

import coshelf

__all__ = ["Game", "main", "read_rounds"]

_AUDITOR = "auditor"


@dataclass(frozen=True)
class Game:
    """What is played.

    Attributes:
        mix: "one key", "many keys" or "times": the calls that are drawn. With times, all processes go by one clock,
            which the players move.
        store: a name in :data:`broken_stores.STORES`.
        deaths: players that are killed in each round, at any instant; another one takes the place of each. As many
            others die at a failpoint if they get there. One of the first round dies inside a call in any case.
        keeper: whether a process that does nothing has the shelf open all the time.
    """

    seed: int
    mix: str
    rounds: int
    players: int = 5
    calls: int = 10
    deaths: int = 0
    store: str = "whole"
    durability: str = "interval"
    flush_interval: float = 0.01
    keeper: bool = False

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @property
    def has_times(self) -> bool:
        return self.mix == "times"

    def open(self, path: str) -> Any:
        if self.has_times:
            SharedClock(path).start()
        return coshelf.open(path, durability=self.durability, flush_interval=self.flush_interval, timeout=20)


class Player:
    """One process of one round."""

    def __init__(self, game: Game, path: str, turn: int, place: int, name: str) -> None:
        self._game = game
        self._path = path
        self._chance = random.Random(f"{game.seed} {turn} {name}")
        self._clock = SharedClock(path) if game.has_times else None
        self._first = turn * 1000 + place * 20  # of the numbers in its calls
        self._log = os.open(_log(path, turn, name), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._dies = bool(game.deaths) and turn == place == 0

    def play(self, wait: Callable[[], object], *, armed: bool = False) -> None:
        chance, game = self._chance, self._game
        late = chance.random() < 0.3  # opens while others are at work
        with ExitStack() as stack:
            if not late:
                shelf = stack.enter_context(game.open(self._path))
            if chance.random() < 0.7:
                noise(chance, 0.02)
            wait()
            if armed:
                failpoint_names.arm(f"{chance.choice(failpoint_names.names())}=kill@{chance.randrange(1, 4)}")
            if late:
                shelf = stack.enter_context(game.open(self._path))
            store = broken_stores.STORES[game.store](shelf)
            seen: dict[str, int | None] = {}
            if self._dies:  # at the first step of its first call
                children.at_each_step(lambda: os.kill(os.getpid(), signal.SIGKILL))
            for number in range(game.calls):
                call = self._draw(self._first + number, seen)
                result = self._record(store, call)
                match call:
                    case "get", key:
                        seen[key] = result
                    case "set", key, value:
                        seen[key] = value
                    case ("snapshot",):
                        seen = dict(zip(operations.KEYS, result, strict=True))
                if chance.random() < 0.1:
                    shelf.sync()

    def _draw(self, number: int, seen: dict[str, int | None]) -> tuple[Any, ...]:
        if self._game.has_times:
            return timed_operations.draw(self._chance, number, seen)
        mix = operations.ONE_KEY if self._game.mix == "one key" else operations.MANY_KEYS
        return operations.draw(self._chance, mix, number, seen)

    def audit(self) -> None:
        """Commit, which settles the unfinished calls of killed players. After that the content changes no more.

        What is stored here has no time.
        """
        change = "set" if self._game.has_times else "modify"
        with self._game.open(self._path) as whole:
            shelf = broken_stores.Whole(whole)
            for number, key in enumerate(operations.KEYS):
                name = change if number == 0 or self._chance.random() < 0.5 else "delete"
                self._record(shelf, (change, key, self._first) if name == change else ("delete", key))
                self._record(shelf, ("get", key))

    def _record(self, shelf: Any, call: tuple[Any, ...]) -> Any:
        shelf.clock = self._clock
        moves = self._clock is None or call[0] == "pass"
        with nullcontext() if moves else self._clock.standing():
            append(self._log, json.dumps([time.monotonic_ns(), call]))
            before = time.monotonic_ns()
            result = (timed_operations if self._game.has_times else operations).perform(shelf, call)
            after = time.monotonic_ns()
        append(self._log, json.dumps([before, after, result]))
        return result


def main(path: str, game: Game) -> None:
    failpoint_names.names()  # cached before the forks, for all children
    chance = random.Random(game.seed)
    os.mkdir(path + ".logs")
    game.open(path).close()
    with ExitStack() as stack:
        if game.keeper:
            keeper = fork(lambda: _keep(path, game))
            stack.callback(kill, keeper)
        for turn in range(game.rounds):
            _play_round(path, game, turn, chance)
            end(fork(Player(game, path, turn, 49, _AUDITOR).audit))


def _keep(path: str, game: Game) -> None:
    shelf = game.open(path)
    while True:
        time.sleep(1)
        assert not shelf.closed


def _play_round(path: str, game: Game, turn: int, chance: random.Random) -> None:
    ready, is_ready = os.pipe()
    gate, opened = os.pipe()

    def wait() -> None:
        os.write(is_ready, b".")
        os.read(gate, 1)  # until the gate is opened: its other end is closed

    def begin(place: int) -> int:
        def work() -> None:
            os.close(opened)
            Player(game, path, turn, place, str(place)).play(wait, armed=place < game.deaths)

        return fork(work)

    def take_over(place: int) -> int:
        return fork(lambda: Player(game, path, turn, place, f"another {place}").play(lambda: None))

    pids = [begin(place) for place in range(game.players)]
    armed = set(pids[: game.deaths])
    for _ in pids:
        os.read(ready, 1)
    os.close(opened)
    for place, victim in enumerate(chance.sample(pids[game.deaths :], game.deaths), game.players):
        time.sleep(chance.random() * 0.004)
        kill(victim)
        pids.remove(victim)
        pids.append(take_over(place))
    for pid in pids:
        end(pid, may_be_killed=pid in armed)
    for descriptor in (ready, is_ready, gate):
        os.close(descriptor)


# --- by the test -----------------------------------------------------------------------------------------------------


def _log(path: str, turn: int, name: str) -> str:
    return os.path.join(path + ".logs", f"{turn}-{name}")


def read_rounds(path: str) -> list[tuple[frozenset[tuple[str, int]], list[Operation]]]:
    """For each round what the shelf held before it, and its history, the auditor's calls included."""
    rounds: dict[int, list[Operation]] = defaultdict(list)
    for name in os.listdir(path + ".logs"):
        turn, _, player = name.partition("-")
        with open(os.path.join(path + ".logs", name), encoding="utf-8") as file:
            rounds[int(turn)] += _read_log(player, file.read())
    found = []
    state: frozenset[tuple[str, int]] = frozenset()
    for turn in sorted(rounds):
        found.append((state, rounds[turn]))
        audited = [
            operation for operation in rounds[turn] if operation.process == _AUDITOR and operation.call[0] == "get"
        ]
        state = frozenset(
            (operation.call[1], operation.result) for operation in audited if operation.result is not None
        )
    return found


def _read_log(player: str, text: str) -> list[Operation]:
    lines = text.split("\n")[:-1]  # what follows the last line's end was cut by a kill
    history = []
    for number in range(0, len(lines), 2):
        invoked, call = json.loads(lines[number])
        if number + 1 < len(lines):
            invoked, returned, result = json.loads(lines[number + 1])
            history.append(Operation(player, tuple(call), invoked, returned, result))
        else:
            history.append(Operation(player, tuple(call), invoked, PENDING))
    return history
