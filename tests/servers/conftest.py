"""Makes the helpers beside the tests importable, and starts servers, once for each process of the tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import objects


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the servers know."""
    for name, value in objects.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def moto() -> Iterator[objects.Server]:
    with objects.moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def weed() -> Iterator[objects.Weed]:
    with objects.Weed() as server:
        yield server
