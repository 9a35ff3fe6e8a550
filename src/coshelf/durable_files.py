"""Making sure that a file's name survives a power cut, as its content does by fsync."""

from __future__ import annotations

import os

__all__ = ["sync_directory"]


def sync_directory(directory: str | os.PathLike[str]) -> None:
    """Make the names in a directory durable: what was linked, renamed or unlinked there so far."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
