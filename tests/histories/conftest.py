"""Fixtures for histories and storms: those of tests with several processes, whose workers find this directory, too."""

from __future__ import annotations

import os
import sys

import pytest

_HERE = os.path.dirname(__file__)
sys.path[:0] = [_HERE, os.path.join(os.path.dirname(_HERE), "processes")]

from fixtures import crew, own_state, path

__all__ = ["crew", "own_state", "path"]


@pytest.fixture(autouse=True)
def _modules_for_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [_HERE, os.environ.get("PYTHONPATH")])))
