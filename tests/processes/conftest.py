"""Fixtures for tests with several processes."""

from __future__ import annotations

from fixtures import crew, own_state, path, tables

__all__ = ["crew", "own_state", "path", "tables"]
