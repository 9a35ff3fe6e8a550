"""A cache whose directory was deleted while it was open ends quietly, and another one takes its place."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.diskcache import Cache, Deque, FanoutCache, Index
from coshelf.errors import ShelfGone

MAKERS: list[Callable[[str], Any]] = [
    Cache,
    FanoutCache,
    lambda directory: Deque("abc", directory),
    lambda directory: Index(directory, a=1),
]


@pytest.mark.parametrize("make", MAKERS, ids=["Cache", "FanoutCache", "Deque", "Index"])
def test_directory_can_be_deleted_and_made_again_without_a_collection(
    make: Callable[[str], Any], tmp_path: Path
) -> None:
    directory = str(tmp_path / "cache")
    gc.disable()
    try:
        first = make(directory)
        list(first)
        shutil.rmtree(directory)
        alive = weakref.ref(first)
        del first
        assert alive() is None
        second = make(directory)
        assert list(second) == list(make(str(tmp_path / "other")))
        second.clear()
    finally:
        gc.enable()


def test_a_deleted_directory_is_made_again_while_the_old_cache_is_open(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    old = Cache(directory)
    old["old"] = 1
    shutil.rmtree(directory)
    new = Cache(directory)
    new["new"] = 2
    assert (list(new), old.get("new")) == (["new"], None)
    old.close()
    assert old["new"] == 2  # it was opened again
    new.close()
    old.close()
    assert coshelf.check(directory / "cache.shelf").ok


def test_a_shelf_that_is_deleted_alone_is_noticed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache["key"] = "value"
    (tmp_path / "cache.shelf").unlink()
    with pytest.raises(ShelfGone):
        cache.close()


PROGRAM = """
import shutil, sys
from coshelf.diskcache import Cache

dropped = Cache(sys.argv[1])
dropped["key"] = "value"
shutil.rmtree(sys.argv[1])
del dropped
kept = Cache(sys.argv[1])
kept["key"] = "value"
shutil.rmtree(sys.argv[1])
"""


def test_program_that_leaves_a_deleted_cache_open_says_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
