"""Fixtures for tests of bounded shelves: the same as for tests with several processes."""

from __future__ import annotations

from fixtures import armed, crew, own_state, path

__all__ = ["armed", "crew", "own_state", "path"]
