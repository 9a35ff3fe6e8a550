"""Arguments of every kind that can be part of a key. Each is made anew by a function."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import ipaddress
import pathlib
import re
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np

__all__ = ["ARGUMENTS", "Colour", "Pair", "Parts", "Permissions", "Point"]


class Colour(enum.Enum):
    RED = 1
    ALSO_RED = "RED"


class Number(enum.IntEnum):
    ONE = 1


class Permissions(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Point:
    x: float
    y: list[int]


class Struct(msgspec.Struct):
    x: float
    y: list[int]


class Pair(NamedTuple):
    first: int
    second: int


class Parts(NamedTuple):
    first: int
    second: int


_BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")

ARGUMENTS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "ellipsis": lambda: ...,
    "int": lambda: 5,
    "negative": lambda: -5,
    "large int": lambda: 7**3000,
    "float": lambda: 2.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "negative zero": lambda: -0.0,
    "complex": lambda: complex(1, -0.0),
    "str": lambda: "text",
    "surrogate": lambda: "\ud800",
    "long str": lambda: "é" * 1000,
    "bytes": lambda: b"text",
    "long bytes": lambda: bytes(1000),
    "tuple": lambda: (1, "a", (None, b"")),
    "tuple like a digest": lambda: ("digest", bytes(16)),
    "tuple of a list": lambda: ([1],),
    "empty tuple": lambda: (),
    "list": lambda: [1, [2, "3"]],
    "dict": lambda: {"a": 1, 2: [3], None: {}},
    "set": lambda: {"b", "a", 3, (1, 2)},
    "frozenset": lambda: frozenset(("b", "a")),
    "bytearray": lambda: bytearray(b"text"),
    "range": lambda: range(1, 10, 2),
    "slice": lambda: slice(1, None),
    "enum": lambda: Colour.RED,
    "other enum": lambda: Colour.ALSO_RED,
    "int enum": lambda: Number.ONE,
    "flags": lambda: Permissions.READ | Permissions.WRITE,
    "dataclass": lambda: Point(1.5, [2]),
    "struct": lambda: Struct(1.5, [2]),
    "named tuple": lambda: Pair(1, 2),
    "other named tuple": lambda: Parts(1, 2),
    "ordered dict": lambda: collections.OrderedDict(b=1, a=2),
    "other ordered dict": lambda: collections.OrderedDict(a=2, b=1),
    "default dict": lambda: collections.defaultdict(list, a=[1]),
    "counter": lambda: collections.Counter("hello"),
    "deque": lambda: collections.deque([1, 2], 5),
    "date": lambda: dt.date(2026, 11, 30),
    "time": lambda: dt.time(12, 30),
    "datetime": lambda: dt.datetime(2026, 11, 30, 12, 30, 0, 5),  # noqa: DTZ001
    "datetime in a zone": lambda: dt.datetime(2026, 10, 25, 2, 30, tzinfo=_BERLIN),
    "later datetime in a zone": lambda: dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=_BERLIN),
    "datetime in utc": lambda: dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC),
    "timedelta": lambda: dt.timedelta(days=1, microseconds=5),
    "decimal": lambda: decimal.Decimal("1.0"),
    "longer decimal": lambda: decimal.Decimal("1.00"),
    "fraction": lambda: fractions.Fraction(1, 3),
    "uuid": lambda: uuid.UUID(int=5),
    "path": lambda: pathlib.PurePosixPath("a/b"),
    "windows path": lambda: pathlib.PureWindowsPath("a/b"),
    "address": lambda: ipaddress.ip_address("127.0.0.1"),
    "pattern": lambda: re.compile("a+", re.IGNORECASE),
    "function": lambda: len,
    "class": lambda: Point,
    "partial": lambda: functools.partial(len, [1]),
    "array": lambda: np.arange(6, dtype="<i4").reshape(2, 3),
    "array of another shape": lambda: np.arange(6, dtype="<i4").reshape(3, 2),
    "array of another type": lambda: np.arange(6, dtype="<u4").reshape(2, 3),
    "empty array": lambda: np.zeros((0, 3)),
    "scalar array": lambda: np.array(1.5),
    "array of objects": lambda: np.array([None, "a", [1]], dtype=object),
    "array of dates": lambda: np.array(["2026-11-30"], dtype="M8[ms]"),
    "array of records": lambda: np.array([(1, 2.5)], dtype=[("a", "i1"), ("b", "f8")]),
    "array of texts": lambda: np.array(["a", "bc"]),
    "date of numpy": lambda: np.datetime64("2026-11-30"),
    "complex of numpy": lambda: np.complex64(1 + 2j),
}
