"""Opens files below a directory by names that another user may have chosen."""

from __future__ import annotations

import os
import stat

__all__ = ["open_inside"]


def open_inside(directory: str, filename: str) -> int:
    """A descriptor of a regular file below a directory, by steps that follow no link and do not lead up.

    Raises OSError for every other name.
    """
    parts = filename.split(os.sep)
    if os.path.isabs(filename) or any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise OSError(f"{filename!r} is not below {directory}")
    current = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = inner
        descriptor = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=current)
    finally:
        os.close(current)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{filename!r} is not a regular file")
    return descriptor
