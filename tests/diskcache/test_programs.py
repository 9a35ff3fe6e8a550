"""Programs that use diskcache or sqlitedict run with coshelf under these names: ``make suites``, one program a test."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from roster import PROGRAMS, SQLITEDICT
from sdists import ROOT

from run import NOT_FOUND


@pytest.mark.long  # installs each program in an environment of its own
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [program.name for program in (SQLITEDICT, *PROGRAMS)])
def test_program_runs_unchanged(name: str) -> None:
    command = [sys.executable, str(ROOT / "tests" / "suites" / "run.py"), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == NOT_FOUND and not os.environ.get("CI"):
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
