"""Every test of this folder that is a coroutine runs under asyncio and under trio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["memory", "lmdb", "sqlite", "files"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a shelf, one for each engine of this machine."""
    places = {
        "memory": "memory:",
        "lmdb": str(tmp_path / "a.shelf"),
        "sqlite": f"sqlite:{tmp_path / 'a.sqlite'}",
        "files": f"files:{tmp_path / 'a'}",
    }
    return places[request.param]
