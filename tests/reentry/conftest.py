"""Fixtures for tests with workers of tests/processes."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(__file__)), "processes"))

from fixtures import crew, path

__all__ = ["crew", "path"]
