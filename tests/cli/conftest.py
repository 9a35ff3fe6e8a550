"""Fixtures for the command line: a real shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import coshelf
from forked import FORK

SCRIPTS = Path(__file__).parent / "scripts"
REAL = Path(sys.executable).parent / "coshelf"


@pytest.fixture(scope="session")
def command() -> Iterator[dict[str, str]]:
    """The variables by which a shell finds ``coshelf``.

    In `make test` it is a client of ``standby.py``, because the start of an interpreter takes longer than most
    commands. Otherwise it is the console script.
    """
    if FORK not in os.environ:
        yield {"PATH": f"{REAL.parent}{os.pathsep}{os.environ['PATH']}"}
        return
    place = Path(tempfile.mkdtemp(prefix="coshelf-standby-"))
    client = place / "coshelf"
    client.write_text(f"#!{sys.executable} -IS\n{(SCRIPTS / 'through_standby.py').read_text()}")
    client.chmod(0o755)
    door = str(place / "door")
    program = [sys.executable, str(SCRIPTS / "standby.py"), door]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as standby:
        assert standby.stdin is not None and standby.stdout is not None and standby.stdout.readline() == b"ready\n"
        search = f"{place}{os.pathsep}{REAL.parent}{os.pathsep}{os.environ['PATH']}"
        yield {"PATH": search, "COSHELF_STANDBY": door, "COSHELF_REAL": str(REAL)}
        standby.stdin.close()
    shutil.rmtree(place)


@pytest.fixture
def sh(tmp_path: Path, command: dict[str, str]):
    """Runs a line in a real shell, where ``coshelf`` is the command."""

    def run(line: str, code: int = 0) -> tuple[str, str]:
        environment = os.environ | command | {"XDG_STATE_HOME": str(tmp_path / "state")}
        done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    return run


@pytest.fixture
def a_shelf(tmp_path: Path) -> str:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({"hello": 15, ("t", 1): {"x": None}})
    return "a.shelf"
