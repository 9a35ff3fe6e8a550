"""Fixtures for tests of the store for Litestar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fixtures import crew, path

from coshelf.contrib.litestar import CoshelfStore

__all__ = ["crew", "path"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["lmdb", "sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CoshelfStore]:
    target = "memory:" if request.param == "memory" else f"{request.param}:{tmp_path}/store"
    async with CoshelfStore(target) as store:
        yield store
