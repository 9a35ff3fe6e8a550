"""The module in C beside threads, forks, signals and other interpreters gives the results that it gives alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from beside import write_base

HERE = Path(__file__).parent


def run(*command: str) -> str:
    # Python warns of a fork beside threads; that is what is tried here.
    program = [sys.executable, "-W", "ignore::DeprecationWarning", *command]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("part", ["threads", "forks", "callbacks", "signals"])
def test_every_call_gives_its_result_beside(module: ModuleType, tmp_path: Path, part: str) -> None:
    path = str(tmp_path / "base")
    write_base(path)
    assert run(str(HERE / "beside.py"), part, path) == f"{part} done\n"


@pytest.mark.parametrize("part", ["threads", "forks", "signals"])
def test_counting_is_exact_beside(module: ModuleType, tmp_path: Path, part: str) -> None:
    assert run(str(HERE / "counting_beside.py"), part, str(tmp_path / "shelf")) == f"{part} done\n"


def test_threads_that_do_everything_with_a_shelf_lose_nothing(module: ModuleType, tmp_path: Path) -> None:
    """The log, the lines, the exclusive lock and the reader of the base. `make sanitize` has ThreadSanitizer look."""
    stress = HERE.parent / "threads" / "scripts" / "stress.py"
    assert " added," in run(str(stress), str(tmp_path / "a.shelf"), "4", "60")


def test_interpreters_of_one_process_do_not_disturb_each_other(module: ModuleType) -> None:
    assert module.__file__ is not None
    assert run(str(HERE / "interpreters.py"), module.__file__) == "interpreters done\n"
