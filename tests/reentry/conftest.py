"""Fixtures for tests with workers: the same as for tests with several processes."""

from __future__ import annotations

from fixtures import crew, path

__all__ = ["crew", "path"]
