"""Fixtures for tests of caches: those for tests with several processes."""

from __future__ import annotations

from fixtures import armed, crew, own_state, path

__all__ = ["armed", "crew", "own_state", "path"]
