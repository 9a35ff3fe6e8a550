"""Fixtures for tests of the storage for limits."""

from __future__ import annotations

from fixtures import crew, path

__all__ = ["crew", "path"]
