"""Helpers for tests of values."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

import coshelf
from coshelf import records
from coshelf.contract import Batch
from coshelf.keys import encode
from starting import Program, words_of

KEY, OTHER = b"k" * 16, b"o" * 100
SOURCE = str(Path(coshelf.__file__).parents[1])


class User(msgspec.Struct):
    name: str
    age: int
    friends: list[str] = []


@dataclasses.dataclass
class Point:
    x: float
    y: float


@dataclasses.dataclass
class Line:
    points: list[Point]


class Address(msgspec.Struct):
    lines: list[int]


class Person(msgspec.Struct):
    address: Address


class Plain(msgspec.Struct, eq=False):
    x: float


class Holder(msgspec.Struct):
    of: list[Plain]
    n: float


SMALL: dict[str, Any] = {
    "pickle": {1, 2, (3, "x")},
    "msgspec": {"a": [1, 2.5, None, b"bytes", True], 7: "é\U0001f600"},
    "json": {"a": [1, 2.5, None, "text", True, 10**30], "lone \udc80": "\ud800"},
    "bytes": b"\x00\xffbytes",
    "str": "té\udc80xt",
}
LARGE: dict[str, Any] = {
    "pickle": set(range(50_000)),
    "msgspec": [{"n": n} for n in range(20_000)],
    "json": [{"n": n} for n in range(20_000)],
    "bytes": bytes(range(256)) * 1_000,
    "str": "té xt" * 20_000,
}


def body_of(shelf: Any, key: Any) -> bytes:
    return bytes(shelf._handle.engine.get(encode(key)).record[: -records.TRAILER])


def plant(shelf: Any, key: Any, body: bytes) -> None:
    """Put a record with a correct checksum under a key."""
    shelf._handle.engine.commit(Batch(puts={encode(key): body}))


def run(program: Program, *arguments: object) -> str:
    """The output of a program that runs in a process of its own."""
    done = subprocess.run(
        [sys.executable, *words_of(program), *map(str, arguments)],
        env={"PYTHONPATH": SOURCE, "PATH": "", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
