"""Shelves on each engine whose entries can have tags, and a clock that the tests move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.testing.moving_clock import MovingClock

ENGINES = ("lmdb", "memory", "mapping", "sqlite")


@pytest.fixture
def clock() -> Iterator[MovingClock]:
    """The clock by which entries expire. It stands still until the test moves it."""
    with MovingClock() as clock:
        yield clock


@pytest.fixture(params=ENGINES)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """What is opened: a new shelf on each engine."""
    place = str(tmp_path / "a.shelf")
    return {"lmdb": place, "memory": "memory:", "mapping": {}, "sqlite": f"sqlite:{place}"}[request.param]


@pytest.fixture
def shelf(target: Any, clock: MovingClock) -> Iterator[coshelf.Shelf[Any, Any]]:
    with coshelf.open(target) as shelf:
        yield shelf
