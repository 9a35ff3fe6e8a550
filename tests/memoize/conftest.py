"""Fixtures for tests of memoized functions: those for tests with several processes, and one shelf of each engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures import crew, own_state, path

__all__ = ["crew", "own_state", "path"]


@pytest.fixture(params=["lmdb", "sqlite", "files"])
def url(request: pytest.FixtureRequest, path: str) -> str:
    """Of a shelf that processes share. It does not exist yet."""
    return f"{request.param}:{Path(path).parent}/{'directory' if request.param == 'files' else 'a.shelf'}"
