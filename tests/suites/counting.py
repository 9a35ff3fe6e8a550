"""How many tests of a run passed, were skipped and failed: read from pytest's report, or from what unittest prints."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Counts", "count_unittest", "counted", "failure", "told"]


@dataclass(frozen=True)
class Counts:
    """How many tests passed, were skipped and failed, by file, and what the run printed."""

    passed: Counter[str]
    skipped: Counter[str]
    failed: tuple[str, ...]
    output: str

    @property
    def good(self) -> bool:
        return not self.failed and self.passed.total() > 0

    @property
    def complaint(self) -> str:
        """What a run that is not good printed last, and which tests failed."""
        return "\n".join((self.output[-20_000:], *(f"FAILED {name}" for name in self.failed)))

    @property
    def deselected(self) -> int:
        """How many pytest left out, as its last line says: one name may stand for several tests."""
        found = re.search(r"(\d+) deselected", self.output)
        return int(found[1]) if found else 0


def failure(what: str, output: str = "") -> Counts:
    """The counts of a run that came to no end."""
    return Counts(Counter(), Counter(), (what,), output)


def counted(report: Path, output: str) -> Counts:
    """The counts of pytest's report of JUnit's form."""
    passed: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    failed: dict[str, None] = {}
    for case in ET.parse(report).iter("testcase"):
        parts = case.get("classname", "").split(".")
        file = next((part for part in parts if part.startswith(("test_", "use_"))), parts[0])
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed[f"{case.get('classname')}::{case.get('name')}"] = None
        elif "skipped" in kinds:
            skipped[file] += 1
        else:
            passed[file] += 1
    return Counts(passed, skipped, tuple(failed), output)


def count_unittest(output: str) -> Counts:
    """The counts of what a runner of unittest prints at its end, as Django's ``runtests.py`` does."""
    ran = re.search(r"^Ran (\d+) tests? in ", output, re.MULTILINE)
    if ran is None:
        return failure("the run says no number of tests", output)
    skipped = sum(int(number) for number in re.findall(r"skipped=(\d+)", output))
    failed = tuple(dict.fromkeys(re.findall(r"^(?:FAIL|ERROR): (.+)$", output, re.MULTILINE)))
    passed = int(ran[1]) - skipped - len(failed)
    return Counts(Counter({"": passed}), Counter({"": skipped}), failed, output)


def told(counts: Counts | None) -> str:
    """Counts, as a page says them."""
    if counts is None:
        return "—"
    words = [f"{counts.passed.total()} of {counts.passed.total() + len(counts.failed)} pass"]
    if counts.skipped.total():
        words.append(f"{counts.skipped.total()} skipped")
    return ", ".join(words)
