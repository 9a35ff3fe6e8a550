"""Settings of Django, which has one set for a process, and fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from support import Crew

from coshelf.contrib.django import shelves


@pytest.fixture(scope="session", autouse=True)
def configured() -> None:
    if not settings.configured:
        settings.configure(SECRET_KEY="tests", USE_TZ=True)


@pytest.fixture(autouse=True)
def closed(tmp_path: Path) -> Iterator[None]:
    """Close what a test opened before its directory goes."""
    yield
    shelves.close_all()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "site.shelf")


@pytest.fixture
def crew() -> Iterator[Crew]:
    with Crew() as crew:
        yield crew
