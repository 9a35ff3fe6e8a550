"""The module in C, for tests that compare it with Python."""

from __future__ import annotations

import os
import shutil
from types import ModuleType

import pytest

from coshelf import native


@pytest.fixture(scope="session")
def module() -> ModuleType:
    """The module. Where there is a compiler it must be there."""
    if not native.in_use and (os.environ.get("COSHELF_NATIVE") == "0" or shutil.which("cc") is None):
        pytest.skip(f"the module in C is not in use: {native.reason}")
    assert native.in_use, native.reason
    from coshelf import _native

    return _native
