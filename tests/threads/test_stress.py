"""Many threads on one shelf, switched as often as the interpreter can. The module in C is not in use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "scripts" / "stress.py"


def stress(target: str, threads: int, rounds: int) -> None:
    arguments = [sys.executable, SCRIPT, target, str(threads), str(rounds)]
    used = {**os.environ, "COSHELF_NATIVE": "0"}
    done = subprocess.run(arguments, env=used, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert " added," in done.stdout


TARGETS = ["memory:", "mapping", "sqlite:{}/a.db", "{}/a.shelf"]


@pytest.mark.parametrize("target", TARGETS)
def test_threads_that_are_switched_often_lose_nothing(target: str, tmp_path: Path) -> None:
    stress(target.format(tmp_path), 4, 40)


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS)
def test_threads_that_are_switched_often_lose_nothing_for_long(target: str, tmp_path: Path) -> None:
    stress(target.format(tmp_path), 8, 2_000)
