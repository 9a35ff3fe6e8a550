"""The calls of histories with times, and the sequential shelf that they are compared with: a dict with times."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import operations
from operations import KEYS, MANY_KEYS, Call, Sequential

__all__ = ["MIX", "TimedState", "apply", "begin", "draw", "perform"]

MIX = {
    **MANY_KEYS, "set_for": 6, "add_for": 3, "update_for": 2, "touch": 5, "make_permanent": 1, "expires": 4, "pass": 7,
    "expire": 1,
}  # fmt: skip
"""The calls on several keys and those about times, and how often each is drawn."""

TimedState = tuple[int, frozenset[tuple[str, int, int | None]]]
"""The time since the beginning, and the entries, each with its time."""

_LENGTHS = (1, 2, 5)


def begin(state: Iterable[tuple[str, int]]) -> TimedState:
    """Permanent entries at the beginning."""
    return 0, frozenset((key, value, None) for key, value in state)


def draw(chance: random.Random, number: int, seen: dict[str, int | None]) -> Call:
    """A call. As :func:`operations.draw`."""
    name = chance.choices(list(MIX), list(MIX.values()))[0]
    key, other = chance.sample(KEYS, 2)
    match name:
        case "set_for" | "add_for":
            return name, key, number, chance.choice(_LENGTHS)
        case "update_for":
            return name, key, other, number, chance.choice(_LENGTHS)
        case "touch":
            return name, key, chance.choice(_LENGTHS)
        case "make_permanent" | "expires":
            return name, key
        case "pass":
            return name, chance.choice((1, 1, 2))
        case "expire":
            return (name,)
    return operations.draw(chance, {name: 1}, number, seen)


def perform(shelf: Any, call: Call) -> Any:
    """Do what a call says. As :func:`operations.perform`; ``shelf.clock`` is the clock that it goes by."""
    match call:
        case "set_for", key, value, seconds:
            shelf.set(key, value, expire=seconds)
            return None
        case "add_for", key, value, seconds:
            return shelf.add(key, value, expire=seconds)
        case "update_for", key, other, number, seconds:
            shelf.update({key: number, other: -number}, expire=seconds)
            return None
        case "touch", key, seconds:
            return shelf.touch(key, expire=seconds)
        case "make_permanent", key:
            return shelf.touch(key, expire=None)
        case "expires", key:
            try:
                time = shelf.expires(key)
            except KeyError:
                return "missing"
            return None if time is None else round(time - shelf.clock.seconds())
        case "pass", seconds:
            shelf.clock.pass_by(seconds)
            return None
        case ("expire",):
            shelf.expire()
            return None
    return operations.perform(shelf, call)


class _Timed(Sequential):
    """A shelf that only one process uses, and its clock: a dict in the order of its keys, with times."""

    def __init__(self, state: TimedState) -> None:
        self.time, entries = state
        self.times: dict[str, int | None] = {key: time for key, _, time in entries}
        super().__init__((key, value) for key, value, _ in entries)
        self.clock = self

    def state(self) -> TimedState:
        entries = frozenset((key, value, self.times.get(key)) for key, value in dict.items(self))
        return self.time, entries

    def seconds(self) -> float:
        return self.time

    def pass_by(self, seconds: int) -> None:
        self.time += seconds
        for key, time in self.times.items():
            if time is not None and time <= self.time:
                self.pop(key, None)

    def __setitem__(self, key: str, value: int) -> None:
        super().__setitem__(key, value)
        self.times[key] = None

    def update(self, entries: dict[str, int], expire: int | None = None) -> None:  # type: ignore[override]
        for key, value in entries.items():
            self.set(key, value, expire)

    def set(self, key: str, value: int, expire: int | None) -> None:
        self[key] = value
        self.times[key] = None if expire is None else self.time + expire

    def add(self, key: str, value: int, expire: int) -> bool:
        if key in self:
            return False
        self.set(key, value, expire)
        return True

    def touch(self, key: str, expire: int | None) -> bool:
        if key not in self:
            return False
        self.set(key, self[key], expire)
        return True

    def replace(self, key: str, old: int, new: int) -> bool:
        time = self.times.get(key)
        found = super().replace(key, old, new)
        self.times[key] = time
        return found

    def modify(self, key: str, function: Callable[[int], int], default: int) -> int:
        time = self.times.get(key) if key in self else None
        result = super().modify(key, function, default)
        self.times[key] = time
        return result

    def expires(self, key: str) -> int | None:
        return self.times[key] if self[key] is not None else None

    def expire(self) -> None:
        """Nothing that exists has expired."""


def apply(state: TimedState, call: Call) -> tuple[object, Hashable]:
    """The result of a call on a state, and the state after it."""
    shelf = _Timed(state)
    return perform(shelf, call), shelf.state()
