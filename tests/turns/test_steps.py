"""A process that dies after any instruction of an operation on lines leaves a whole table, and stops no line."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "native"
OPERATIONS = (
    "join", "join-behind", "leave", "leave-waiting", "barrier", "semaphore", "widening", "reaping", "row",
)  # fmt: skip

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the program counts instructions of x86-64"),
]


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("harness") / "lines_steps"
    headers = [f"-I{NATIVE}", f"-I{sysconfig.get_path('include')}"]
    sources = [str(HERE / "lines_steps.c"), str(NATIVE / "lines.c")]
    options = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-Wl,-z,now"]
    subprocess.run(["gcc", *options, *headers, *sources, "-o", str(made)], check=True)
    return made


def stepped(harness: Path, operation: str, stride: int, limit: int = 0) -> None:
    program = [str(harness), operation, str(stride), str(limit)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    print(f"{operation}: {done.stdout}")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_a_death_after_some_instructions_leaves(harness: Path, operation: str) -> None:
    stepped(harness, operation, 23)


def test_what_a_death_in_a_repair_leaves(harness: Path) -> None:
    stepped(harness, "repair", 49_999)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_a_death_after_any_instruction_leaves(harness: Path, operation: str) -> None:
    stepped(harness, operation, 1)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_what_a_death_in_a_long_repair_leaves(harness: Path) -> None:
    stepped(harness, "repair", 499)
