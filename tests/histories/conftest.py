"""Fixtures for histories and storms: those of tests with several processes."""

from __future__ import annotations

from fixtures import crew, own_state, path

__all__ = ["crew", "own_state", "path"]
