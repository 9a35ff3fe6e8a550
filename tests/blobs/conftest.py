"""Fixtures for tests of large buffers; workers and paths as in tests/processes, insides as in tests/delta."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

HERE = os.path.dirname(__file__)
_TESTS = os.path.dirname(HERE)
_FOUND_IN = [HERE, *(os.path.join(_TESTS, name) for name in ("delta", "processes"))]
sys.path[:0] = _FOUND_IN

from fixtures import crew, own_state, path  # noqa: E402 (found by the line above)
from support import Crew, Worker  # noqa: E402

__all__ = ["crew", "own_state", "path"]


@pytest.fixture(autouse=True)
def _workers_find_insides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [*_FOUND_IN, os.environ.get("PYTHONPATH", "")])))


@pytest.fixture
def armed(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Worker]:
    """Starts a worker with failpoints."""

    def start(failpoints: str, script: str, *arguments: object) -> Worker:
        with monkeypatch.context() as patch:
            patch.setenv("COSHELF_FAILPOINTS", failpoints)
            return crew.start(script, *arguments)

    return start
