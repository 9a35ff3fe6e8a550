"""Programs write until the very end of the interpreter, to servers as well, and a shelf stays open for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from objects import Server as ObjectServer
from objects import Weed

import coshelf
from servers.postgresql import Postgresql

_LATE = """
import atexit

def last_word():  # runs after coshelf's own functions, since it is registered before they are
    shelf["ended"] = 1
    shelf.modify("count", lambda count: count + 1, default=0)
    shelf.update({f"n/{number}": number for number in range(20)})
    assert shelf.get_many([f"n/{number}" for number in range(20)]) == {f"n/{number}": number for number in range(20)}
    assert len(list(shelf)) == 23, list(shelf)

atexit.register(last_word)

import logging, sys
import coshelf

logging.getLogger("coshelf").setLevel(logging.ERROR)  # a slow machine is told that it waits

class Last:
    def __init__(self, shelf):
        self.shelf = shelf
        self.me = self  # a cycle, so that it is collected when modules are torn down

    def __del__(self):
        self.shelf["deleted"] = 1

shelf = coshelf.open(sys.argv[1], timeout=20)
shelf["a"] = 1
shelf.update({"n/0": None, "n/1": None})  # several, so that what has threads has started them
last = Last(shelf)
"""
_OPENING = """
import atexit, logging, sys

logging.getLogger("coshelf").setLevel(logging.ERROR)

def last_word():
    with coshelf.open(sys.argv[1], timeout=20) as shelf:
        shelf.update({"opened": 1, "together": 1})

atexit.register(last_word)
import coshelf

with coshelf.open(sys.argv[1], timeout=20) as shelf:
    shelf["first"] = 1

"""
_THREAD = """
import logging, sys, threading
import coshelf

logging.getLogger("coshelf").setLevel(logging.ERROR)

def work():
    threading.main_thread().join(20)
    for number in range(20):
        shelf.update({f"{number}/a": 1, f"{number}/b": 1})

shelf = coshelf.open(sys.argv[1], timeout=20)
threading.Thread(target=work).start()
"""


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


def _run(program: str, url: str, tmp_path: Path) -> None:
    """Run a program, which is silent: no warning, and no traceback of what the end interrupted."""
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-X", "dev", "-W", "always::ResourceWarning:coshelf", tmp_path / "program.py", url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_what_is_written_at_exit_and_when_modules_are_torn_down_is_there(url: str, tmp_path: Path) -> None:
    _run(_LATE, url, tmp_path)
    with coshelf.open(url, "r") as shelf:
        written = {"a": 1, "ended": 1, "count": 1, "deleted": 1}
        assert dict(shelf) == written | {f"n/{number}": number for number in range(20)}


def test_a_shelf_opened_again_at_exit_takes_what_is_written(url: str, tmp_path: Path) -> None:
    _run(_OPENING, url, tmp_path)
    with coshelf.open(url, "r") as shelf:
        assert shelf.get_many(["opened", "together"]) == {"opened": 1, "together": 1}


def test_a_thread_that_outlives_the_main_thread_goes_on_writing(url: str, tmp_path: Path) -> None:
    _run(_THREAD, url, tmp_path)
    with coshelf.open(url, "r") as shelf:
        assert len(list(shelf)) == 40
