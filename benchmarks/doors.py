"""Measures ``coshelf.diskcache`` beside diskcache: each call in turn on both, and the medians of all turns.

The two take turns for each row of the table, so that a busy machine slows both down. Run it with
``python benchmarks/doors.py``. It prints a table for docs/coming-from-diskcache.md, and stores the figures.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import diskcache

import coshelf.diskcache
from crew import say
from machine import described

RESULTS = Path(__file__).resolve().parent / "results" / "doors.json"
VALUE = "v" * 100
LARGE = b"v" * 100_000
READS, WRITES = 2_000, 400  # calls in a turn

Call = Callable[[], object]


def calls_of(cache: Any) -> dict[str, tuple[Call, int]]:
    """The calls that are measured on a cache, and how often each is made in a turn."""
    new, other, queued = itertools.count(), itertools.count(), itertools.count()
    cache["key"], cache["large"], cache["count"] = VALUE, LARGE, 0

    def plain(first: int, second: str = "a") -> int:
        return first * len(second)

    function = cache.memoize()(plain)
    function(5, second="b")
    return {
        "get": (lambda: cache.get("key"), READS),
        "get, missing": (lambda: cache.get("missing"), READS),
        "get, 100 KB": (lambda: cache.get("large"), WRITES),
        "set, new key": (lambda: cache.set(next(new), VALUE), WRITES),
        "set, new key that expires": (lambda: cache.set((next(other), "x"), VALUE, expire=3600), WRITES),
        "set, overwriting": (lambda: cache.set("key", VALUE), WRITES),
        "set, 100 KB": (lambda: cache.set("large", LARGE), WRITES // 4),
        "memoized hit": (lambda: function(5, second="b"), READS),
        "incr": (lambda: cache.incr("count"), WRITES),
        "push": (lambda: cache.push(next(queued), "queue"), WRITES),
        "pull": (lambda: cache.pull("queue"), WRITES),
    }


def seconds_of(call: Call, times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - begin) / times


def measured(directory: str, turns: int) -> dict[str, dict[str, float]]:
    """Microseconds of each call: the medians of all turns."""
    modules: dict[str, ModuleType] = {"coshelf": coshelf.diskcache, "diskcache": diskcache}
    caches = {name: module.Cache(tempfile.mkdtemp(dir=directory)) for name, module in modules.items()}
    calls = {name: calls_of(cache) for name, cache in caches.items()}
    found: dict[str, dict[str, float]] = {}
    for row in calls["coshelf"]:
        taken: dict[str, list[float]] = {name: [] for name in modules}
        for _ in range(turns):
            for name in modules:
                taken[name].append(seconds_of(*calls[name][row]))
        found[row] = {name: round(statistics.median(each) * 1e6, 2) for name, each in taken.items()}
        say(f"  {row}: " + ", ".join(f"{name} {each:.1f} us" for name, each in found[row].items()))
    for cache in caches.values():
        cache.close()
    return found


def table(found: dict[str, dict[str, float]]) -> str:
    lines = ["| call | coshelf, us | diskcache, us | times as fast |", "| --- | ---: | ---: | ---: |"]
    for row, taken in found.items():
        ours, theirs = taken["coshelf"], taken["diskcache"]
        lines.append(f"| {row} | {ours:.1f} | {theirs:.1f} | {theirs / ours:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=11, help="how often each call is measured on each of the two")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        machine = described(directory)
        found = measured(directory, options.turns)
    RESULTS.write_text(json.dumps({"machine": machine, "turns": options.turns, "us": found}, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
