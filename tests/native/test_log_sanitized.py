"""The sanitizers of the compiler find nothing wrong while threads use a log at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "native"
OPTIONS = {
    "TSAN_OPTIONS": f"suppressions={HERE / 'log_races.txt'} history_size=7 halt_on_error=1",
    "ASAN_OPTIONS": "detect_leaks=0",  # a traced process cannot look for leaks
}

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


def stress(directory: Path, sanitizers: str, commits: int) -> None:
    made = directory / "log_stress"
    sources = [str(HERE / "log_stress.c"), str(NATIVE / "log.c"), str(NATIVE / "records.c")]
    headers = [f"-I{NATIVE}", f"-I{sysconfig.get_path('include')}"]
    flags = ["-std=c11", "-g", "-O1", "-pthread", f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"]
    built = subprocess.run(
        ["gcc", *flags, *headers, *sources, "-o", str(made)], capture_output=True, text=True, check=False
    )
    if "cannot find" in built.stderr and "lib" in built.stderr:
        pytest.skip(f"the library of the sanitizer is not installed: {built.stderr.splitlines()[0]}")
    assert built.returncode == 0, built.stderr
    environment = {**os.environ, **OPTIONS}
    done = subprocess.run(
        [str(made), str(directory / "log"), str(commits)], env=environment, capture_output=True, text=True, check=False
    )
    if "unexpected memory mapping" in done.stderr:  # more random addresses than the sanitizer knows of
        pytest.skip(f"the sanitizer does not run here: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("sanitizers", ["thread", "address,undefined"])
def test_threads_that_use_a_log_at_once_are_clean(tmp_path: Path, sanitizers: str) -> None:
    stress(tmp_path, sanitizers, 300)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("sanitizers", ["thread", "address,undefined"])
def test_threads_that_use_a_log_for_long_are_clean(tmp_path: Path, sanitizers: str) -> None:
    stress(tmp_path, sanitizers, 300_000)
