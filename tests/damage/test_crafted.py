"""No file that somebody made ends the process that opens it, whatever is done with it there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = str(Path(__file__).parent / "crafted.py")


@pytest.mark.parametrize("count", [150, pytest.param(20_000, marks=[pytest.mark.long, pytest.mark.timeout(7200)])])
def test_no_crafted_base_delta_or_state_page_ends_the_process(count: int) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--trials", str(count), "--seed", "2"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = done.stdout.splitlines()[-1]
    assert "'told': " in outcomes
    assert "'right': " in outcomes, "what is refused at once tests nothing behind it"
