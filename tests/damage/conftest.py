"""Fixtures for tests of damage."""

from __future__ import annotations

import os
import sys

import pytest

# The trials are scripts of this directory, and so find their modules as these tests do.
sys.path.insert(0, os.path.dirname(__file__))


@pytest.fixture(autouse=True)
def own_state_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks of trust go to a directory of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
