"""Fixtures for tests of locks: those for tests with several processes, and one shelf of each engine of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures import crew, own_state, path

import coshelf

__all__ = ["crew", "own_state", "path"]


@pytest.fixture(params=["memory", "lmdb", "sqlite", "files"])
def url(request: pytest.FixtureRequest, path: str) -> str:
    """Of a shelf that does not exist yet."""
    if request.param == "memory":
        return "memory:"
    return f"{request.param}:{Path(path).parent}/{'directory' if request.param == 'files' else 'a.shelf'}"


@pytest.fixture(params=["memory", "lmdb"])
def some_url(request: pytest.FixtureRequest, path: str) -> str:
    """As ``url``, for tests that take long. One is of an engine with lines in one process, one with a shared table."""
    return "memory:" if request.param == "memory" else path


@pytest.fixture
def shelf(url: str) -> Iterator[coshelf.Shelf[Any, Any]]:
    with coshelf.open(url) as shelf:
        yield shelf
