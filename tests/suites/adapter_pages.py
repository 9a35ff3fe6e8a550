"""What ``make suites`` writes into the pages of adapters, and the table of all of them."""

from __future__ import annotations

import re

import pages
from adapter_suite import Suite
from counting import Counts, told
from sdists import ROOT

__all__ = ["PAGES", "title", "write_index", "write_page"]

PAGES = ROOT / "docs" / "integrations"
_HEAD = ("suite", "version", "result", "left out")


def write_page(name: str, found: list[tuple[Suite, Counts]]) -> None:
    """Write the counts of the suites of a page."""
    rows = [
        (suite.label, f"{suite.distribution} {suite.version}", told(counts), _left_out(suite, counts))
        for suite, counts in found
    ]
    pages.rewrite(f"integrations/{name}.md", name, f"{pages.table(_HEAD, rows)}\n\nRun on {pages.when()}.")


def _left_out(suite: Suite, counts: Counts) -> str:
    return f"{counts.deselected}: {suite.why}" if suite.deselected else suite.why or "—"


def write_index() -> None:
    """Write the table of all adapters, from what their pages say."""
    rows = []
    for path in sorted(PAGES.glob("*.md")):
        if path.stem == "index":
            continue
        text = path.read_text("utf-8")
        found = _rows(text, path.stem) or [("tests of coshelf's own", "—", "—", "")]
        rows += [(f"[{title(text)}]({path.name})", suite, version, result) for suite, version, result, _ in found]
    pages.rewrite("integrations/index.md", "adapters", pages.table(("adapter", "suite", "version", "result"), rows))


def title(page: str) -> str:
    """The title of a page."""
    return page.partition("\n")[0].removeprefix("# ")


def _rows(page: str, name: str) -> list[tuple[str, ...]]:
    """The rows of a page's block, as cells."""
    block = page.partition(f"<!-- suites: {name} -->")[2].partition("<!-- end of suites:")[0]
    lines = [line for line in block.splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in lines[2:]]
