"""pickleshare's own tests, from its source distribution, with our module in the place of pickleshare."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

_VERSION = "0.7.5"


@pytest.fixture(scope="module")
def own_tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with pickleshare's test file, and ours under pickleshare's name."""
    place = tmp_path_factory.mktemp("own-tests")
    got = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"),
            *("--dest", str(place), f"pickleshare=={_VERSION}"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    archive = place / f"pickleshare-{_VERSION}.tar.gz"
    if not archive.exists():
        complaint = f"pickleshare's source distribution cannot be had: {got.stderr[-300:]}"
        if os.environ.get("CI"):
            pytest.fail(complaint)
        pytest.skip(complaint)
    with tarfile.open(archive) as opened:
        source = opened.extractfile(f"pickleshare-{_VERSION}/test_pickleshare.py")
        assert source is not None
        (place / "test_pickleshare.py").write_bytes(source.read())
    (place / "pickleshare.py").write_text("from coshelf.pickleshare import *\n")
    (place / "pytest.ini").write_text("[pytest]\n")
    return place


def run(place: Path, name: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"test_pickleshare.py::{name}"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
    )
    return done.stdout[-3000:]


def test_pickleshare_own_test_passes(own_tests: Path) -> None:
    assert "1 passed" in run(own_tests, "test_pickleshare")


@pytest.mark.long  # 190,000 operations, and pauses of half a minute in all
@pytest.mark.timeout(600)
def test_pickleshare_own_stress_test_passes(own_tests: Path) -> None:
    assert "1 passed" in run(own_tests, "test_stress")
