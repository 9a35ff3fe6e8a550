"""Fixtures for tests with workers: those of tests with several processes."""

from __future__ import annotations

from fixtures import crew, path

__all__ = ["crew", "path"]
