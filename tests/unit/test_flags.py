"""The flags of ``open``, as dbm has them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from unit_support import ENTRIES, SOURCE, WRITES

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "flags"


def test_flags_do_what_dbm_does(path: Path) -> None:
    for flag in ("r", "w"):
        with pytest.raises(coshelf.ShelfNotFound):
            coshelf.open(path, flag)  # type: ignore[arg-type]
    with coshelf.open(path) as shelf:
        assert shelf.flag == "c"
        shelf["a"] = 1
    for flag in ("c", "w"):
        with coshelf.open(path, flag) as shelf:  # type: ignore[arg-type]
            assert shelf["a"] == 1
            shelf[flag] = 1
    with coshelf.open(path, "r") as shelf:
        assert shelf == {"a": 1, "c": 1, "w": 1}
    with coshelf.open(path, "n") as shelf:
        assert shelf == {}
    with coshelf.open(path, "r") as shelf:
        assert shelf == {}


@pytest.mark.parametrize("write", WRITES)
def test_read_only_shelf_cannot_be_written(write: str, path: Path) -> None:
    with coshelf.open(path) as shelf:
        shelf.update(ENTRIES)
    before = path.read_bytes()
    with coshelf.open(path, "r") as shelf:
        for target in (shelf, shelf.sub("a")):
            with pytest.raises(coshelf.ReadOnlyShelf, match=r"my\.shelf.*'r'") as caught:
                WRITES[write](target)
            assert isinstance(caught.value, OSError)
        assert shelf == ENTRIES
    assert path.read_bytes() == before


def test_read_only_beside_a_writer_in_one_process(path: Path) -> None:
    with coshelf.open(path) as writer, coshelf.open(path, "r") as reader:
        writer["a"] = 1
        assert reader["a"] == 1
        with pytest.raises(coshelf.ReadOnlyShelf):
            reader["a"] = 2
        writer["a"] = 3
        assert reader["a"] == 3


def test_n_empties_in_one_commit_that_others_see_as_any_other(path: Path) -> None:
    with coshelf.open(path) as other:
        other.update(ENTRIES)
        inode = path.stat().st_ino
        with other.snapshot() as snapshot:
            walk = iter(other.items())
            assert next(walk) == (None, "none")
            with coshelf.open(path, "n") as shelf:
                assert shelf == {}
                assert other == {}
                shelf["new"] = 1
                assert other == {"new": 1}
                assert snapshot == ENTRIES
                assert [(None, "none"), *walk] == list(ENTRIES.items())
        other["later"] = 2
        assert path.stat().st_ino == inode
    with coshelf.open(path) as shelf:
        assert shelf == {"later": 2, "new": 1}


_OTHER = SCRIPTS / "other_opener.py"


def test_n_does_not_pull_the_file_from_under_another_process(path: Path) -> None:
    with coshelf.open(path) as shelf:
        shelf.update(dict.fromkeys(range(500), "x" * 100))
    other = subprocess.Popen(
        [sys.executable, _OTHER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": SOURCE},
    )
    assert other.stdout
    assert other.stdout.readline() == "500\n"
    with coshelf.open(path, "n") as shelf:
        assert not shelf
        shelf["new"] = 1
        for n in range(50):
            shelf["new"] = n
        shelf["new"] = 1
        _, errors = other.communicate("go\n", timeout=300)
        assert other.returncode == 0, errors
        assert shelf == {"mine": 2, "new": 1}
