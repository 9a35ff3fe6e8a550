"""Fixtures with shelves of every codec and layer, on every engine that has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import coshelf

Open = Callable[..., Any]


@pytest.fixture(autouse=True)
def own_state_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.shelf"


@pytest.fixture(params=["lmdb", "sqlite", "memory", "mapping"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def target(engine: str, path: Path) -> Any:
    return {"lmdb": path, "sqlite": f"sqlite:{path}", "memory": "memory:", "mapping": {}}[engine]


@pytest.fixture
def opened(target: Any) -> Iterator[Open]:
    """Opens shelves that are closed at the end."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(coshelf.open(target, **options))
