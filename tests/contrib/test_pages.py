"""The pages of docs/integrations: their examples run, and their form is what readers and ``make suites`` expect."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import adapter_pages
import adapter_suite
import pytest

PAGES = {path.stem: path for path in sorted(adapter_pages.PAGES.glob("*.md")) if path.stem != "index"}
INDEX = adapter_pages.PAGES / "index.md"
_PATIENCE = 300  # seconds


def examples(page: str) -> str:
    """The page's examples in Python as a program, in which each line has the number that it has on the page."""
    lines, is_example = [], False
    for line in page.splitlines():
        is_end = is_example and line.startswith("```")
        lines.append(line if is_example and not is_end else "")
        is_example = line == "```python" or (is_example and not is_end)
    return "\n".join(lines) + "\n"


def first_lines(page: str) -> list[str]:
    """What is in the block at the page's beginning, right after its title."""
    found = re.match(r"# [^\n]+\n+```\w+\n(.*?)```", page, re.DOTALL)
    return [line for line in found[1].splitlines() if line.strip()] if found else []


@pytest.mark.parametrize("name", PAGES)
def test_examples_of_a_page_run(name: str, tmp_path: Path) -> None:
    program, empty = tmp_path / f"{name}_page.py", tmp_path / "empty"
    program.write_text(examples(PAGES[name].read_text("utf-8")), "utf-8")
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=empty,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", PAGES)
def test_a_page_begins_with_the_three_lines_that_a_user_adds(name: str) -> None:
    assert 1 <= len(first_lines(PAGES[name].read_text("utf-8"))) <= 3


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_an_example_that_runs(name: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGES[name].read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert max((len(block.splitlines()) for block in blocks), default=0) >= 5


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_a_place_for_the_counts_of_its_suites(name: str) -> None:
    assert re.search(
        rf"<!-- suites: {name} -->\n.*<!-- end of suites: {name} -->\n", PAGES[name].read_text("utf-8"), re.DOTALL
    )


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_in_the_table_of_all(name: str) -> None:
    table = INDEX.read_text("utf-8").partition("<!-- suites: adapters -->")[2].partition("<!-- end of suites")[0]
    assert f"({name}.md)" in table, "`python tests/suites/run.py --index` writes the table"


def test_every_suite_has_a_page() -> None:
    assert [entry for entry, suite in adapter_suite.suites().items() if suite.name not in PAGES] == []


def test_the_number_of_a_line_is_that_of_the_page() -> None:
    page = "# A\n\n```text\nx = 1\n```\n\n```python\nx = 2\n\ny = x\n```\n```ini\nz\n```\n"
    assert examples(page).splitlines() == ["", "", "", "", "", "", "", "x = 2", "", "y = x", "", "", "", ""]


def test_lines_at_the_beginning_are_those_after_the_title() -> None:
    assert first_lines("# A\n\n```python\nimport a\n\na.b()\n```\n") == ["import a", "a.b()"]
    assert first_lines("# A\n\nIntroduction.\n\n```python\nimport a\n```\n") == []
