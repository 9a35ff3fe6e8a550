"""The rows of a shelf that say how its values are written. docs/format.md, "Settings"."""

from __future__ import annotations

__all__ = ["SETTINGS_ROW"]

SETTINGS_ROW = b"\x01values"
"""Where a shelf remembers how its values are written, if they are not plain pickles."""
