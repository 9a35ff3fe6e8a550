"""LangGraph tells no service of its runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Crew


@pytest.fixture
def crew() -> Iterator[Crew]:
    with Crew() as crew:
        yield crew


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.shelf")


@pytest.fixture(autouse=True)
def _no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2"):
        monkeypatch.setenv(name, "false")
