"""Fixtures for tests of base and delta; workers and paths as in tests/processes."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = os.path.dirname(__file__)
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "processes")]

from support import Crew, Worker  # noqa: E402 (found by the line above)


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust marks of test shelves do not belong in the user's home; workers find ``insides``."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH", "")])))


@pytest.fixture
def crew() -> Iterator[Crew]:
    """Starts worker processes, and ends those that are left."""
    with Crew() as crew:
        yield crew


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    """A path for a shelf where syncs are quick, and the delta is written through its map."""
    if not os.access("/dev/shm", os.W_OK):
        yield str(tmp_path / "a.shelf")
        return
    directory = tempfile.mkdtemp(prefix="coshelf-test-", dir="/dev/shm")
    yield os.path.join(directory, "a.shelf")
    shutil.rmtree(directory)


@pytest.fixture
def armed(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Worker]:
    """Starts a worker with failpoints."""

    def start(failpoints: str, script: str, *arguments: object) -> Worker:
        with monkeypatch.context() as patch:
            patch.setenv("COSHELF_FAILPOINTS", failpoints)
            return crew.start(script, *arguments)

    return start
