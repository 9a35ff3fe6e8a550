"""Fixtures of the tests for huey."""

from __future__ import annotations

from fixtures import crew, own_state

__all__ = ["crew", "own_state"]
