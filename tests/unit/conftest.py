"""Fixtures with shelves: on each engine, with entries, and with writeback beside a second shelf on the same entries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unit_support import ENTRIES, Pair

import coshelf


@pytest.fixture(autouse=True)
def own_state_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "my.shelf"


@pytest.fixture(params=["lmdb", "memory", "mapping"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An open shelf on each engine."""
    target: Any = {"lmdb": tmp_path / "my.shelf", "memory": "memory:", "mapping": {}}[request.param]
    with coshelf.open(target, timeout=60) as shelf:
        yield shelf


@pytest.fixture
def shelf(empty: Any) -> Any:
    """A shelf with all of ENTRIES."""
    empty.update(ENTRIES)
    return empty


def discard(shelf: Any) -> None:
    """Clear the shelf, so that closing does not write back what a test left in the cache."""
    if not shelf.closed:
        shelf.clear()


@pytest.fixture(params=["lmdb", "memory"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    if request.param == "lmdb":
        with coshelf.open(tmp_path / "my.shelf", writeback=True) as mine, coshelf.open(tmp_path / "my.shelf") as theirs:
            yield Pair(mine, theirs)
            discard(mine)
        return
    with coshelf.open("memory:", writeback=True) as mine:
        yield Pair(mine, coshelf.Shelf(mine._handle))  # the same engine, without a cache
        discard(mine)
