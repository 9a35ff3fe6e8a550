"""Ten tasks of a newcomer, and the tutorial, with the pages, a new environment and the wheel of coshelf."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from page_blocks import blocks_of
from page_reader import PageReader

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to"
TASKS = re.findall(r"^\d+\. \[.*\]\((.*\.md)\)$", (HOW_TO / "index.md").read_text("utf-8"), re.MULTILINE)


def test_the_index_lists_ten_tasks_and_each_begins_with_what_to_install() -> None:
    assert len(TASKS) == 10
    for task in TASKS:
        first = next(block for block in blocks_of(HOW_TO / task) if block.language == "console")
        assert first.text.startswith("$ pip install "), task
        assert all(not block.note.startswith("not run: ") for block in blocks_of(HOW_TO / task)), task


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the wheel, made from a clean clone."""
    directory = tmp_path_factory.mktemp("wheels")
    subprocess.run(["git", "clone", "--quiet", ROOT, directory / "clone"], check=True)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", directory, directory / "clone"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return directory


@pytest.mark.long  # each task has an environment of its own, into which pip installs
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("task", [*TASKS, "../tutorial.md"])
def test_task_is_done_in_a_new_environment(
    task: str, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    variables = {"PIP_FIND_LINKS": str(wheels), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_QUIET": "1"}
    with PageReader(folder, environment / "bin", VIRTUAL_ENV=str(environment), **variables) as reader:
        reader.do(HOW_TO / task)
    assert os.listdir(folder) != []
