"""Keeps out other processes and threads that take a directory over, or remove the old files in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

__all__ = ["alone"]


@contextlib.contextmanager
def alone(directory: str) -> Iterator[None]:
    """A block that others wait for. A process that dies does not keep them waiting."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        # Explicitly: a child that was forked meanwhile may have the descriptor.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
