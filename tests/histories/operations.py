"""The calls that histories are made of, and the sequential shelf that they are compared with: a dict."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

__all__ = ["KEYS", "MANY_KEYS", "ONE_KEY", "Sequential", "apply", "draw", "perform"]

LONG = "long" * 200  # longer than a key of LMDB
KEYS = ("a", "b", LONG)

ONE_KEY = {"get": 5, "set": 4, "delete": 2, "pop": 1, "setdefault": 1, "replace": 4, "modify": 3}
"""Calls on one key, and how often each is drawn."""

MANY_KEYS = {
    **ONE_KEY, "update": 2, "exchange": 3, "popitem": 1, "clear": 1,
    "snapshot": 3, "get_many": 2, "items": 2, "backwards": 1, "len": 2,
}  # fmt: skip
"""These and calls on several keys."""

Call = tuple[Any, ...]


def _mixed(old: int | None, number: int) -> int:
    """A new value that tells which one it was made of."""
    return ((old or 0) * 31 + number) % 1_000_003


def draw(chance: random.Random, mix: Mapping[str, int], number: int, seen: Mapping[str, int | None]) -> Call:
    """A call. ``number`` is like no other, and so are values; ``seen`` is what this process believes of the keys."""
    name = chance.choices(list(mix), list(mix.values()))[0]
    key, other = chance.sample(KEYS, 2)
    match name:
        case "set" | "setdefault" | "modify":
            return name, key, number
        case "replace":
            return name, key, seen.get(key), number
        case "update" | "exchange":
            return name, key, other, number
        case "get" | "delete" | "pop":
            return name, key
        case _:
            return (name,)


def perform(shelf: Any, call: Call) -> Any:
    """Do what a call says to a shelf, or to what behaves like one; return what it returned."""
    match call:
        case "get", key:
            return shelf.get(key)
        case "set", key, value:
            shelf[key] = value
            return None
        case "delete", key:
            try:
                del shelf[key]
            except KeyError:
                return False
            return True
        case "pop", key:
            return shelf.pop(key, None)
        case "setdefault", key, value:
            return shelf.setdefault(key, value)
        case "replace", key, old, new:
            return shelf.replace(key, old, new)
        case "modify", key, number:
            return shelf.modify(key, lambda old: _mixed(old, number), default=0)
        case "update", key, other, number:
            shelf.update({key: number, other: -number})
            return None
        case "exchange", key, other, number:
            return _exchange(shelf, key, other, number)
        case ("popitem",):
            try:
                return list(shelf.popitem())
            except KeyError:
                return None
        case ("clear",):
            shelf.clear()
            return None
        case ("snapshot",):
            with shelf.snapshot() as snapshot:
                return [snapshot.get(key) for key in KEYS]
        case ("get_many",):
            return [list(item) for item in sorted(shelf.get_many(KEYS).items())]
        case ("items",):
            return [list(item) for item in shelf.items()]
        case ("backwards",):
            return list(reversed(shelf))
        case ("len",):
            return len(shelf)
    raise ValueError(f"no such call: {call!r}")


def _exchange(shelf: Any, key: str, other: str, number: int) -> list[int | None]:
    """A transaction that reads two entries, removes one of them or changes both, and returns what it has read."""
    with shelf.transaction() as transaction:
        found = [transaction.get(key), transaction.get(other)]
        transaction[key] = _mixed(found[1], number)
        if number % 3:
            transaction[other] = _mixed(found[0], number)
        else:
            transaction.pop(other, None)
    return found


class Sequential(dict[str, int]):
    """A shelf that only one process uses: a dict in the order of its keys."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(super().__iter__()))

    def __reversed__(self) -> Iterator[str]:
        return iter(sorted(super().__iter__(), reverse=True))

    def items(self) -> list[tuple[str, int]]:  # type: ignore[override]
        return sorted(super().items())

    def popitem(self) -> tuple[str, int]:
        if not self:
            raise KeyError
        key = max(super().__iter__())
        return key, self.pop(key)

    def replace(self, key: str, old: int, new: int) -> bool:
        if key not in self or self[key] != old:
            return False
        self[key] = new
        return True

    def modify(self, key: str, function: Callable[[int], int], default: int) -> int:
        self[key] = function(self.get(key, default))
        return self[key]

    def get_many(self, keys: tuple[str, ...]) -> dict[str, int]:
        return {key: self[key] for key in keys if key in self}

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        yield self

    snapshot = transaction


def apply(state: frozenset[tuple[str, int]], call: Call) -> tuple[object, Hashable]:
    """The result of a call on a state, and the state after it."""
    shelf = Sequential(state)
    result = perform(shelf, call)
    return result, frozenset(dict.items(shelf))
