"""Measures gets, sets and scans as the store grows to ten million keys, with the page cache warm and cold.

It takes an hour and 20 GB of disk, so it runs on request only: ``make bench-growth``. ``report.py`` draws the figures.
"Cold" means that no page of the store's files is in the page cache. The disk may have a cache of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from contenders import CONTENDERS as KNOWN
from crew import Crew, Setting, say, turned
from data import KINDS
from machine import described

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "growth.json"
CONTENDERS = ("coshelf", "coshelf, no module", "shelve on gdbm", "rocksdict")
WARM = ("get", "set", "items", "prefix", "count")
COLD = ("few", "set", "items")


def measure(count: int, rounds: int, place: str, names: list[str]) -> dict[str, Any]:
    """Microseconds of one operation, by contender and work. Each round measures all contenders in turns."""
    directory = tempfile.mkdtemp(prefix="coshelf-bench-", dir=place)
    crew = Crew(names, Setting(directory, {}), count, KINDS[0])
    took: dict[str, dict[str, list[float]]] = {name: {} for name in crew.workers}

    def do(name: str, what: str, turn: int, cold: str = "") -> None:
        seconds, operations = crew.ask(name, what, turn)
        took[name].setdefault(what + cold, []).append(seconds / operations * 1e6)

    try:
        for name in crew.workers:
            crew.ask(name, "load")
            say(f"  {count:,} keys: {name} is loaded")
        for turn in range(rounds):
            for what in WARM:
                for name in turned(list(crew.workers), turn):
                    if what != "prefix" or what in KNOWN[name].works:
                        do(name, what, turn)
            for what in COLD:
                for name in turned(list(crew.workers), turn):
                    crew.ask(name, "cool")
                    do(name, what, turn + 100, ", cold")
            say(f"  {count:,} keys: round {turn + 1} of {rounds}")
    finally:
        crew.end()
        shutil.rmtree(directory)
    figures: dict[str, Any] = {
        name: {what: statistics.median(each) for what, each in of.items()} for name, of in took.items()
    }
    return {**figures, **{name: {"missing": why} for name, why in crew.missing.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS))
    parser.add_argument("--place", default=str(HERE), help="a directory on the disk to be measured")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    results: dict[str, Any] = {"machine": described(given.place), "sizes": {}}
    for count in given.sizes:
        results["sizes"][str(count)] = measure(count, given.rounds, given.place, given.contenders)
        results["machine"]["load after"] = f"{os.getloadavg()[0]:.1f}"
        given.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    say(f"written to {given.results}")


if __name__ == "__main__":
    main()
