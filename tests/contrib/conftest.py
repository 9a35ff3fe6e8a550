"""Fixtures for tests with several processes."""

from fixtures import crew, path

__all__ = ["crew", "path"]
