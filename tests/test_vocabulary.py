"""One word for one thing: words that the project does not use, and what it says instead. docs/glossary.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXTS = [
    *(ROOT / "src").rglob("*.py"),
    *(ROOT / "docs").rglob("*.md"),
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
    r"of several [a-z ]+ the \w+ holds": "the smallest one applies to all of them",
    r"to (start|stop)( or stop)? at `*None": "means no bound",
    r"a (argument|array|element|engine|entry|error|exception|extra|index|int|integer|object|option)": "an",
    r"is no (excuse|reason|statement)": "does not mean",
    r"nobody('s| can tell)": "unknown",
    r"anybody who|with who": "any process that",
    r"who changes": "name the process",
    r"costs nothing to": "is cheap",
    r"is known by its": "is recognised by its",
    r"as it came|behind its back": "unchanged; without its knowledge",
    r"handles in a process": "if one process opens it several times",
    r"measured on one noisy": "say it in the commit, not on a page",
    r"aught|naught|hence|thence|thereof|thereby|wherein|whereof|lest|unawares|ere": "an everyday word",
    r"meddl(e|es|ing)|trespass(es)?|vouch(es)?( for)?|heed(s|ed)?": "an everyday word",
}
IN_DOCUMENTS = {
    r"(only by|for) who": "for a process that",
    r"nobody knows": "it is unknown whether",
    r"is no (dict|file|int|key|name|number|path|shelf|str|URL)": "is not a",
    r"(has|have|leaves?) (no )?room": "space",
    r"of old|beforehand|whence": "an everyday word",
    r"a look at": "examine, verify",
}
"""More words that no page for users has. Some modules of the library still have them."""


DOCUMENTS = [path for path in TEXTS if path.suffix == ".md"]


def uses(words: str, texts: list[Path]) -> list[str]:
    unwanted = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if unwanted.search(line)
    ]


@pytest.mark.parametrize("words", INSTEAD, ids=str)
def test_words_with_a_better_one_are_not_used(words: str) -> None:
    assert uses(words, TEXTS) == [], f"better: {INSTEAD[words]}"


@pytest.mark.parametrize("words", IN_DOCUMENTS, ids=str)
def test_words_with_a_better_one_are_not_used_on_a_page(words: str) -> None:
    assert uses(words, DOCUMENTS) == [], f"better: {IN_DOCUMENTS[words]}"
