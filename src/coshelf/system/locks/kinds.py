"""The two kinds of locks on files."""

from __future__ import annotations

from typing import Literal

__all__ = ["EXCLUSIVE", "SHARED", "Kind"]

Kind = Literal["shared", "exclusive"]
SHARED: Kind = "shared"
EXCLUSIVE: Kind = "exclusive"
