"""Writes what ``make suites`` found into the pages, between markers."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from sdists import ROOT

__all__ = ["rewrite", "table", "when"]


def rewrite(page: str, block: str, text: str) -> None:
    """Replace what is between the markers ``<!-- suites: BLOCK -->`` and ``<!-- end of suites: BLOCK -->``."""
    path = ROOT / "docs" / page
    begin, end = f"<!-- suites: {block} -->", f"<!-- end of suites: {block} -->"
    before, found, rest = path.read_text("utf-8").partition(begin)
    _, also_found, after = rest.partition(end)
    if not (found and also_found):
        raise ValueError(f"{Path('docs') / page} has no markers {begin} and {end}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table of Markdown."""
    cells = [list(head)]
    cells += [["---"] * len(cells[0]), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def when() -> str:
    """The day and the Python of this run."""
    return f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}"
