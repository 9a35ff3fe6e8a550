"""``writeback=True`` after a fork, at exit and when the shelf is collected. docs/reference/rules.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from unit_support import SOURCE

import coshelf
from collecting import collect

SCRIPTS = Path(__file__).parent / "scripts" / "writeback_at_exit"


def run(program: Path, path: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", program, path, *arguments],
        env=os.environ | {"PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


FORK = SCRIPTS / "forks_with_changes.py"


@pytest.mark.parametrize("end", ["close", "sync", "end"])
def test_forked_child_writes_its_own_changes_and_not_the_parents(end: str, tmp_path: Path) -> None:
    run(FORK, tmp_path / "my.shelf", end)


AT_EXIT = SCRIPTS / "changed_at_exit.py"


@pytest.mark.parametrize("before", ["nothing before", "finalizer before"])
def test_shelf_that_is_never_closed_is_written_back_at_exit(before: str, tmp_path: Path) -> None:
    """Whatever else has asked to be called at exit, and when."""
    run(AT_EXIT, tmp_path / "my.shelf", before)
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        assert dict(shelf) == {"a": [1, 2], "users/ann": [3]}
    assert os.listdir(tmp_path) == ["my.shelf"]


def test_shelf_that_is_collected_is_written_back(tmp_path: Path) -> None:
    shelf = coshelf.open(tmp_path / "my.shelf", writeback=True)
    shelf["a"] = [1]
    shelf["a"].append(2)
    del shelf
    collect()
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        assert dict(shelf) == {"a": [1, 2]}
