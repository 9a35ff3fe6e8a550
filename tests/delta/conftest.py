"""Fixtures for tests of base and delta: the same as for tests with several processes."""

from __future__ import annotations

from fixtures import armed, crew, each_kind, own_state, path, tables

__all__ = ["armed", "crew", "each_kind", "own_state", "path", "tables"]
