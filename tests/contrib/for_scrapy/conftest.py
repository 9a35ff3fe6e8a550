"""Fixtures for crawls in processes of their own."""

from __future__ import annotations

from fixtures import crew

__all__ = ["crew"]
