"""Processes that share a shelf are killed at random: no acknowledged commit is lost, and no reader goes back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

STORM = Path(__file__).parent / "log_storm.py"


def storm(path: Path, seed: int, kills: int) -> None:
    program = [sys.executable, str(STORM), str(path), str(seed), str(kills)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    print(done.stdout)


@pytest.mark.parametrize("seed", [1, 2])
def test_some_kills_lose_nothing(module: ModuleType, tmp_path: Path, seed: int) -> None:
    storm(tmp_path / "shelf", seed, 50)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(20))
def test_ten_thousand_kills_lose_nothing(module: ModuleType, tmp_path: Path, seed: int) -> None:
    storm(tmp_path / "shelf", seed, 500)
