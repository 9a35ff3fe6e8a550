"""Runs spin over the models beside docs/design.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "docs/model"


@pytest.fixture
def errors_in(tmp_path: Path) -> Callable[[str, str], int]:
    """Searches all states of a model, with definitions such as "WRITERS=2 DEATHS=1". Returns the number of errors."""
    for program in ("spin", "gcc"):
        if shutil.which(program) is None:
            missing = f"{program} is not installed: apt-get install {program}"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)

    def search(model: str, definitions: str) -> int:
        options = [f"-D{definition}" for definition in definitions.split()]
        subprocess.run(["spin", *options, "-a", FOLDER / model], cwd=tmp_path, check=True, capture_output=True)
        safety = ["-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=8000"]
        subprocess.run(["gcc", "-O2", "-w", *safety, "-o", "search", "pan.c"], cwd=tmp_path, check=True)
        report = subprocess.run(
            ["./search", "-m200000"], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout
        print(report)
        assert "max search depth too small" not in report
        assert "Search not completed" not in report or "errors: 1" in report
        found = re.search(r"errors: (\d+)", report)
        assert found is not None
        return int(found[1])

    return search
