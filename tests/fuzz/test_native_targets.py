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


def tried(target: str, count: int, module: list[Path], directory: Path) -> subprocess.CompletedProcess[str]:
    """A target that has tried so many random changes."""
    program = native_targets.build(target, directory, module, guided=False)
    corpus = sorted(map(str, native_targets.write_corpus(target, directory).iterdir()))
    command = [str(program), str(count), "1", str(directory / "input"), *corpus]
    environment = native_targets.environment(directory)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", native_targets.TARGETS)
@pytest.mark.parametrize("count", [2_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_random_changes_find_nothing(target: str, count: int, module: list[Path], tmp_path: Path) -> None:
    ran = tried(target, count, module, tmp_path)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout == f"{count} inputs\n"


@pytest.mark.long
def test_chain_without_an_end_is_found(module: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up that follows links to larger offsets goes round in a circle for some changed logs."""
    for folder in ("native", "tests/fuzz/native"):
        shutil.copytree(native_targets.ROOT / folder, tmp_path / folder)
    log = tmp_path / "native" / "log.c"
    whole = log.read_text()
    bound = "!older || older >= offset"
    assert whole.count(bound) == 1
    log.write_text(whole.replace(bound, "!older"))
    monkeypatch.setattr(native_targets, "HERE", tmp_path / "tests" / "fuzz" / "native")
    ran = tried("log", 1_000_000, module, tmp_path)
    assert ran.returncode != 0
    assert "an input does not end" in ran.stderr


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
