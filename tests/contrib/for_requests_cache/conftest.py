"""Fixtures for tests of the backend for requests-cache."""

from __future__ import annotations

from fixtures import crew, path

__all__ = ["crew", "path"]
