"""Shelves on each engine that tells of changes, and fixtures for tests with several processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures import crew, own_state, path

import coshelf

__all__ = ["crew", "own_state", "path"]

EVERY_COMMIT = ("lmdb", "memory", "mapping", "sqlite")
LATEST = ("files",)


def _target_of(engine: str, place: Path) -> Any:
    path = str(place / "a.shelf")
    return {"lmdb": path, "memory": "memory:", "mapping": {}, "sqlite": f"sqlite:{path}", "files": f"files:{path}"}[
        engine
    ]


@pytest.fixture(params=EVERY_COMMIT)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """What is opened: a new shelf on each engine that tells every commit."""
    return _target_of(request.param, tmp_path)


@pytest.fixture
def shelf(target: Any) -> Iterator[coshelf.Shelf[Any, Any]]:
    with coshelf.open(target) as shelf:
        yield shelf


@pytest.fixture(params=EVERY_COMMIT + LATEST)
def any_shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[coshelf.Shelf[Any, Any]]:
    """A new shelf on each engine that tells of changes, be it every commit or the latest state."""
    with coshelf.open(_target_of(request.param, tmp_path)) as shelf:
        yield shelf
