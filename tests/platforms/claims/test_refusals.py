"""An engine that cannot work on a platform says so, and which one can."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.contract import Flag
from coshelf.errors import CoshelfError

OLD = Path(__file__).parent.parent.parent / "golden" / "format1.lmdb"


def test_lmdb_file_opens_or_is_refused_clearly_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "Old.shelf"
    shutil.copy(OLD, path)
    before = path.read_bytes()
    with contextlib.ExitStack() as opened:
        shelf = _opened_or_refused(path, "r", opened)
        assert shelf is None or len(shelf) > 0
    assert path.read_bytes() == before


def _opened_or_refused(target: Any, flag: Flag, opened: contextlib.ExitStack) -> coshelf.Shelf[Any, Any] | None:
    """The shelf, or None if it was refused with an error that names the engine that works."""
    try:
        return opened.enter_context(coshelf.open(target, flag))
    except CoshelfError as error:
        refused = str(error)
    assert "sqlite:" in refused
    return None


@pytest.mark.parametrize("scheme", ["files"])
def test_engine_works_or_says_what_does(scheme: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as opened:
        shelf = _opened_or_refused(f"{scheme}:{tmp_path / 'Recipes.shelf'}", "c", opened)
        if shelf is None:
            assert list(tmp_path.iterdir()) == []
        else:
            shelf["a"] = 1
            assert dict(shelf) == {"a": 1}


def test_memory_and_mappings_work_everywhere() -> None:
    for target in ("memory:", {}):
        with coshelf.open(target) as shelf:
            shelf["a"] = 1
            with shelf.transaction() as transaction:
                transaction["b"] = transaction["a"] + 1
            assert dict(shelf) == {"a": 1, "b": 2}
            with shelf.lock("turn"):
                assert list(shelf.items(prefix="b")) == [("b", 2)]
