"""What LMDB makes is never called damaged, whatever transactions it comes of."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import lmdb
import pytest
from whole_files import problems_of

import coshelf
from coshelf.engines.lmdb.pages.header import read_metas
from coshelf.engines.lmdb.pages.page_walk import TreeWalk
from coshelf.engines.lmdb.pages.reading import Pages

SCRIPT = str(Path(__file__).parent / "whole_files.py")


@pytest.mark.parametrize("count", [1_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_no_state_that_lmdb_leaves_is_called_damaged(count: int) -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--states", str(count)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("base", "plain delta", "mapped delta", "delta of a shelf", "shelf"):
        assert f"'{kind}': " in done.stdout


def large_then_small(path: Path, sizes: Iterable[int]) -> dict[int, bytes]:
    with coshelf.open(path, flush_interval=1_000) as shelf:
        for number in range(50):
            shelf[number] = bytes(30_000)
        entries = {number: bytes([number + 1]) * size for number, size in zip(range(50), sizes, strict=True)}
        shelf.update(entries)
        assert not shelf.check().problems
    return entries


@pytest.mark.parametrize("size", [0, 100, 3_000, 12_000])
def test_shelf_whose_values_shrank_in_one_commit_is_whole_and_its_copy_opens(size: int, tmp_path: Path) -> None:
    """LMDB leaves them in the pages that the larger ones had."""
    entries = large_then_small(tmp_path / "a.shelf", [size] * 50)
    assert not coshelf.check(tmp_path / "a.shelf").problems
    shutil.copy(tmp_path / "a.shelf", tmp_path / "b.shelf")
    with coshelf.open(tmp_path / "b.shelf") as copied:
        assert copied.copy() == entries
        copied.clear()
        assert not copied.check().problems


def test_damage_to_a_record_of_a_shelf_with_such_values_is_told_as_that(tmp_path: Path) -> None:
    """py-lmdb's verifier calls them damaged."""
    path = tmp_path / "a.shelf"
    entries = large_then_small(path, [2_900] * 50)
    content = bytearray(path.read_bytes())
    content[content.index(b"\7" * 2_000) + 1_000] ^= 1
    path.write_bytes(content)
    with coshelf.open(path, "r") as shelf:
        with pytest.raises(coshelf.DamagedRecord):
            shelf[6]
        assert all(shelf[key] == value for key, value in entries.items() if key != 6)


def file_of_lmdb(path: Path) -> tuple[bytearray, int]:
    """The bytes of a file with a tree of two levels and a free list, and where a run of pages begins."""
    with lmdb.open(str(path), subdir=False, lib_version=0, map_size=1 << 26) as environment:
        for turn in range(3):
            with environment.begin(write=True) as transaction:
                for number in range(200):
                    transaction.put(b"key %03d" % number, bytes(100 + turn))
                transaction.put(b"large", bytes(20_000))
    assert not problems_of(str(path), rows=False)
    with path.open("rb") as file:
        meta = max(read_metas(file.fileno(), str(path)), key=lambda meta: meta.transaction)
        walk = TreeWalk(Pages(file.fileno(), 4096), meta.last_page, bytearray(meta.last_page + 1), lambda *_: None)
        rows = chain.from_iterable(walk.leaves(meta.main_root, meta.main_depth))
        first = next(node.first for node in rows if node.key == b"large")
    return bytearray(path.read_bytes()), first * 4096


@pytest.mark.parametrize("change", ["longer than the file", "shorter than its value", "into another's pages"])
def test_run_of_pages_that_cannot_be_is_found(change: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mdb"
    content, run = file_of_lmdb(path)
    pages = int.from_bytes(content[run + 12 : run + 16], "little")
    assert pages == 5
    number = {"longer than the file": 1 << 20, "shorter than its value": 4, "into another's pages": 6}[change]
    content[run + 12 : run + 16] = number.to_bytes(4, "little")
    path.write_bytes(content)
    assert problems_of(str(path), rows=False)
