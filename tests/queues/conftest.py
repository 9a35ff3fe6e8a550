"""Shelves on each local engine, and fixtures for tests with several processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures import armed, crew, own_state, path

import coshelf
from coshelf.testing.moving_clock import MovingClock

__all__ = ["armed", "clock", "crew", "own_state", "path", "shelf", "target", "url"]

ENGINES = ("lmdb", "memory", "mapping", "sqlite", "files")


@pytest.fixture
def clock() -> Iterator[MovingClock]:
    """The clock of delays and leases. It stands still until the test moves it."""
    with MovingClock() as clock:
        yield clock


@pytest.fixture(params=ENGINES)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """What is opened: a new shelf on each engine."""
    place = str(tmp_path / "a.shelf")
    return {
        "lmdb": place,
        "memory": "memory:",
        "mapping": {},
        "sqlite": f"sqlite:{place}",
        "files": f"files:{tmp_path}/directory",
    }[request.param]


@pytest.fixture
def shelf(target: Any) -> Iterator[coshelf.Shelf[Any, Any]]:
    with coshelf.open(target) as shelf:
        yield shelf


@pytest.fixture(params=["lmdb", "sqlite", "files"])
def url(request: pytest.FixtureRequest, path: str) -> str:
    """Of a shelf that processes share. It does not exist yet."""
    return f"{request.param}:{Path(path).parent}/{'directory' if request.param == 'files' else 'a.shelf'}"
