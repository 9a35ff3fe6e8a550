"""A pipe whose ends do not wait, and which programs that this process starts do not get."""

from __future__ import annotations

import os

__all__ = ["pipe"]


def pipe() -> tuple[int, int]:
    """The descriptors of the end that reads and of the end that writes. Raises OSError.

    Without ``pipe2`` (macOS) the ends are set up after they exist. Python closes them for other programs anyway.
    """
    if hasattr(os, "pipe2"):
        return os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    ends = os.pipe()
    if hasattr(os, "set_blocking"):  # Windows before Python 3.12, where nothing waits for pipes
        for end in ends:
            os.set_blocking(end, False)
    return ends
