"""Making files survive a power cut: their names, as fsync does it for the content of one, and many files at once."""

from __future__ import annotations

import os
import sys

__all__ = ["sync_directory", "sync_file_system"]


def sync_directory(directory: str | os.PathLike[str]) -> None:
    """Make the names in a directory durable: what was linked, renamed or unlinked there so far."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(descriptor: int) -> None:
    """Make everything durable on the file system of an open file. The standard library can only do that for all."""
    if sys.platform.startswith("linux"):
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    else:
        os.sync()
