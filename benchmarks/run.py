"""Measures all contenders in turns, writes the figures to a JSON file, and prints what was wanted and what reached.

``report.py`` makes pages of that file. ``growth.py`` measures the largest stores.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import special
import wanted
from contenders import CONTENDERS
from coshelf import native
from crew import Setting, measure, say
from data import KINDS
from machine import described

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "latest.json"
SIZES = (100_000, 1_000_000, 10_000)  # the last is for pickleshare, which is too slow with more
SLOW = ("shelve on dumb", "pickleshare", "coshelf, durability=commit", "sqlitedict")
QUICK: dict[str, Any] = {
    "rounds": 2, "sizes": [10_000], "kinds": KINDS[:1], "seconds": 0.3, "held": 1, "many": 50_000,
    "contenders": [name for name in CONTENDERS if name not in SLOW],
}  # fmt: skip


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS))
    parser.add_argument("--place", default=str(HERE), help="a directory on the disk to be measured")
    parser.add_argument("--sqlite-python", default="", help="a Python that has dbm.sqlite3 (3.13), for that row")
    parser.add_argument("--before", default="", help="the src directory of an earlier coshelf, to compare with")
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall", help="processor: for a busy machine")
    parser.add_argument("--seconds", type=float, default=3, help="how long processes and threads write together")
    parser.add_argument("--held", type=float, default=60, help="seconds that the iterator and the snapshot are held")
    parser.add_argument("--many", type=int, default=1_000_000, help="entries of the measurement of memory")
    parser.add_argument("--skip-special", action="store_true", help="measure the tables only")
    parser.add_argument("--quick", action="store_true", help="every kind of work, in small stores, in two minutes")
    parser.add_argument("--results", type=Path, default=RESULTS)
    if parser.parse_args().quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args()


def write(results: dict[str, Any], path: Path) -> None:
    """Write what has been measured so far."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    given = parsed()
    others = {"shelve on sqlite3": given.sqlite_python} if given.sqlite_python else {}
    names = [name for name in given.contenders if given.before or name != "coshelf, before"]
    setting = Setting(given.place, others, given.before, given.clock)
    results: dict[str, Any] = {"machine": {**described(given.place), "clock": given.clock}, "tables": []}
    if not native.in_use:
        say(f"  coshelf's module in C is not in use: {native.reason}")
    for kind in given.kinds:
        for count in given.sizes:
            if kind == KINDS[1] and count > SIZES[0]:
                continue  # each store would have a gigabyte
            results["tables"].append(measure(names, setting, count, kind, given.rounds))
    write(results, given.results)
    if not given.skip_special:
        plan = special.Plan(names, setting, given.rounds, given.seconds, given.held, given.many)
        results["special"] = plan.measure()
        write(results, given.results)
    print("\n".join(wanted.table(results)))
    say(f"written to {given.results}")


if __name__ == "__main__":
    main()
