"""Programs write until the very end of the interpreter, to servers as well, and a shelf stays open for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from objects import Server as ObjectServer
from objects import Weed
from postgresql import Postgresql

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "at_exit_on_servers"

_LATE = SCRIPTS / "written_late.py"
_OPENING = SCRIPTS / "opened_late.py"
_THREAD = SCRIPTS / "threads_at_exit.py"


@pytest.fixture(params=["redis", "cluster", "postgresql", "weed", "moto"])
def url(request: pytest.FixtureRequest) -> str:
    """A new shelf on each kind of server."""
    if request.param == "postgresql":
        postgresql: Postgresql = request.getfixturevalue("postgresql")
        return postgresql.url()
    if request.param in ("weed", "moto"):
        store: Weed | ObjectServer = request.getfixturevalue(request.param)
        return store.url()
    found: str = request.getfixturevalue({"redis": "server"}.get(request.param, request.param))
    return found


def _run(program: Path, url: str) -> None:
    """Run a program, which is silent: no warning, and no traceback of what the end interrupted."""
    command = [sys.executable, "-X", "dev", "-W", "always::ResourceWarning:coshelf", program, url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_what_is_written_at_exit_and_when_modules_are_torn_down_is_there(url: str) -> None:
    _run(_LATE, url)
    with coshelf.open(url, "r") as shelf:
        written = {"a": 1, "ended": 1, "count": 1, "deleted": 1}
        assert dict(shelf) == written | {f"n/{number}": number for number in range(20)}


def test_a_shelf_opened_again_at_exit_takes_what_is_written(url: str) -> None:
    _run(_OPENING, url)
    with coshelf.open(url, "r") as shelf:
        assert shelf.get_many(["opened", "together"]) == {"opened": 1, "together": 1}


def test_a_thread_that_outlives_the_main_thread_goes_on_writing(url: str) -> None:
    _run(_THREAD, url)
    with coshelf.open(url, "r") as shelf:
        assert len(list(shelf)) == 40
