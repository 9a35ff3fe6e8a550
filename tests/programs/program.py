"""A program that a test starts, waits for and stops, with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["PATIENCE", "Program", "wait_for"]

PATIENCE = 300.0
"""Seconds after which something hangs: far more than it takes on a slow machine."""


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Return once a condition holds. AssertionError if it does not within the patience of these tests."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE:g} s for {what}"
        time.sleep(0.02)


class Program:
    """A module that Python runs, in a process group of its own. What it prints goes to a file."""

    def __init__(self, *arguments: str, folder: Path, **environment: str) -> None:
        self._output = folder / "output.txt"
        paths = os.pathsep.join(filter(None, [os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")]))
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": paths, "HOME": str(folder), **environment},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def said(self) -> str:
        return self._output.read_text("utf-8", "replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal by which such a program is stopped; its exit code."""
        self._process.send_signal(number)
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {PATIENCE:g} s of the signal; it said:\n{self.said()}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            print(self.said())
        try:
            os.killpg(self._process.pid, signal.SIGKILL)  # workers, too, whatever became of their parent
        except ProcessLookupError:
            pass
        self._process.wait()
