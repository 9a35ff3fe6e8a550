"""A file that was cut short, before it is opened or while it is open: an error, never a crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "truncated"


_CUT_BEFORE = SCRIPTS / "cut_before.py"


def test_file_cut_at_any_length_is_refused_and_stays_as_it_is(tmp_path: Path, python: Any) -> None:
    python(_CUT_BEFORE, tmp_path / "cut.shelf")


_CUT_IN_A_VALUE = SCRIPTS / "cut_in_a_value.py"


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_file_cut_in_a_large_value_is_refused(end: str, tmp_path: Path, python: Any) -> None:
    python(_CUT_IN_A_VALUE, tmp_path / "cut.shelf", end)


_CUT_WHILE_OPEN = SCRIPTS / "cut_while_open.py"

_ACTIONS = [
    *("get", "contains", "get_many", "len", "count", "copy", "keys", "reversed", "cursor"),
    *("take a snapshot", "snapshot get", "snapshot scan", "snapshot len"),
    *("set", "delete", "update", "pop", "clear", "transaction", "edit"),
]


def test_file_cut_while_open_is_an_error_at_the_next_use(tmp_path: Path, python: Any) -> None:
    python(_CUT_WHILE_OPEN, tmp_path / "cut.shelf", *_ACTIONS)


def test_file_cut_while_it_is_scanned_is_an_error(tmp_path: Path, python: Any) -> None:
    python(_CUT_WHILE_OPEN, tmp_path / "cut.shelf", "scan under way")


def test_file_that_ends_in_free_pages_opens(tmp_path: Path) -> None:
    """LMDB counts pages that a commit took and gave back without writing them: the file is whole, but shorter."""
    for first in (13, 71, 146, 200):
        path = tmp_path / f"short{first}.shelf"
        with coshelf.open(path) as shelf:
            shelf.update(dict.fromkeys(range(first, 382), b"x" * 100))
            shelf.update(dict.fromkeys(range(338, 605), b"x" * 1000))
            with shelf.transaction() as t:
                for n in range(first + 30, 577):
                    del t[n]
            expected = shelf.copy()
        for flag in ("r", "w", "c"):
            with coshelf.open(path, flag) as shelf:
                assert shelf.copy() == expected
        with coshelf.open(path) as shelf:
            shelf.update(dict.fromkeys(range(300), b"y" * 2000))
            assert shelf[299] == b"y" * 2000
