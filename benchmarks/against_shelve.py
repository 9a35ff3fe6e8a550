"""coshelf beside shelve on what this Python has: set, get, iterate, len, prefix on many entries, in one run.

The contenders take turns within each round, so that a machine that speeds up or slows down does so for all; medians
over the rounds are printed, and their ratio to the first shelve. Run with ``make bench`` or see ``--help``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import platform
import random
import shelve
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import coshelf

Mapping = Any
Record = dict[str, Any]


def record(number: int) -> Record:
    """A value of the size that people keep: some 100 bytes as a pickle."""
    return {"id": number, "name": f"user {number}", "tags": ["a", "b"], "score": number / 7}


def key(number: int) -> str:
    return f"group{number % 100:02}/user{number:07}"


def open_shelve(kind: str) -> Callable[[str], Mapping]:
    def opener(directory: str) -> Mapping:
        module = importlib.import_module(kind)
        # The dumb backend's own open is spelled differently on no version; all take (file, flag).
        return shelve.Shelf(module.open(os.path.join(directory, kind), "c"))

    return opener


def open_coshelf(directory: str) -> Mapping:
    return coshelf.open(os.path.join(directory, "bench.shelf"))


def contenders() -> dict[str, Callable[[str], Mapping]]:
    found: dict[str, Callable[[str], Mapping]] = {}
    for kind in ("dbm.gnu", "dbm.ndbm", "dbm.sqlite3", "dbm.dumb"):
        with contextlib.suppress(ImportError):
            importlib.import_module(kind)
            found[f"shelve on {kind}"] = open_shelve(kind)
    found["coshelf"] = open_coshelf
    return found


def per_operation(work: Callable[[], int]) -> float:
    """Microseconds per operation; ``work`` returns how many it did."""
    start = time.perf_counter()
    count = work()
    return (time.perf_counter() - start) / count * 1e6


def measurements(mapping: Mapping, entries: int, sample: int, seed: int) -> Iterator[tuple[str, float]]:
    """The operations on one contender that is already filled."""
    chosen = random.Random(seed).sample(range(entries), sample)

    def set_each() -> int:
        for number in chosen:
            mapping[key(number)] = record(number)
        return sample

    def get_each() -> int:
        for number in chosen:
            mapping[key(number)]
        return sample

    def iterate() -> int:
        return sum(1 for _ in mapping.items())

    def length() -> int:
        return 1 if len(mapping) == entries else 0

    def prefix() -> int:
        if isinstance(mapping, coshelf.Shelf):
            return sum(1 for _ in mapping.items(prefix="group42/"))
        return sum(1 for name in mapping if name.startswith("group42/") and mapping[name] is not None)

    yield "set, one commit each", per_operation(set_each)
    yield "get", per_operation(get_each)
    yield "iterate items, per item", per_operation(iterate)
    yield "len", per_operation(length)
    yield "items of a prefix, per item", per_operation(prefix)


def fill(mapping: Mapping, entries: int) -> float:
    return per_operation(lambda: mapping.update((key(n), record(n)) for n in range(entries)) or entries)


def run(entries: int, sample: int, rounds: int) -> dict[str, dict[str, float]]:
    """Median microseconds: operation to contender to figure."""
    taken: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(dir=".") as directory, contextlib.ExitStack() as stack:
        opened = {name: stack.enter_context(opener(directory)) for name, opener in contenders().items()}
        for name, mapping in opened.items():
            print(f"filling {name}", file=sys.stderr)
            taken.setdefault("update of all, per entry", {})[name] = [fill(mapping, entries)]
        for turn in range(rounds):
            print(f"round {turn + 1} of {rounds}", file=sys.stderr)
            for name, mapping in opened.items():
                for operation, figure in measurements(mapping, entries, sample, turn):
                    taken.setdefault(operation, {}).setdefault(name, []).append(figure)
    return {
        operation: {name: statistics.median(figures) for name, figures in by_name.items()}
        for operation, by_name in taken.items()
    }


def show(medians: dict[str, dict[str, float]]) -> None:
    names = list(next(iter(medians.values())))
    print(f"{'median microseconds':30}" + "".join(f"{name:>22}" for name in names))
    for operation, figures in medians.items():
        print(f"{operation:30}" + "".join(f"{figures[name]:22.2f}" for name in names))
    print(f"\n{'coshelf as a multiple of':30}" + "".join(f"{name:>22}" for name in names[:-1]))
    for operation, figures in medians.items():
        print(f"{operation:30}" + "".join(f"{figures['coshelf'] / figures[name]:22.3f}" for name in names[:-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=1_000, help="entries set and got in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the medians as JSON")
    arguments = parser.parse_args()
    medians = run(arguments.entries, arguments.sample, arguments.rounds)
    if arguments.json:
        print(json.dumps(medians, indent=2))
        return
    print(f"Python {platform.python_version()}, {arguments.entries} entries, {arguments.rounds} rounds\n")
    show(medians)


if __name__ == "__main__":
    main()
