"""The examples about queues run, in the documents and as a program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import coshelf

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "worker_pool.py"


def test_examples_in_the_documents_run(capsys: pytest.CaptureFixture[str]) -> None:
    page = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("coordination*.md")))
    about = "\n".join(re.findall(r"^## (?:Queues|Deques)$.*?(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    blocks = re.findall(r"```python\n(.*?)```", about, re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        exec(compile(block, "coordination.md", "exec"), {"__name__": "coordination"})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kill", [[], ["--kill"]])
def test_a_pool_of_workers_does_each_job_once(tmp_path: Path, kill: list[str]) -> None:
    shelf = tmp_path / "pool.shelf"
    command = [sys.executable, str(EXAMPLE), "--shelf", str(shelf), "--jobs", "30", "--workers", "3", *kill]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "30 results of 30 jobs\n"
    with coshelf.open(shelf) as opened:
        results = opened.sub("results")
        assert {number: results[number] for number in range(30)} == {number: number**2 for number in range(30)}
        assert len(opened.queue("jobs")) == 0
