"""Fixtures for tests of the care of files: the same as for tests with several processes."""

from __future__ import annotations

from fixtures import crew, own_state, path

__all__ = ["crew", "own_state", "path"]
