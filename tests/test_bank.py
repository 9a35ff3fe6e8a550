"""examples/bank.py, which `make demo` runs: several processes, one of them killed, and nothing lost."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from starting import environment

EXAMPLE = Path(__file__).parents[1] / "examples" / "bank.py"


def test_one_of_several_processes_is_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "--seconds", "1", "--tellers", "3", "--shelf", str(tmp_path / "bank.shelf")],
        env=environment(), capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    *_, transfers, noted, looks = done.stdout.splitlines()
    assert re.fullmatch(r"[1-9][\d,]* transfers by 3 processes, 1 of them killed", transfers)
    assert noted.endswith(" commits had returned, and all of their transfers are in the shelf")
    assert looks.endswith("their sum was always 10,000")


def test_a_terminal_shows_a_table(tmp_path: Path) -> None:
    above, below = pty.openpty()
    command = [sys.executable, str(EXAMPLE), "--seconds", "0.5", "--tellers", "2"]
    started = subprocess.Popen(command, env=environment() | {"COLUMNS": "100"}, stdout=below, stderr=below)
    os.close(below)
    said = b""
    try:
        while part := os.read(above, 65_536):
            said += part
    except OSError:  # the end of a pseudo-terminal
        pass
    os.close(above)
    assert started.wait(60) == 0, said
    assert b"killed, in the middle of its work" in said
    assert b"sum of all accounts" in said
