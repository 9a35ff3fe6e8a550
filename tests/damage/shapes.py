"""Closed shelves of several shapes, each with what it holds."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import coshelf

__all__ = ["SHAPES", "Shape", "make"]

Entries = dict[Any, Any]


class Shape(NamedTuple):
    """The bytes of a closed shelf, an earlier state of the same file, and what it holds."""

    name: str
    before: bytes
    whole: bytes
    entries: Entries


def _few(shelf: Any) -> None:
    shelf.update({"a": 1, "target": [1, 2], "z": "last", ("t", 1): None, 7: 2.5})


def _thousands(shelf: Any) -> None:
    shelf.update({f"user/{number:05}": {"n": number, "name": "x" * (number % 40)} for number in range(3_000)})


def _long_keys(shelf: Any) -> None:
    shelf.update({"k" * 600 + str(number) * (number % 3 * 300 + 1): number for number in range(60)})


def _large_values(shelf: Any) -> None:
    shelf.update({f"blob {number}": bytes([number]) * (3_000 * number) for number in range(12)})


def _after_deletes(shelf: Any) -> None:
    chance = random.Random(3)
    for _ in range(6):
        shelf.update({chance.randrange(3_000): chance.randbytes(60) for _ in range(800)})
        shelf.sync()
        with shelf.transaction() as transaction:
            for key in chance.sample(sorted(transaction), 500):
                del transaction[key]
        shelf.sync()


SHAPES: dict[str, Callable[[Any], None]] = {
    "few": _few,
    "thousands": _thousands,
    "long keys": _long_keys,
    "large values": _large_values,
    "after deletes": _after_deletes,
}


def make(name: str, directory: str) -> Shape:
    """Make one, close it, keep its bytes; change it a little and close it again."""
    path = os.path.join(directory, "made.shelf")
    with coshelf.open(path, "n") as shelf:
        SHAPES[name](shelf)
    before = _bytes(path)
    with coshelf.open(path) as shelf:
        # In one commit: which pages there are would depend on where between several of them a flush comes.
        shelf.update(dict.fromkeys(list(shelf)[::7], "changed") | {"added": "later"})
    with coshelf.open(path, "r") as shelf:
        entries = shelf.copy()
    return Shape(name, before, _bytes(path), entries)


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
