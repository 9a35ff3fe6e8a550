"""A use that needs an optional package says which one, and has the line that installs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from starting import environment

SCRIPT = Path(__file__).parent / "scripts" / "without_packages.py"
EXTRAS = ["aio", "crypto", "msgspec", "postgresql", "redis", "s3"]
if sys.version_info < (3, 14):  # later Pythons have it themselves
    EXTRAS.append("zstd")


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    done = subprocess.run([sys.executable, str(SCRIPT)], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("extra", EXTRAS)
def test_missing_package_is_told_with_the_line_that_installs_it(extra: str, said: dict[str, str]) -> None:
    first, *hints = said[extra].split("\n")
    assert "cannot be imported here: No module named" in first
    assert hints == [f"  hint: pip install 'coshelf[{extra}]'"]


def test_command_line_says_how_click_is_installed() -> None:
    hidden = (
        "import sys; sys.modules['click'] = None; sys.argv = ['coshelf', 'ls']; from coshelf.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", hidden], env=environment(), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: the command line needs click\n  hint: pip install 'coshelf[cli]'\n"
