"""Making files survive a power cut: their names, as fsync does it for the content of one, and many files at once."""

from __future__ import annotations

import os
import sys

__all__ = ["sync_directory", "sync_file_system", "sync_removals"]


def sync_directory(directory: str | os.PathLike[str]) -> None:
    """Make the names in a directory durable: what was linked, renamed or unlinked there so far."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_removals(directory: str) -> bool:
    """Make durable that names in a directory are gone, or that it is gone itself; return whether that was possible."""
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
    """Make everything durable on the file system of an open file. The standard library can only do that for all."""
    if sys.platform.startswith("linux"):
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    else:
        os.sync()
