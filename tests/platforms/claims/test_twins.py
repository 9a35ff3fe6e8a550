"""Keys that differ in case alone stay apart, also where the file system takes their names for one."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

import coshelf
from coshelf.errors import InvalidKey, Unsupported
from coshelf.pickleshare import PickleShareDB

TWINS = ["Recipe", "RECIPE", "recipe", "Box/a", "box/a", "box/A", "Box", "box"]


def test_twins_have_a_file_each(tmp_path: Path) -> None:
    target = f"files:{tmp_path / 'db'}"
    try:
        opened = coshelf.open(target)
    except Unsupported:
        pytest.skip("the files engine cannot run here")
    with opened as shelf:
        shelf.update({key: key for key in TWINS})
        assert dict(shelf) == {key: key for key in TWINS}
    with coshelf.open(target, "r") as shelf:
        assert {key: shelf[key] for key in TWINS} == {key: key for key in TWINS}


def test_twin_in_pickleshare_is_kept_or_refused(tmp_path: Path) -> None:
    try:
        db = PickleShareDB(tmp_path / "db")
    except Unsupported:
        pytest.skip("the files engine cannot run here")
    db["Recipe"] = 1
    stored = {"Recipe": 1}
    with contextlib.suppress(InvalidKey):
        db["recipe"] = 2
        stored["recipe"] = 2
    assert {key: db[key] for key in db.keys()} == stored  # noqa: SIM118 (as pickleshare is used)
    assert ("recipe" in db) == ("recipe" in stored)
