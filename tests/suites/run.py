"""``make suites``: other people's tests and programs, with coshelf.

Some run with our modules in the place of diskcache and sqlitedict (``stand_ins.py``). Some are the suites of frameworks
that coshelf has adapters for (``adapter_suite.py``).

``python tests/suites/run.py`` runs all, and writes the counts into the pages. With names it runs these only, and prints
what it finds: a program by its name, the suite of an adapter as ``adapters/ENTRY``, all adapters as ``adapters``.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import adapter_pages
import adapter_suite
import stand_ins
from adapter_suite import Suite
from counting import Counts, told
from roster import DISKCACHE, Program
from sdists import Unavailable

NOT_FOUND = 3
"""The exit code if a package index does not give what a run needs."""


def main() -> int:
    asked = arguments()
    if asked.index:
        adapter_pages.write_index()
        return 0
    checkout = Path(asked.diskcache).resolve() if asked.diskcache else None
    programs, missing = run_programs(set(asked.names), checkout, asked.original)
    adapters: list[tuple[Suite, Counts]] = []
    if not asked.original:
        adapters, also_missing = run_adapters(set(asked.names))
        missing = missing or also_missing
    if not asked.original and (asked.write or not asked.names):
        stand_ins.write(programs)
        write_adapters(adapters)
    if not all(one.good for one in (*programs.values(), *(counts for _, counts in adapters))):
        return 1
    return NOT_FOUND if missing else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [program.name for program in stand_ins.EVERY]
    names += ["adapters", *(f"adapters/{entry}" for entry in adapter_suite.suites())]
    parser.add_argument("names", nargs="*", choices=[[], *names], metavar="NAME")
    parser.add_argument("--diskcache", default="", metavar="PATH", help="a checkout of diskcache at v5.6.3")
    parser.add_argument("--original", action="store_true", help="prove programs right, with the originals in place")
    parser.add_argument("--write", action="store_true", help="with names: write the counts into the pages, too")
    parser.add_argument(
        "--index", action="store_true", help="write the table of adapters from their pages, run nothing"
    )
    return parser.parse_args()


def run_programs(names: set[str], checkout: Path | None, original: bool) -> tuple[dict[Program, stand_ins.Found], bool]:
    """Run programs, and tell whether a package index lacks something."""
    found: dict[Program, stand_ins.Found] = {}
    missing = False
    for program in stand_ins.EVERY:
        if names and program.name not in names:
            continue
        if program is DISKCACHE and checkout is None:
            print("SKIPPED diskcache's own tests: its source distribution lacks parts of them. DISKCACHE=PATH names a")
            print("checkout of its repository at v5.6.3.", flush=True)
            continue
        try:
            found[program] = stand_ins.run(program, original, checkout if program is DISKCACHE else None)
        except Unavailable as error:
            print(f"NOT INSTALLED {error}", flush=True)
            missing = True
            continue
        stand_ins.say(program, found[program])
    return found, missing


def run_adapters(names: set[str]) -> tuple[list[tuple[Suite, Counts]], bool]:
    """Run suites of frameworks, and tell whether one is not installed, or a package index lacks its source."""
    found: list[tuple[Suite, Counts]] = []
    missing = False
    for entry, suite in adapter_suite.suites().items():
        if names and not names & {"adapters", f"adapters/{entry}"}:
            continue
        try:
            counts = adapter_suite.run(entry, suite)
        except Unavailable as error:
            print(f"NOT INSTALLED {error}", flush=True)
            missing = True
            continue
        print(f"adapters/{entry}, {suite.distribution} {suite.version}, {suite.label}: {told(counts)}", flush=True)
        if not counts.good:
            print(counts.complaint, flush=True)
        found.append((suite, counts))
    return found, missing


def write_adapters(found: list[tuple[Suite, Counts]]) -> None:
    """Write the counts of suites into the pages of their adapters, and the table of all."""
    by_page: defaultdict[str, list[tuple[Suite, Counts]]] = defaultdict(list)
    for suite, counts in found:
        by_page[suite.name].append((suite, counts))
    for name, of_page in by_page.items():
        adapter_pages.write_page(name, of_page)
    adapter_pages.write_index()


if __name__ == "__main__":
    sys.exit(main())
