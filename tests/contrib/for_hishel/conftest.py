"""Fixtures for tests of the storages for hishel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures import crew, path

from coshelf.contrib.hishel import CoshelfStorage

__all__ = ["crew", "path"]


@pytest.fixture(params=["lmdb", "sqlite", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CoshelfStorage]:
    storage = CoshelfStorage("memory:" if request.param == "memory" else f"{request.param}:{tmp_path}/responses")
    yield storage
    storage.close()
