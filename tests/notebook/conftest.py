"""What notebooks show, read back from its HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

PERMITTED = {"div", "table", "thead", "tbody", "tr", "th", "td", "code"}


class Page(HTMLParser):
    """The elements and texts of a piece of HTML.

    Attributes:
        rows: the texts of the cells of each row of its tables.
        lines: the texts outside of tables.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.lines: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "each element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in PERMITTED, f"<{tag}> is not an element that coshelf makes"
        assert {name for name, _ in attrs} <= {"style", "scope"}
        for name, value in attrs:
            assert name != "style" or not any(word in (value or "") for word in ("#", "rgb", "black", "white;")), value
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "div":
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data
        else:
            assert "div" in self._open, f"text outside of an element: {data!r}"
            self.lines[-1] += data

    def column(self, at: int) -> list[str]:
        """The texts of a column, without its head."""
        return [row[at] for row in self.rows[1:]]


@pytest.fixture
def page() -> Any:
    """What a notebook shows of an object, as a page whose HTML has been verified."""
    return lambda shown: Page(shown._repr_html_())
