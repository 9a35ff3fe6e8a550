"""Fixtures for tests with several processes. A process that a test starts ends with the test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import Crew, Worker

from starting import Program

__all__ = ["armed", "crew", "own_state", "path"]


@pytest.fixture
def crew() -> Iterator[Crew]:
    """Starts worker processes, and ends those that still run after the test."""
    with Crew() as crew:
        yield crew


@pytest.fixture
def armed(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Worker]:
    """Starts a worker with failpoints."""

    def start(failpoints: str, program: Program, *arguments: object) -> Worker:
        with monkeypatch.context() as patch:
            patch.setenv("COSHELF_FAILPOINTS", failpoints)
            return crew.start(program, *arguments)

    return start


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    """A path for a shelf, in memory if possible: these tests test processes, not the disk."""
    if not os.access("/dev/shm", os.W_OK):
        yield str(tmp_path / "a.shelf")
        return
    directory = tempfile.mkdtemp(prefix="coshelf-test-", dir="/dev/shm")
    yield os.path.join(directory, "a.shelf")
    shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the trust marks of test shelves out of the user's home."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
