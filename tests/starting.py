"""Programs that tests start: files beside the tests that use them, or a line or two in the test itself."""

from __future__ import annotations

import os
from pathlib import Path

Program = str | Path
"""The text of a program, or where it lies."""

_TESTS = Path(__file__).parent
_FOLDERS = [_TESTS, *(_TESTS / name for name in ("processes", "delta", "blobs", "histories", "bad_input"))]


def words_of(program: Program) -> tuple[str, ...]:
    """The arguments by which an interpreter runs it."""
    return (str(program),) if isinstance(program, Path) else ("-c", program)


def environment() -> dict[str, str]:
    """The one in which programs, and their children, find the modules that they share with the tests."""
    found = [*map(str, _FOLDERS), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, found))}
