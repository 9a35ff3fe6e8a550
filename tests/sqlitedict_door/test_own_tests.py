"""sqlitedict's own tests, from its source distribution, with our module in the place of sqlitedict."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sdists import fetch, needed, unpack

_VERSION = "2.1.0"
_NUMBER = 89
# One of the tests takes away its own right to a file. For root that holds without two capabilities only.
_BOUND_BY_MODES = Path(__file__).parent / "scripts" / "bound_by_modes.py"
# One of the tests imports the module anew, and replaces `sqlite3` in it.
_IN_ITS_PLACE = """
import sys

sys.modules.pop("coshelf.sqlitedict", None)
import coshelf.sqlitedict

sys.modules[__name__] = coshelf.sqlitedict
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory if possible: sqlitedict's tests do not test the disk."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="coshelf-test-", dir="/dev/shm") as directory:
        yield Path(directory)


@pytest.fixture
def own_tests(place: Path) -> Path:
    """A directory with sqlitedict's tests, and our module under its name."""
    with needed():
        unpack(fetch("sqlitedict", _VERSION), ("tests/",), place)
    (place / "tests" / "db").mkdir(exist_ok=True)
    (place / "sqlitedict.py").write_text(_IN_ITS_PLACE)
    (place / "pytest.ini").write_text("[pytest]\n")
    return place


def test_all_own_tests_of_sqlitedict_pass(own_tests: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, str(_BOUND_BY_MODES)),
            *(
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "--basetemp",
                str(own_tests / "temporary"),
            ),
            "tests",
        ],
        cwd=own_tests,
        env=os.environ | {"PYTHONPATH": ".", "XDG_STATE_HOME": str(own_tests / "state"), "TMPDIR": str(own_tests)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1].startswith(f"{_NUMBER} passed"), done.stdout[-3000:] + done.stderr[-1000:]
