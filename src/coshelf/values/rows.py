"""The key of the row that says how the values of a shelf are written. docs/format.md, "Settings"."""

from __future__ import annotations

__all__ = ["SETTINGS_ROW"]

SETTINGS_ROW = b"\x01values"
"""The row with the settings of a shelf's values. A shelf of plain pickles need not have it."""
