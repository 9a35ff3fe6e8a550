"""A process that dies after any instruction of an operation on a log leaves all of a commit, or nothing of it."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "native"
NOT_HERE = 77

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


@pytest.fixture(scope="module")
def harness(module: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("harness") / "log_steps"
    headers = [f"-I{NATIVE}", f"-I{sysconfig.get_path('include')}"]
    sources = [str(HERE / "log_steps.c"), str(NATIVE / "log.c"), str(NATIVE / "records.c")]
    options = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-Wl,-z,now"]
    subprocess.run(["gcc", *options, *headers, *sources, "-o", str(made)], check=True)
    return made


def stepped(harness: Path, directory: Path, operation: str, stride: int, limit: int = 0) -> None:
    program = [str(harness), str(directory / "log"), operation, str(stride), str(limit)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    if done.returncode == NOT_HERE:
        pytest.skip(f"cannot trace processes here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    print(f"{operation}: {done.stdout}")


@pytest.mark.parametrize(
    ("operation", "stride", "limit"),
    [
        ("put", 29, 0),
        ("batch", 211, 0),
        ("swap", 9, 0),
        ("removal", 17, 0),
        ("second-removal", 5, 2_000),
        ("recovery", 5, 2_000),
    ],
)
def test_what_a_death_after_some_instructions_leaves(
    harness: Path, tmp_path: Path, operation: str, stride: int, limit: int
) -> None:
    stepped(harness, tmp_path, operation, stride, limit)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("operation", ["put", "batch", "swap", "removal", "second-removal", "recovery"])
def test_what_a_death_after_any_instruction_leaves(harness: Path, tmp_path: Path, operation: str) -> None:
    stepped(harness, tmp_path, operation, 1)
