"""Threads of this process, by the number that the kernel gives them."""

from __future__ import annotations

import os

__all__ = ["exists"]

_THREADS = "/proc/self/task"


def exists(number: int | None) -> bool | None:
    """Whether this process has a thread with a number of the kernel; None if the system does not list its threads."""
    return os.path.exists(f"{_THREADS}/{number}") or (False if os.path.exists(_THREADS) else None)
