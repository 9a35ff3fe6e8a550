"""Real programs that share a shelf: servers and workers that other people run."""

from __future__ import annotations

from pathlib import Path

import pytest

# They open a shelf when they are imported, as such programs do.
collect_ignore = ["counting_page.py", "celery_application.py"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.shelf"


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
