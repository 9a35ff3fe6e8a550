"""All facilities and profiles by name."""

from __future__ import annotations

from lacking.facilities import FACILITIES
from lacking.facility import Facility, together
from lacking.macos import MACOS, MACOS_OFD
from lacking.musl import MUSL
from lacking.windows import WINDOWS

__all__ = ["ALL", "PROFILES", "lacking"]

PROFILES = {"macos": MACOS, "macos_ofd": MACOS_OFD, "windows": WINDOWS, "musl": MUSL}
ALL = FACILITIES | PROFILES


def lacking(names: str) -> Facility:
    """All that these lack. ``names`` has commas between them."""
    return together(names, *(ALL[name] for name in names.split(",")))
