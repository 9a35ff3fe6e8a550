"""The examples of the page about watching are run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    text = "".join(page.read_text() for page in sorted(DOCS.glob("coordination*.md")))
    section = text.partition("\n## Watching\n")[2] or text.partition("## Watching\n")[2]
    blocks = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "coordination.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == [
        "set jobs/1 wash",
        "set jobs/2 dry",
        "deleted jobs/1 None",
        "set jobs/3 fold",
        "idle",
    ]
