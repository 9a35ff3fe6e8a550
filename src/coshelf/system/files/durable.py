"""Makes the names of files durable, and many files at once. ``fsync`` does it for the content of one file."""

from __future__ import annotations

import os
import sys

__all__ = ["sync_directory", "sync_file_system", "sync_removals"]


def sync_directory(directory: str | os.PathLike[str]) -> None:
    """Make the names in a directory durable: everything that was linked, renamed or unlinked there."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_removals(directory: str) -> bool:
    """Make the removal of names in a directory, or of the directory, durable. Return whether that was possible."""
    for place in (directory, os.path.dirname(directory)):
        try:
            sync_directory(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return False
        return True
    return False


def sync_file_system(descriptor: int) -> None:
    """Make everything durable on the file system of an open file. ``os.sync`` does it for all file systems."""
    if sys.platform.startswith("linux"):
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    else:
        os.sync()
