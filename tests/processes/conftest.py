"""Fixtures for tests with several processes."""

from __future__ import annotations

import os
import sys

# Children of multiprocessing find the functions that they run by the name of their module.
sys.path.insert(0, os.path.dirname(__file__))

from fixtures import crew, own_state, path

__all__ = ["crew", "own_state", "path"]
