"""The module in C gives no wrong value and no bad access for mutated pickles, keys, pages and logs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import native_targets
import pytest

pytestmark = pytest.mark.timeout(900)  # building takes long on a busy machine


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The object files of the module in C."""
    if shutil.which("gcc") is None and not os.environ.get("CI"):
        pytest.skip("gcc is not on this machine")
    return native_targets.compile_module(tmp_path_factory.mktemp("module"), guided=False)


@pytest.mark.parametrize("target", native_targets.TARGETS)
@pytest.mark.parametrize("count", [5_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_random_changes_find_nothing(target: str, count: int, module: list[Path], tmp_path: Path) -> None:
    program = native_targets.build(target, tmp_path, module, guided=False)
    corpus = sorted(map(str, native_targets.write_corpus(target, tmp_path).iterdir()))
    command = [str(program), str(count), "1", str(tmp_path / "input"), *corpus]
    environment = native_targets.environment(tmp_path)
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout == f"{count} inputs\n"


@pytest.mark.long
@pytest.mark.parametrize("target", native_targets.TARGETS)
def test_changes_that_coverage_guides_find_nothing(target: str, tmp_path: Path) -> None:
    if shutil.which("clang") is None:
        pytest.skip("clang is not on this machine")
    module = native_targets.compile_module(tmp_path / "module", guided=True)
    program = native_targets.build(target, tmp_path, module, guided=True)
    corpus = native_targets.write_corpus(target, tmp_path)
    command = [str(program), "-runs=300000", "-seed=1", "-timeout=60", f"-artifact_prefix={tmp_path}/", str(corpus)]
    environment = native_targets.environment(tmp_path)
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "DONE" in ran.stderr
