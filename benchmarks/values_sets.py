"""Size and time of three real sets of values in each way to store them, beside plain pickle.

``python benchmarks/values_sets.py`` writes results/values_sets.json. The ways take turns. The figures are
medians of the rounds.
"""

from __future__ import annotations

import argparse
import functools
import json
import operator
import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

import coshelf
from coshelf.contract import Batch
from coshelf.keys import encode
from coshelf.records import TRAILER
from coshelf.values.blobs import reference_in
from real_values import Character, arrays, records, texts

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "values_sets.json"
SECRET = bytes(range(32))
PLAIN = "plain pickle"
ZSTD, BOTH = {"compress": "zstd"}, {"compress": "zstd", "encrypt": SECRET}


@dataclass
class Way:
    """A way to store the values of a set.

    Attributes:
        values: the values, in the form that it stores.
        options: the options of ``coshelf.open``.
        trained: whether a dictionary is trained.
        copies: whether arrays are copied when they are read.
    """

    values: list[Any]
    options: dict[str, Any] = field(default_factory=dict)
    trained: bool = False
    copies: bool = False


def sets(count: int) -> dict[str, tuple[str, dict[str, Way]]]:
    """A description of each set, and all ways to store it. The first way is the plain pickle."""
    many = list(arrays().values())
    structs = records(count)
    dicts = [msgspec.to_builtins(each) for each in structs]
    prose = texts()
    total = sum(map(len, prose))
    return {
        "arrays": (
            f"{len(many)} numpy arrays, {sum(array.nbytes for array in many) / 1e6:.0f} MB",
            {
                PLAIN: Way(many, {"protocol": 4}),
                "blobs (the default)": Way(many),
                "blobs, copy=True": Way(many, copies=True),
                "bytes": Way([array.tobytes() for array in many], {"codec": "bytes"}),
                "pickle, zstd": Way(many, ZSTD),
                "pickle, encrypt": Way(many, {"encrypt": SECRET}),
                "pickle, zstd, encrypt": Way(many, BOTH),
            },
        ),
        "records": (
            f"{len(structs):,} records of Unicode characters",
            {
                PLAIN: Way(dicts),
                "msgspec, type=": Way(structs, {"type": Character}),
                "msgspec": Way(dicts, {"codec": "msgspec"}),
                "json": Way(dicts, {"codec": "json"}),
                "pickle, zstd": Way(dicts, ZSTD),
                "pickle, zstd, dictionary": Way(dicts, ZSTD, trained=True),
                "msgspec, type=, zstd, dictionary": Way(structs, {"type": Character, **ZSTD}, trained=True),
                "pickle, encrypt": Way(dicts, {"encrypt": SECRET}),
                "pickle, zstd, dictionary, encrypt": Way(dicts, BOTH, trained=True),
            },
        ),
        "text": (
            f"{len(prose)} texts of Python's help and library, {total / 1e6:.1f} MB",
            {
                PLAIN: Way(prose),
                "str": Way(prose, {"codec": "str"}),
                "json": Way(prose, {"codec": "json"}),
                "msgspec": Way(prose, {"codec": "msgspec"}),
                "str, zstd": Way(prose, {"codec": "str", **ZSTD}),
                "str, zstd, dictionary": Way(prose, {"codec": "str", **ZSTD}, trained=True),
                "str, encrypt": Way(prose, {"codec": "str", "encrypt": SECRET}),
                "str, zstd, encrypt": Way(prose, {"codec": "str", **BOTH}),
            },
        ),
    }


def measure(ways: dict[str, Way], rounds: int, place: str) -> dict[str, Any]:
    """Bytes of all values, and microseconds of one value, each with its ratio to the plain pickle."""
    took: dict[str, dict[str, list[float]]] = {name: {} for name in ways}
    with ExitStack() as stack:
        shelves = {}
        for number, (name, way) in enumerate(ways.items()):
            # During the measurement only what does not fit into the delta is flushed.
            shelf = stack.enter_context(coshelf.open(f"{place}/{number}.shelf", flush_interval=3600, **way.options))
            shelf.update(enumerate(way.values))
            if way.trained:
                shelf.train_dictionary(size=16_384)
                shelf.update(enumerate(way.values))
            _make_room(shelf)
            shelves[name] = shelf
        sizes = {name: _bytes(shelf, len(ways[name].values)) for name, shelf in shelves.items()}
        for turn in range(rounds + 1):
            for name, way in ways.items():
                for what, seconds in _timed(shelves[name], way).items():
                    if turn:  # the first round warms up
                        took[name].setdefault(what, []).append(seconds / len(way.values) * 1e6)
                shelves[name].sync()
    plain = took[PLAIN]
    return {
        name: {"bytes": [sizes[name], sizes[name] / sizes[PLAIN]]}
        | {
            what: [statistics.median(times), statistics.median(map(operator.truediv, times, plain[what]))]
            for what, times in of.items()
        }
        for name, of in took.items()
    }


def _make_room(shelf: coshelf.Shelf[Any, Any]) -> None:
    """Make the delta as large as in a shelf that is written all day. In a new delta single sets take longer."""
    engine = shelf._handle.engine
    keys = [encode(("filler", number)) for number in range(24)]
    for key in keys:
        engine.commit(Batch(puts={key: os.urandom(1 << 19)}))
    engine.commit(Batch(deletes=frozenset(keys)))
    shelf.sync()


def _timed(shelf: coshelf.Shelf[Any, Any], way: Way) -> dict[str, float]:
    """Seconds of this thread. The time that other programs use the processor is not included."""
    keys = range(len(way.values))
    read = functools.partial(shelf.get, copy=True) if way.copies else shelf.__getitem__
    begun = time.thread_time()
    for key, value in enumerate(way.values):
        shelf[key] = value
    written = time.thread_time()
    for key in keys:
        read(key)
    found = {"write": written - begun, "read": time.thread_time() - written}
    if hasattr(way.values[0], "nbytes") or isinstance(way.values[0], bytes):
        begun = time.thread_time()
        for key in keys:
            _touch(read(key))
        found["touch"] = time.thread_time() - begun
    return found


def _touch(value: Any) -> None:
    """Read every byte of an array."""
    import numpy as np

    if not isinstance(value, bytes):
        value = value.view(np.uint8).reshape(-1) if value.dtype.names else value
        value.max()
    else:
        np.frombuffer(value, np.uint8).max()


def _bytes(shelf: coshelf.Shelf[Any, Any], count: int) -> int:
    total = 0
    for key in range(count):
        entry = shelf._handle.engine.get(encode(key))
        assert entry is not None
        reference = reference_in(entry.record)
        total += len(entry.record) - TRAILER + (0 if reference is None else reference.length)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--count", type=int, default=5_000, help="how many records")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    results: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "date": time.strftime("%Y-%m-%d")}
    }
    for name, (description, ways) in sets(given.count).items():
        # In memory: the work of this process is compared, not that of the disk.
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else HERE) as place:
            found = measure(ways, given.rounds, place)
        results[name] = {"what": description, "count": len(ways[PLAIN].values), "ways": found}
    given.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written to {given.results}", file=sys.stderr)


if __name__ == "__main__":
    main()
