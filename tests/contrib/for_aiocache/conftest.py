"""Fixtures for tests with several processes, and the loop for coroutines."""

import pytest
from fixtures import own_state, path

__all__ = ["own_state", "path"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
