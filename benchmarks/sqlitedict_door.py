"""Measures ``coshelf.sqlitedict`` beside sqlitedict: the same calls on new files, in turns, in one process.

The clock of writes stops when they are committed: sqlitedict only queues an assignment. Prints a table of microseconds
an entry, medians of all rounds.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from crew import say
from machine import described

MODULES = ("sqlitedict", "coshelf.sqlitedict")
VALUE = {"page": 1, "url": "https://example.org/page/1", "tries": 0}
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
SETTINGS = [
    {"autocommit": autocommit, "outer_stack": outer_stack, "journal_mode": journal_mode}
    for journal_mode, autocommit, outer_stack in product(("DELETE", "WAL"), (False, True), (True, False))
]


def assign(table: Any, number: int) -> None:
    for key in range(number):
        table[f"key {key}"] = VALUE
    table.commit()


def assign_and_commit(table: Any, number: int) -> None:
    for key in range(number):
        table[f"key {key}"] = VALUE
        table.commit()


def update(table: Any, number: int) -> None:
    table.update((f"key {key}", VALUE) for key in range(number))
    table.commit()


def get(table: Any, number: int) -> None:
    for key in range(number):
        table[f"key {key}"]


def contains(table: Any, number: int) -> None:
    for key in range(number):
        assert f"key {key}" in table


def items(table: Any, number: int) -> None:
    assert sum(1 for _ in table.items()) == number


def keys(table: Any, number: int) -> None:
    assert sum(1 for _ in table) == number


def setdefault(table: Any, number: int) -> None:
    for key in range(number):
        table.setdefault(f"key {key}", VALUE)


def pop(table: Any, number: int) -> None:
    for key in range(number):
        table.pop(f"key {key}")
    table.commit()


STEPS: dict[str, Callable[[Any, int], None]] = {
    "set": assign,
    "set, and commit": assign_and_commit,
    "update": update,
    "get": get,
    "in": contains,
    "items": items,
    "keys": keys,
    "setdefault": setdefault,
    "pop": pop,
}


def times_of(
    module: str, setting: dict[str, Any], number: int, place: str, clock: Callable[[], float]
) -> dict[str, float]:
    """Seconds of each step on a new file."""
    table = importlib.import_module(module).SqliteDict(Path(place) / "db", **setting)
    found = {}
    for name, step in STEPS.items():
        begun = clock()
        step(table, number)
        found[name] = clock() - begun
    table.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=2000, help="entries")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="processor: all threads of both, without waits")
    options = parser.parse_args()
    say(" | ".join(map(str, described(tempfile.gettempdir()).items())))
    say("| journal mode | autocommit | outer_stack | call | sqlitedict | coshelf.sqlitedict | ratio |")
    say("| --- | --- | --- | --- | --- | --- | --- |")
    for setting in SETTINGS:
        times: dict[str, list[dict[str, float]]] = {module: [] for module in MODULES}
        for turn in range(options.rounds):
            for module in MODULES if turn % 2 else reversed(MODULES):
                with tempfile.TemporaryDirectory() as place:
                    found = times_of(module, setting, options.number, place, CLOCKS[options.clock])
                    times[module].append(found)
        for step in STEPS:
            old, new = (
                statistics.median(found[step] for found in times[module]) / options.number * 1e6 for module in MODULES
            )
            say(
                f"| {setting['journal_mode']} | {setting['autocommit']} | {setting['outer_stack']} | {step} "
                f"| {old:.1f} | {new:.1f} | {old / new:.1f} |"
            )


if __name__ == "__main__":
    main()
