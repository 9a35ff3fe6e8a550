"""Fixtures for tests with several processes. A process that a test starts ends with the test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from insides import use_tables
from support import Crew, Worker

from coshelf import native
from coshelf.engines.lmdb.delta import files
from starting import Program

__all__ = ["armed", "crew", "each_kind", "own_state", "path", "tables"]


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


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process make tables, and have its workers do without the module in C, so that they make tables, too."""
    monkeypatch.setattr(files, "native", files.native)  # put back at the end of the test
    use_tables()
    monkeypatch.setenv("COSHELF_NATIVE", "0")


@pytest.fixture(params=["log", "table"] if native.in_use else ["table"])
def each_kind(request: pytest.FixtureRequest) -> None:
    """Run a test over both kinds of delta that are written through a map, as far as this process can have them."""
    if request.param == "table":
        request.getfixturevalue("tables")
