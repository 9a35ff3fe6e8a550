"""Waits of tests for what another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["eventually"]

_PATIENCE = 120.0  # seconds


def eventually(what: str, is_so: Callable[[], Any]) -> None:
    """Wait until ``is_so`` returns a true value."""
    end = time.monotonic() + _PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"{what}: not within {_PATIENCE:.0f} s"
        time.sleep(0.01)
