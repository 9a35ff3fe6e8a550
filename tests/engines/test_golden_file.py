"""A file that an earlier version wrote is read as it was meant, and goes on being used."""

from __future__ import annotations

import importlib.util
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import lmdb
import pytest

import coshelf

GOLDEN = Path(__file__).parent.parent / "golden"


def entries() -> dict[Any, Any]:
    specification = importlib.util.spec_from_file_location("make_format1", GOLDEN / "make_format1.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return {**module.ENTRIES, "protocol 0": [1, 2, 3]}


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    path = tmp_path / "golden.shelf"
    shutil.copy(GOLDEN / "format1.lmdb", path)
    return path


def test_a_file_of_format_1_has_the_entries_that_were_written(golden: Path) -> None:
    with coshelf.open(golden, "r") as shelf:
        assert shelf.copy() == entries()
        assert len(shelf) == len(entries())


def test_a_file_of_format_1_can_be_written(golden: Path) -> None:
    expected = entries()
    with coshelf.open(golden, "w") as shelf:
        longest = max((key for key in expected if isinstance(key, str)), key=len)
        del shelf[longest], expected[longest]
        shelf["new"] = expected["new"] = 1
    with coshelf.open(golden) as shelf:
        assert shelf.copy() == expected


def test_the_shelf_row_is_as_the_format_page_says(golden: Path) -> None:
    with lmdb.open(str(golden), subdir=False, readonly=True, lock=False) as environment, environment.begin() as rows:
        row = rows.get(b"\x00shelf")
    assert row is not None
    assert len(row) == 84
    assert row[:8] == b"coshelf\0"
    assert struct.unpack_from("<HHIII", row, 8) == (1, 0, 0, 0, 0)
    sequence, extra_rows = struct.unpack_from("<QQ", row, 48)
    assert sequence == 4  # update, set, delete, set
    assert extra_rows == 1 + 2  # the row itself, and the links of the long keys, which share the first
    assert zlib.crc32(row[:80]) == struct.unpack_from("<I", row, 80)[0]


def test_len_counts_entries_and_neither_links_nor_our_own_rows(golden: Path) -> None:
    with coshelf.open(golden, "r") as shelf:
        assert len(shelf) == len(list(shelf))
