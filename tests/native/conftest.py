"""Fixtures for tests that compare the module in C with Python."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from coshelf import native


@pytest.fixture(scope="session")
def module() -> ModuleType:
    """The module in C. Without a compiler the tests are skipped; with a compiler the module must be in use."""
    if not native.in_use and (os.environ.get("COSHELF_NATIVE") == "0" or shutil.which("cc") is None):
        pytest.skip(f"the module in C is not in use: {native.reason}")
    assert native.in_use, native.reason
    from coshelf import _native

    return _native


@pytest.fixture
def files(module: ModuleType, tmp_path: Path) -> Iterator[Any]:
    """The files of a log in a directory of the test."""
    from logs import LogFile  # imports the module in C, without which these tests are skipped

    made = LogFile(tmp_path)
    yield made
    made.close()
