"""What is mutated: real pickles, records, keys and files, made by the library itself."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import fractions
import functools
import ipaddress
import os
import pathlib
import pickle
import tempfile
import types
import uuid
import zoneinfo
from array import array
from typing import Any

import coshelf
from coshelf.keys import encode
from coshelf.system import extras
from coshelf.testing.moving_clock import MovingClock
from coshelf.values.serializers import serializer

__all__ = ["files", "keys", "layered", "pickles", "timed"]

_SHARED = [1, 2]
VALUES: list[Any] = [
    *(None, True, 0, -1, 2**31, 2**70, -(2**70), 1.5, float("inf"), "", "text", "é\U0001f40d" * 5, b"", b"\0\xff" * 9),
    *(bytearray(b"abc"), (), (1,), (1, 2), (1, 2, 3), tuple(range(9)), [], list(range(9)), {}, {"a": 1, 2: [3]}),
    *({1, 2}, frozenset((3, 4)), {"x": {"y": {"z": [(), set()]}}}, [_SHARED, _SHARED], "x" * 300, ["y"] * 300),
    *(dt.datetime(2026, 11, 24, 15, tzinfo=zoneinfo.ZoneInfo("UTC")), dt.date(2026, 1, 1), dt.timedelta(3), dt.UTC),
    *(dt.time(5), decimal.Decimal("1.50"), fractions.Fraction(1, 3), uuid.UUID(int=5), pathlib.PurePosixPath("/a/b")),
    *(collections.OrderedDict(a=1), collections.Counter("aab"), collections.deque([1, 2], 5), 3 + 4j, range(1, 9, 2)),
    *(collections.defaultdict(list, {1: [2]}), collections.ChainMap({}, {1: 2}), types.SimpleNamespace(a=1)),
    *(array("d", [1.5]), ipaddress.ip_address("::1"), ValueError("x"), slice(1, 2), ..., collections.UserDict(a=1)),
]


class _Reducing:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.made = (function, arguments)

    def __reduce__(self) -> Any:
        return self.made


# What attackers write; none of it is ever loaded but through the gate.
TRAPS: list[Any] = [
    *(_Reducing(os.system, "true"), _Reducing(eval, "1"), _Reducing(getattr, os, "system"), _Reducing(print, 1)),
    *(_Reducing(functools.partial, os.system, "true"), _Reducing(__import__, "antigravity"), _Reducing(open, "x", "w")),
    *(_Reducing(type, "X", (), {}), _Reducing(setattr, dt, "x", 1), _Reducing(os.getcwd), os.system, dt.datetime.now),
]


@functools.cache
def pickles() -> list[bytes]:
    """Pickles of all plain data in all protocols, and of traps; numpy's, too, if it is there."""
    values = [*VALUES, *TRAPS]
    try:
        import numpy as np

        values += [np.arange(6).reshape(2, 3), np.float64(1.5), np.array(["a", "b"]), np.zeros((0, 3))]
        values += [np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), np.datetime64("2026-11-24")]
    except ImportError:
        pass
    made = []
    for value in values:
        for protocol in range(6):
            try:
                made.append(pickle.dumps(value, protocol))
            except (TypeError, pickle.PicklingError, ValueError):
                continue
    return made


@functools.cache
def timed() -> list[bytes]:
    """A time and a pickle, as ``targets.timed_record`` takes them."""
    return [time.to_bytes(8, "little") + data for data in pickles()[::7] for time in (0, (1 << 50) - 1, 1 << 50)]


@functools.cache
def keys() -> list[bytes]:
    """Encoded keys of all types."""
    parts: list[Any] = [
        None,
        0,
        1,
        -1,
        255,
        256,
        -(2**63),
        2**64,
        10**40,
        1.5,
        -0.25,
        1e300,
        float("inf"),
        -float("inf"),
    ]
    parts += ["", "a", "é\0\xff", "\ud800", "x" * 600, b"", b"\0\xff\0", b"x" * 600]
    whole = [*parts, (), *((part,) for part in parts), *((part, "b", (part, 1)) for part in parts), (((),),)]
    return [encode(key) for key in whole]


@functools.cache
def files() -> list[bytes]:
    """Small closed shelves: a few entries, long keys, large values, entries with times, and what deletions leave."""
    made = []
    with tempfile.TemporaryDirectory() as place, MovingClock() as clock:
        clock.pass_by(-1e9)  # what expires within a second has expired when the file is read
        for name, entries in (
            ("few", {"a": 1, "b": [1, 2], ("t", 1): {"x": None}}),
            ("long keys", {"k" * 600 + str(number): number for number in range(9)} | {"k" * 2000: 1}),
            ("large values", {number: bytes([number]) * 9_000 for number in range(4)}),
            ("branches", {f"user/{number:03}": {"n": number, "text": "x" * 40} for number in range(120)}),
        ):
            path = os.path.join(place, "a.shelf")
            with coshelf.open(path, "n") as shelf:
                shelf.update(entries)
                shelf.set("expires", 1, expire=2e9)
                shelf.update({"over": 1, "o" * 600: 2}, expire=1)
            with coshelf.open(path) as shelf:
                for key in list(shelf)[1::3]:
                    del shelf[key]
                shelf[name] = "added later"
            with open(path, "rb") as file:
                made.append(file.read())
            os.unlink(path)
    return made


@functools.cache
def layered() -> list[bytes]:
    """Codec, size and payload, as ``targets.layered_record`` takes them."""
    zstd, found = extras.zstd(), []
    for value in (None, True, -1, 2**40, 1.5, "é" * 40, [1, [2, {"a": None}]], {"a": {"b": ["x"] * 30}}, ["y"] * 300):
        for number in (1, 2, 3, 4):
            codec = serializer(number)
            payload = codec.dumps("k", value if number < 3 else repr(value).encode() if number == 3 else repr(value))
            found.append(bytes((number,)) + payload)
            found.append(bytes((number | 0x40,)) + (1 << 50).to_bytes(8, "little") + payload)
            found.append(bytes((number | 0x80,)) + len(payload).to_bytes(3, "little") + zstd.compress(payload))
    return found
