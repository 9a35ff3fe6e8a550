"""Whether one thread at a time runs Python: the interpreter's lock, which free-threaded Python does without."""

from __future__ import annotations

import sys
from collections.abc import Callable

__all__ = ["is_on"]


def is_on() -> bool:
    """Whether the lock is on. Importing a module in C that relies on it switches it on for the whole process."""
    tell: Callable[[], bool] | None = getattr(sys, "_is_gil_enabled", None)
    return tell is None or tell()
