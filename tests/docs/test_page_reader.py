"""The reader of pages notices what does not come out as a page shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_reader import QuickReader

WRONG = {
    "an example": "```python\n>>> 1 + 1\n3\n```\n",
    "what is printed": "```python\nprint(2)\n```\n\n```text\n3\n```\n",
    "an assertion": "```python\nassert 1 + 1 == 3\n```\n",
    "a command": "```console\n$ echo 2\n3\n```\n",
    "a part of the output": "```console\n$ echo two or three\n...four\n```\n",
    "an exit code": "```console\n$ false\n```\n",
    "a file": "```python\n# two.py\nprint(2)\n```\n\n```console\n$ python two.py\n3\n```\n",
    "the background": "<!-- in the background -->\n```console\n$ echo 2\n3\n```\n",
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_as_shown_is_noticed(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    right = WRONG[what].replace("3", "2").replace("four", "three").replace("false", "true")
    for text, is_right in ((right, True), (WRONG[what], False)):
        page.write_text(text, "utf-8")
        with QuickReader(tmp_path) as reader:
            if is_right:
                reader.do(page)
            else:
                with pytest.raises(AssertionError):
                    reader.do(page)


def test_what_is_not_run_is_not_run(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: there is no such command -->\n```console\n$ no-such-command\n```\n", "utf-8")
    with QuickReader(tmp_path) as reader:
        reader.do(page)
