"""pickleshare's own tests, from its source distribution, with our module in the place of pickleshare."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sdists import fetch, needed, unpack

_VERSION = "0.7.5"


@pytest.fixture(scope="module")
def own_tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with pickleshare's test file, and ours under pickleshare's name."""
    place = tmp_path_factory.mktemp("own-tests")
    with needed():
        unpack(fetch("pickleshare", _VERSION), ("test_pickleshare.py",), place)
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
