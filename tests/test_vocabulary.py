"""One word for one thing: words that the project does not use, and what it says instead. docs/design.md, "Glossary"."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXTS = [
    *(ROOT / "src").rglob("*.py"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "examples").glob("*.py"),
    ROOT / "README.md",
]
INSTEAD = {
    r"soil(s|ed)?": "mark_dirty, dirty",
    r"tones?": "sequence number",
    r"is a int": "is an int",
    r"is no json": "is not valid JSON",
    r"by its looks": "recognised",
    r"of no kind that": "cannot tell what kind",
    r"is no matter of": "size and speed are about the same",
    r"is no proof": "does not prove",
    r"shows only to who": "reading it means setting it",
    r"settings of [^ ]+ are none": "has no readable settings",
    r"flag is none": "unknown flag",
    r"the shortest holds": "the smallest one applies",
}


@pytest.mark.parametrize("words", INSTEAD, ids=str)
def test_words_with_a_better_one_are_not_used(words: str) -> None:
    unwanted = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}  ({INSTEAD[words]})"
        for path in TEXTS
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if unwanted.search(line)
    ]
    assert found == []
