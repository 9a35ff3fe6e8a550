"""Fixtures for histories and storms: those of tests with several processes, whose workers find this directory, too."""

from __future__ import annotations

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(__file__)), "processes"))
sys.path.insert(0, os.path.dirname(__file__))

from fixtures import crew, own_state, path

__all__ = ["crew", "own_state", "path"]


@pytest.fixture(autouse=True)
def _modules_for_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.path.dirname(__file__)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")])))
