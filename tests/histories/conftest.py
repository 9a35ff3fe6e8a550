"""Fixtures for histories and storms: the same as for tests with several processes."""

from __future__ import annotations

from fixtures import crew, own_state, path

__all__ = ["crew", "own_state", "path"]
