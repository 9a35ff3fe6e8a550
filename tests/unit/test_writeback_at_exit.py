"""``writeback=True`` after a fork, at exit and when the shelf is collected. docs/api.md, "writeback=True"."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from unit_support import SOURCE

import coshelf


def run(code: str, path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(path)],
        env=os.environ | {"PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


FORK = """
import coshelf, os, sys
shelf = coshelf.open(sys.argv[1], writeback=True)
shelf.update(a=[1], b=[1])
shelf["a"].append("of the parent")
child = os.fork()
if child == 0:
    assert shelf["a"] == [1], shelf["a"]
    shelf["b"].append("of the child")
    {end}
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
with coshelf.open(sys.argv[1]) as plain:
    assert plain["a"] == [1], plain["a"]
    assert plain["b"] == [1, "of the child"], plain["b"]
assert shelf["a"] == [1, "of the parent"]
shelf.close()
with coshelf.open(sys.argv[1]) as plain:
    assert dict(plain) == {{"a": [1, "of the parent"], "b": [1, "of the child"]}}, dict(plain)
"""


@pytest.mark.parametrize("end", ["shelf.close()", "shelf.sync()", "pass"])
def test_forked_child_writes_its_own_changes_and_not_the_parents(end: str, tmp_path: Path) -> None:
    run(FORK.format(end=end), tmp_path / "my.shelf")


AT_EXIT = """
import sys
{before}
import coshelf
shelf = coshelf.open(sys.argv[1], writeback=True)
shelf["a"] = [1]
shelf["a"].append(2)
shelf.sub("users")["ann"] = []
shelf.sub("users")["ann"].append(3)
"""


@pytest.mark.parametrize(
    "before", ["", "import weakref; thing = type('Thing', (), {})(); weakref.finalize(thing, int)"]
)
def test_shelf_that_is_never_closed_is_written_back_at_exit(before: str, tmp_path: Path) -> None:
    """Whatever else has asked to be called at exit, and when."""
    run(AT_EXIT.format(before=before), tmp_path / "my.shelf")
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        assert dict(shelf) == {"a": [1, 2], "users/ann": [3]}
    assert os.listdir(tmp_path) == ["my.shelf"]


def test_shelf_that_is_collected_is_written_back(tmp_path: Path) -> None:
    shelf = coshelf.open(tmp_path / "my.shelf", writeback=True)
    shelf["a"] = [1]
    shelf["a"].append(2)
    del shelf
    gc.collect()
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        assert dict(shelf) == {"a": [1, 2]}
