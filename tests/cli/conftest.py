"""Fixtures for the command line: a real shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import coshelf


@pytest.fixture
def sh(tmp_path: Path):
    """Runs a line in a real shell, where ``coshelf`` is the console script."""

    def run(line: str, code: int = 0) -> tuple[str, str]:
        search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": search, "XDG_STATE_HOME": str(tmp_path / "state")}
        done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    return run


@pytest.fixture
def a_shelf(tmp_path: Path) -> str:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({"hello": 15, ("t", 1): {"x": None}})
    return "a.shelf"
