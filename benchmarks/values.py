"""How long codecs and layers take beside plain pickles: encoding and decoding alone, and whole sets and gets.

``python benchmarks/values.py`` prints a table of ratios and writes results/values.json. Contenders take turns. The
figures are medians of the rounds.
"""

from __future__ import annotations

import functools
import json
import operator
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

import coshelf
from coshelf.keys import encode
from coshelf.records import TRAILER

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "values.json"
ROUNDS, SECONDS = 151, 0.002  # of one contender in one round
SECRET = bytes(range(32))
SYLLABLES = "ba co de fi gu ha ki lo me nu or pa que ri so ta un ve wi xe y ing ed er".split()


class User(msgspec.Struct):
    """A small record, such as applications store by the thousand."""

    name: str
    email: str
    age: int
    active: bool
    score: float
    roles: list[str]


def user(number: int) -> User:
    roles = ["reader", "writer", "admin"][: 1 + number % 3]
    return User(f"user {number}", f"user{number * 7}@example.com", 20 + number % 60, number % 2 == 0, number / 7, roles)


def texts_like_prose(count: int) -> list[str]:
    """Texts of about 8 kB, of 2,000 made-up words. Some are much more frequent than others, as in any language."""
    chance = random.Random(5)
    words = ["".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) for _ in range(2_000)]
    weights = [1 / rank for rank in range(1, 2_001)]
    return [" ".join(chance.choices(words, weights, k=1_400)) for _ in range(count)]


def measured(contenders: dict[str, Callable[[], Any]]) -> dict[str, tuple[float, float]]:
    """Microseconds of one call of each function, and the ratio to the first function: medians of rounds in turns.

    Times are those of the thread, and ratios are computed within a round, because other programs use the machine, too.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    counts = {name: _count(function) for name, function in contenders.items()}
    for _ in range(ROUNDS):
        for name, function in contenders.items():
            begun = time.thread_time()
            for _ in range(counts[name]):
                function()
            times[name].append((time.thread_time() - begun) / counts[name] * 1e6)
    first = next(iter(times.values()))
    return {
        name: (statistics.median(found), statistics.median(map(operator.truediv, found, first)))
        for name, found in times.items()
    }


def _count(function: Callable[[], Any]) -> int:
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < SECONDS:
        function()
        done += 1
    return max(1, done)


def compared(place: str, what: str, options: dict[str, dict[str, Any]], values: dict[str, list[Any]]) -> dict[str, Any]:
    """Each contender has its own shelf with a thousand values. All steps use the value in the middle."""
    with ExitStack() as stack:
        shelves = {}
        for number, (name, given) in enumerate(options.items()):
            trained = given.pop("trained", False)
            shelf = stack.enter_context(coshelf.open(f"{place}/{what}-{number}.shelf", flush_interval=60, **given))
            shelf.update(enumerate(values[name]))
            if trained:
                shelf.train_dictionary(size=16_384)
                shelf.update(enumerate(values[name]))
            shelf.sync()
            shelves[name] = shelf
        middle = len(next(iter(values.values()))) // 2
        key = encode(middle)
        steps: dict[str, dict[str, Callable[[], Any]]] = {"dump": {}, "load": {}, "set": {}, "get": {}}
        sizes = {}
        for name, shelf in shelves.items():
            codec, value, record = shelf._codec, values[name][middle], _record(shelf, key)
            sizes[name] = len(record) - TRAILER
            steps["dump"][name] = functools.partial(codec.dump, middle, key, value)
            steps["load"][name] = functools.partial(codec.load, middle, key, record)
            steps["set"][name] = functools.partial(shelf.__setitem__, middle, value)
            steps["get"][name] = functools.partial(shelf.__getitem__, middle)
        times = {step: measured(contenders) for step, contenders in steps.items()}
    return {name: {"bytes": sizes[name]} | {step: times[step][name] for step in steps} for name in options}


def _record(shelf: coshelf.Shelf[Any, Any], key: bytes) -> bytes:
    entry = shelf._handle.engine.get(key)
    assert entry is not None
    return entry.record


def print_table(what: str, results: dict[str, dict[str, Any]]) -> None:
    """Print sizes, microseconds, and ratios to the first contender, which is the plain pickle."""
    steps = ("dump", "load", "set", "get")
    print(f"\n{what:26}  {'bytes':>6}" + "".join(f"  {f'{step}, us':>17}" for step in steps))
    for name, found in results.items():
        figures = ("{:8.2f} ({:.2f}x)".format(*found[step]) for step in steps)
        print(f"{name:26}  {found['bytes']:>6}" + "".join(f"  {each:>17}" for each in figures))


def main() -> None:
    users = [user(number) for number in range(1_000)]
    dicts = [msgspec.to_builtins(each) for each in users]
    texts = texts_like_prose(1_000)
    records: dict[str, tuple[dict[str, Any], list[Any]]] = {
        "pickle of a Struct": ({}, users),
        "pickle of a dict": ({}, dicts),
        "msgspec, type=Struct": ({"type": User}, users),
        "msgspec, of a dict": ({"codec": "msgspec"}, dicts),
        "json, type=Struct": ({"codec": "json", "type": User}, users),
        "json, of a dict": ({"codec": "json"}, dicts),
        "pickle, zstd": ({"compress": "zstd"}, dicts),
        "pickle, zstd, dictionary": ({"compress": "zstd", "trained": True}, dicts),
        "json, zstd, dictionary": ({"codec": "json", "compress": "zstd", "trained": True}, dicts),
        "pickle, AES-GCM": ({"encrypt": SECRET}, dicts),
        "msgspec Struct, AES-GCM": ({"type": User, "encrypt": SECRET}, users),
    }
    prose: dict[str, tuple[dict[str, Any], list[Any]]] = {
        "pickle of text": ({}, texts),
        "str": ({"codec": "str"}, texts),
        "json": ({"codec": "json"}, texts),
        "str, zstd level 1": ({"codec": "str", "compress": coshelf.Zstd(1)}, texts),
        "str, zstd": ({"codec": "str", "compress": "zstd"}, texts),
        "str, zstd level 9": ({"codec": "str", "compress": coshelf.Zstd(9)}, texts),
        "str, zstd, dictionary": ({"codec": "str", "compress": "zstd", "trained": True}, texts),
        "str, AES-GCM": ({"codec": "str", "encrypt": SECRET}, texts),
        "str, zstd, AES-GCM": ({"codec": "str", "compress": "zstd", "encrypt": SECRET}, texts),
    }
    results: dict[str, Any] = {}
    # In memory: the work of this process is compared, not that of the disk.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else HERE) as place:
        for what, contenders in (("a small record", records), ("8 kB of text", prose)):
            options = {name: given for name, (given, _) in contenders.items()}
            results[what] = compared(
                place, what[:1], options, {name: values for name, (_, values) in contenders.items()}
            )
            print_table(what, results[what])
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written to {RESULTS}", file=sys.stderr)


if __name__ == "__main__":
    main()
