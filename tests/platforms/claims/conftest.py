"""Shelves and processes for claims that hold on every platform: nothing here forks, and nothing needs POSIX.

`make test` runs some of them where something is lacking, and `make test-long` all of them there and here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from lacking import LACKING

WORKER = Path(__file__).parent / "scripts" / "worker.py"
PATIENCE = 60.0


@pytest.hookimpl(tryfirst=True)  # before ``-m`` selects by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what others test here, too, to `make test-long`."""
    if LACKING not in os.environ:
        for test in items:
            if Path(__file__).parent in test.path.parents:
                test.add_marker(pytest.mark.long)


class Worker:
    """A process that runs ``worker.py``. It is killed at the end of the test."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", str(WORKER), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._late = threading.Timer(PATIENCE, self._process.kill)
        self._late.start()

    def hear(self) -> str:
        """The next line that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().rstrip("\n")
        if not line and self._process.wait() != 0:
            assert self._process.stderr is not None
            pytest.fail(f"the worker ended with {self._process.returncode}:\n{self._process.stderr.read()}")
        return line

    def tell(self, word: str = "go") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def finish(self) -> None:
        """Wait for its end, which must be a good one."""
        assert self._process.stderr is not None
        errors = self._process.stderr.read()
        assert (self._process.wait(), errors) == (0, "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._late.cancel()
        self._late.join()
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def worker() -> Iterator[Callable[..., Worker]]:
    begun: list[Worker] = []

    def begin(*arguments: str) -> Worker:
        begun.append(Worker(*arguments))
        return begun[-1]

    yield begin
    for each in begun:
        with each:
            pass


@pytest.fixture(params=["path", "sqlite", "files"], ids=["path", "sqlite", "directory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a shelf is that processes share: by a path, and on other engines that have one in files."""
    path = tmp_path / "Recipes.shelf"
    return str(path) if request.param == "path" else f"{request.param}:{path}"
