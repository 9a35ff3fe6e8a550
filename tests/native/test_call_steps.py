"""A process that dies within a call which takes a lock leaves all of its change or nothing, and the lock free."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc"),
    pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="the flag is x86-64's"),
]


@pytest.fixture(scope="module")
def library(module: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("library") / "call_steps.so"
    options = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    include = ["-isystem", sysconfig.get_path("include"), f"-I{HERE.parents[1] / 'native'}"]
    subprocess.run(["gcc", *options, *include, str(HERE / "call_steps.c"), "-o", str(made)], check=True)
    return made


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in memory if possible: each of the processes syncs the shelf."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="coshelf-steps-", dir=shared) as directory:
        yield Path(directory)


def stepped(library: Path, place: Path, operation: str, stride: int) -> None:
    program = [sys.executable, str(HERE / "call_steps.py"), str(library), str(place / "shelf"), operation, str(stride)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    print(f"{operation}: {done.stdout}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("operation", ["add", "add-flushed", "hold-store", "incr"])
def test_what_a_death_after_any_change_leaves(library: Path, place: Path, operation: str) -> None:
    stepped(library, place, operation, 0)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("operation", "stride"), [("modify", 9_001), ("pop", 15_013)])
def test_what_a_death_in_some_steps_of_a_call_leaves(library: Path, place: Path, operation: str, stride: int) -> None:
    stepped(library, place, operation, stride)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("operation", ["modify", "pop"])
def test_what_a_death_after_any_change_of_a_long_call_leaves(library: Path, place: Path, operation: str) -> None:
    stepped(library, place, operation, 0)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("operation", ["add", "add-flushed", "hold-store"])
def test_what_a_death_after_any_instruction_leaves(library: Path, place: Path, operation: str) -> None:
    stepped(library, place, operation, 1)
