"""Random values of plain data, and keys, by seeds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

__all__ = ["a_key", "a_value", "mutated"]

_CHARACTERS = [*map(chr, range(32, 127)), "\0", "\xe9", "\u20ac", "\ud800", "\U0001f600"]
_LENGTHS = (0, 1, 3, 255, 256)
_AROUND_A_BATCH = (999, 1000, 1001, 2000, 2001)
_LARGE = 66_000  # bytes: more than a frame has


def a_value(seed: int, *, shared: bool) -> Any:
    """A value; with ``shared`` it has the same objects in several places."""
    chance = random.Random(f"value {seed}")
    return _Maker(chance, [] if shared else None).value(0)


class _Maker:
    def __init__(self, chance: random.Random, pool: list[Any] | None) -> None:
        self.chance = chance
        self.pool = pool

    def value(self, depth: int, *, hashable: bool = False) -> Any:
        if self.pool and not hashable and self.chance.random() < 0.15:
            return self.chance.choice(self.pool)
        makers: list[Callable[..., Any]] = [self.scalar, self.integer, self.text, self.binary]
        if not hashable:
            makers.append(self.array)
        if depth < 4:
            makers += [self.tuple_of, self.frozenset_of]
            makers += [] if hashable else [self.dict_of, self.list_of, self.dict_of, self.list_of, self.set_of]
        made = self.chance.choice(makers)(depth, hashable=hashable)
        if self.pool is not None and depth:
            self.pool.append(made)
        return made

    def scalar(self, _: int, **__: bool) -> Any:
        return self.chance.choice((None, True, False, -0.0, math.inf, self.chance.random() * 10**10))

    def integer(self, _: int, **__: bool) -> Any:
        bits = self.chance.choice((1, 8, 16, 31, 32, 33, 63, 64, 65, 127, 128, 300, 2040, 2048))
        return self.chance.choice((1, -1)) * self.chance.getrandbits(bits) + self.chance.choice((0, 0, 1, -1))

    def length(self, depth: int) -> int:
        return self.chance.choice((*_LENGTHS, _LARGE if depth < 2 else 2)) if self.chance.random() < 0.1 else 5

    def text(self, depth: int, **_: bool) -> Any:
        if self.chance.random() < 0.5:
            return "k" * self.length(depth)
        return "".join(self.chance.choices(_CHARACTERS, k=self.chance.randrange(12)))

    def binary(self, depth: int, **_: bool) -> Any:
        return self.chance.randbytes(self.length(depth))

    def array(self, depth: int, **_: bool) -> Any:
        return bytearray(self.length(depth))

    def count(self, depth: int) -> int:
        many = not depth and self.chance.random() < 0.05
        return self.chance.choice(_AROUND_A_BATCH) if many else self.chance.choice((0, 1, 2, 5))

    def tuple_of(self, depth: int, *, hashable: bool) -> Any:
        return tuple(self.value(depth + 1, hashable=hashable) for _ in range(self.chance.randrange(6)))

    def list_of(self, depth: int, **_: bool) -> Any:
        return [self.value(depth + 1) for _ in range(self.count(depth))]

    def dict_of(self, depth: int, **_: bool) -> Any:
        return {self.value(4, hashable=True): self.value(depth + 1) for _ in range(self.count(depth))}

    def set_of(self, depth: int, **_: bool) -> Any:
        return {self.value(4, hashable=True) for _ in range(self.count(depth))}

    def frozenset_of(self, depth: int, **_: bool) -> Any:
        return frozenset(self.value(depth + 1, hashable=True) for _ in range(self.chance.randrange(4)))


def a_key(seed: int) -> Any:
    """A key, of any kind that there is."""
    return _key(random.Random(f"key {seed}"), 0)


def _key(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(7 if depth < 3 else 6)
    if kind == 0:
        return chance.choice((None, True, False, 1.5, -0.25, 1e300, 3.0, -math.inf))
    if kind == 1:
        return chance.choice((0, 255, 256, 2**63 - 1, 2**63, 2**64 - 1, 2**64)) * chance.choice((1, -1))
    if kind == 2:
        return chance.choice((1, -1)) * chance.getrandbits(chance.randrange(1, 70))
    if kind == 3:
        return "".join(chance.choices("ab\0\xe9\ud800\U0001f600", k=chance.randrange(6)))
    if kind == 4:
        return bytes(chance.choices((0, 1, 65, 255), k=chance.randrange(6)))
    if kind == 5:
        return "x" * chance.choice((0, 10, 300))
    return tuple(_key(chance, depth + 1) for _ in range(chance.choice((0, 1, 2, 3, 9, 12))))


def mutated(data: bytes, seed: int) -> bytes:
    """The same bytes, except for one to three of them."""
    chance = random.Random(f"mutation {seed}")
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)
