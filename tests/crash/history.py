"""What the writers of crash tests do, and what may be found after a cut: a function of a seed, the same everywhere."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from events import Event, Said

State = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call that commits, opens or syncs: open, reopen, set, delete, update, transaction, clear, sync."""

    kind: str
    puts: State = field(default_factory=dict)
    deletes: tuple[Any, ...] = ()

    def apply(self, state: State) -> State:
        """The state after it."""
        kept = {} if self.kind == "clear" else {key: value for key, value in state.items() if key not in self.deletes}
        return {**kept, **self.puts}


@dataclass(frozen=True, slots=True)
class Promise:
    """Nothing is lost that had returned more than so many seconds before the cut. 0: what has returned is durable.

    ``syncs`` are the numbers of the operations after which everything is durable when they return.
    """

    seconds: float = 0.0
    syncs: frozenset[int] = frozenset()

    def bounds(self, events: list[Event], position: int) -> tuple[int, int]:
        """How many operations are there at least, and at most, after a cut behind this many events."""
        returned = begun = 0
        now = events[position - 1].seconds if position else 0.0
        for event in events[:position]:
            if isinstance(event, Said):
                word, number = event.text.split()[:2]
                if word == "begun":
                    begun = int(number)
                elif word == "done" and (
                    not self.seconds or event.seconds < now - self.seconds or int(number) in self.syncs
                ):
                    returned = int(number)
        return returned, begun


DURABLE = Promise()


def in_intervals(operations: Iterable[Operation], seconds: float) -> Promise:
    """What is promised where commits are durable only after a while, except for those that wait for the disk."""
    waiting = ("open", "reopen", "clear", "sync")
    return Promise(seconds, frozenset(at for at, operation in enumerate(operations, 1) if operation.kind in waiting))


def states(operations: Iterable[Operation]) -> list[State]:
    """The state after each number of operations, none included."""
    found: list[State] = [{}]
    for operation in operations:
        found.append(operation.apply(found[-1]))
    return found


def long_run(seed: int, length: int = 60) -> list[Operation]:
    """A shelf's life: small and large values, keys of all kinds, few enough to be overwritten and deleted often."""
    chance = random.Random(seed)
    deep = "deep/" * 130
    pool: list[Any] = [*range(6), "a", "b", "jobs/1", "jobs/2", ("t", 1), ("t", 2), b"raw", None, 0.5]
    # Keys too long for one row, which share their beginnings and so their links.
    pool += [deep, deep + "x", deep + "y" * 700, deep + "y" * 700 + "z", ("long", "k" * 600), b"\0" * 520]
    operations = [Operation("open")]
    state: State = {}
    kinds = ["set"] * 8 + ["delete"] * 3 + ["update"] * 4 + ["transaction"] * 4 + ["reopen", "sync"]
    while len(operations) < length:
        kind = chance.choice(kinds) if chance.random() < 0.98 else "clear"
        count = {"set": 1, "update": chance.randint(2, 8), "transaction": chance.randint(0, 5)}.get(kind, 0)
        puts = {key: _value(chance) for key in chance.sample(pool, count)}
        gone: list[Any] = []
        if state and kind in ("delete", "transaction"):
            gone = chance.sample(list(state), 1 if kind == "delete" else chance.randint(0, min(3, len(state))))
        if kind == "delete" and not gone:
            continue
        operation = Operation(kind, puts, tuple(key for key in gone if key not in puts))
        operations.append(operation)
        state = operation.apply(state)
    return operations


def _value(chance: random.Random) -> Any:
    """Something between 10 bytes and 20 kB, mostly small."""
    size = int(10 * 2000 ** chance.random())
    data = chance.randbytes(size)
    return chance.choice([data, data.hex()[:size], {"n": chance.randrange(1 << 40), "data": data}])


def short_run() -> list[Operation]:
    """One of each, for tests that try every single call."""
    return [
        Operation("open"),
        Operation("set", {"a": 1}),
        Operation("update", {"b": b"b" * 9000, "key" * 300: "long", 3: [3]}),
        Operation("transaction", {"a": 2, "c": "c" * 200}, ("b",)),
        Operation("reopen"),
        Operation("delete", deletes=("key" * 300,)),
        Operation("clear"),
        Operation("set", {"last": "one"}),
    ]
