"""Fixtures for tests of the care of files."""

from __future__ import annotations

import os
import sys

TESTS = os.path.dirname(os.path.dirname(__file__))
sys.path[:0] = [os.path.join(TESTS, "damage"), os.path.join(TESTS, "processes")]

from fixtures import crew, own_state, path  # noqa: E402 (found by the path above)

__all__ = ["crew", "own_state", "path"]
