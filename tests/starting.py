"""Helpers for programs that tests start. A program is a file beside the tests, or a line or two in a test."""

from __future__ import annotations

import os
from pathlib import Path

Program = str | Path
"""The text of a program, or the path of its file."""

_TESTS = Path(__file__).parent
_NAMES = ("processes", "delta", "blobs", "histories", "bad_input", "fuzz", "memoize", "bounded", "watching")
_FOLDERS = [_TESTS, *(_TESTS / name for name in _NAMES)]


def words_of(program: Program) -> tuple[str, ...]:
    """The arguments with which an interpreter runs the program."""
    return (str(program),) if isinstance(program, Path) else ("-c", program)


def environment() -> dict[str, str]:
    """The environment in which programs and their children find the modules that they share with the tests."""
    found = [*map(str, _FOLDERS), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, found))}


def as_user(user: int, program: Program, *, group: int | None = None, groups: tuple[int, ...] = ()) -> tuple[str, ...]:
    """As ``words_of``, but root starts the program as another user. ``group`` defaults to the number of the user."""
    identity = (str(user), str(user if group is None else group), ",".join(map(str, groups)))
    return (str(_TESTS / "as_user.py"), *identity, *words_of(program))
