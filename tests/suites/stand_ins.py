"""Programs and suites that run with our modules in the place of the originals, and what pages say of them."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pages
from counting import Counts, told
from environments import Environment
from roster import DISKCACHE, PROGRAMS, SQLITEDICT, Program
from running import run_tests

__all__ = ["EVERY", "Found", "run", "say", "write"]

SCRIPTS = Path(__file__).resolve().parent / "scripts"
EVERY = (DISKCACHE, SQLITEDICT, *PROGRAMS)


@dataclass(frozen=True)
class Found:
    """What a program's own tests and the script of its use gave: None where there are none."""

    own: Counts | None
    script: Counts | None

    @property
    def good(self) -> bool:
        return all(counts.good for counts in (self.own, self.script) if counts is not None)


def run(program: Program, original: bool, checkout: Path | None) -> Found:
    """Run a program's own tests and the script of its use."""
    environment = Environment(program)
    environment.make()
    own = script = None
    if program.own_tests:
        with tempfile.TemporaryDirectory(prefix="coshelf-suites-") as copied:
            place = Path(copied) / "place"  # tests write beside themselves
            place.mkdir()
            for part in ("tests", "docs"):
                source = (checkout or environment.source) / part
                if source.is_dir():
                    shutil.copytree(source, place / part)
            if program is SQLITEDICT:
                (place / "tests" / "db").mkdir()
            left_out = [] if original else [option for name in program.deselected for option in ("--deselect", name)]
            own = run_tests(environment, place, program.own_tests, *program.options, *left_out, original=original)
    if program.script:
        place = environment.source if program.unpacked else SCRIPTS
        options = ("--confcutdir", str(SCRIPTS), "--rootdir", str(SCRIPTS))
        script = run_tests(environment, place, (str(SCRIPTS / program.script),), *options, original=original)
    return Found(own, script)


def say(program: Program, found: Found) -> None:
    """Print the counts, and what pytest said of failures."""
    for what, counts in (("its own tests", found.own), ("a script of its use", found.script)):
        if counts is None:
            continue
        print(f"{program.name} {program.version}, {what}: {told(counts)}", flush=True)
        if not counts.good:
            print(counts.complaint, flush=True)


def write(found: dict[Program, Found]) -> None:
    """Write the blocks of all that was run."""
    if DISKCACHE in found:
        _write_suite(found[DISKCACHE])
    if SQLITEDICT in found:
        _write_sqlitedict(found[SQLITEDICT])
    if set(PROGRAMS) <= set(found):
        _write_programs(found)


def _write_suite(found: Found) -> None:
    """Write the counts of diskcache's own tests, by file."""
    assert found.own is not None
    looks_inside = Counter(Path(name.partition("::")[0]).stem for name in DISKCACHE.deselected)
    files = [Path(name).stem for name in DISKCACHE.own_tests]
    rows = [(f"`{file}.py`", looks_inside[file], found.own.passed[file]) for file in files]
    rows.append(("together", looks_inside.total(), found.own.passed.total()))
    text = pages.table(("diskcache 5.6.3, file", DISKCACHE.why_deselected, "pass"), rows)
    pages.rewrite("coming-from-diskcache.md", "own tests", f"{text}\n\nRun on {pages.when()}.")


def _write_programs(found: dict[Program, Found]) -> None:
    """Write the counts of the programs."""
    rows = [
        (program.label, program.version, _own_told(program, found[program].own), told(found[program].script))
        for program in PROGRAMS
    ]
    text = pages.table(("program", "version", "its own tests of the cache", "a script of its use"), rows)
    pages.rewrite("coming-from-diskcache.md", "programs", f"{text}\n\nRun on {pages.when()}.")


def _own_told(program: Program, counts: Counts | None) -> str:
    """Counts of a program's own tests, with those that are left out."""
    words = told(counts)
    if counts is None or not program.deselected:
        return words
    return f"{words}; {counts.deselected} left out: {program.why_deselected}"


def _write_sqlitedict(found: Found) -> None:
    """Write the count of sqlitedict's own tests."""
    text = f"sqlitedict {SQLITEDICT.version}, its own tests: {told(found.own)}. Run on {pages.when()}."
    pages.rewrite("coming-from-sqlitedict.md", "own tests", text)
