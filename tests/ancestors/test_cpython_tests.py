"""The standard library's own tests of shelve and dbm pass with coshelf in its place. They ship with the interpreter."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

RUNNER = str(Path(__file__).with_name("cpython_runner.py"))

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("test.test_shelve") is None, reason="this interpreter comes without its tests"
)


def run(name: str, how: str) -> dict[str, int]:
    done = subprocess.run([sys.executable, RUNNER, name, how], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    assert not found["bad"], done.stderr
    return found


def test_test_shelve_passes_whole_with_our_module() -> None:
    theirs, ours = run("test_shelve", "original"), run("test_shelve", "module")
    assert theirs["run"] > 100
    assert ours == theirs


@pytest.mark.parametrize("name", ["test_shelve", "test_dbm"])
def test_passes_whole_with_our_backend(name: str) -> None:
    """Their dbm has only ours then, so there are as many tests as with one backend, and nothing that it cannot do."""
    ours = run(name, "backend")
    assert ours["run"] >= 14
    assert ours["skipped"] <= run(name, "original")["skipped"]
