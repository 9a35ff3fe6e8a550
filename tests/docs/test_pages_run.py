"""The pages do what they say: all their examples run, page by page, each in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from page_blocks import blocks_of
from page_reader import QuickReader

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROOT = DOCS.parent
ELSEWHERE = {"_build", "integrations", "mistakes.md"}
"""Pages of adapters are run by tests/contrib/test_pages.py, each by itself: frameworks take long to import. What raises
on the page of mistakes is run by tests/mistakes."""
PAGES = sorted(page for page in [ROOT / "README.md", *DOCS.rglob("*.md")] if not ELSEWHERE & set(page.parts))


@pytest.mark.timeout(120)  # what waits for ever says so soon
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_does_what_it_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with QuickReader(folder) as reader:
        reader.do(page)


SHOWN = {"bash", "dockerfile", "ini", "json", "sql", "text", "toml", "yaml"}
"""Languages whose blocks are not run, unless a test of a page does it."""


def test_no_example_is_overlooked() -> None:
    for page in PAGES:
        fences = re.findall(r"^( *)(?:```|~~~|:::)(\{?[\w-]+)", page.read_text("utf-8"), re.MULTILINE)
        languages = {language for _, language in fences if not language.startswith("{")}
        if page.name == "mistakes.md":
            languages.discard("pycon")  # tests/mistakes runs them, and compares the messages
        assert languages <= {"python", "console"} | SHOWN, page
        assert [language for indent, language in fences if indent and language in {"python", "console"}] == [], page


def test_few_examples_are_not_run_and_each_says_why() -> None:
    left = [block for page in PAGES for block in blocks_of(page) if block.note.startswith("not run: ")]
    assert len(left) <= 20
    assert [block.place for block in left if len(block.note) < 25] == []


def test_yaml_on_the_pages_is_yaml() -> None:
    shown = [block for page in PAGES for block in blocks_of(page) if block.language == "yaml"]
    assert [block.place for block in shown if not isinstance(yaml.safe_load(block.text), dict)] == []


@pytest.mark.parametrize("page", sorted(DOCS.glob("how-to/*.md")), ids=lambda page: page.stem)
def test_how_to_page_is_one_screen(page: Path) -> None:
    assert len(page.read_text("utf-8").splitlines()) <= 75
