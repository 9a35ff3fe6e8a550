"""The blocks of code of a page, and what a comment before a block says about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "blocks_of"]

_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$"
    r"|^<!-- (?P<before>before):\n(?P<preparation>.*?)^-->$",
    re.MULTILINE | re.DOTALL,
)
_NAME = re.compile(r"# ([\w-]+\.py)\b")


@dataclass(frozen=True)
class Block:
    """A block of code: the lines between its fences."""

    page: Path
    line: int
    language: str
    text: str
    note: str
    """``not run: REASON``, ``in the background``, ``in the background: WHAT IT PRINTS``, or nothing."""

    @property
    def file(self) -> str | None:
        """The name of the file that the reader makes of it: the first line of the block says it."""
        found = _NAME.match(self.text) if self.language == "python" else None
        return found and found[1]

    @property
    def place(self) -> str:
        return f"{self.page.name}, line {self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, and as blocks of Python its comments ``before``: what was done before the page begins."""
    text = page.read_text("utf-8")
    blocks = []
    for found in _BLOCK.finditer(text):
        language, code = ("python", "preparation") if found["before"] else (found["language"], "text")
        blocks.append(Block(page, text.count("\n", 0, found.start(code)), language, found[code], found["note"] or ""))
    return blocks
