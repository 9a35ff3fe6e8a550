"""Fixtures for tests with several processes."""

from fixtures import own_state, path

__all__ = ["own_state", "path"]
