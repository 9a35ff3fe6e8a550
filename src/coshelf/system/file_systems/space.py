"""Space on the disk: how much is free, and reserving some, so that a later write through a map cannot fail.

``posix_fallocate`` reserves space without writing. Where there is none (macOS), or a sandbox or file system refuses it,
zeros are written: a file that was written once takes its space. That holds on file systems that overwrite in place.
"""

from __future__ import annotations

import errno
import os
import shutil
from typing import Any

from coshelf.system.files.positions import write_at

__all__ = ["can_reserve", "extend", "free_at", "free_beside", "reserve"]

_fallocate: Any = getattr(os, "posix_fallocate", None)
_statvfs: Any = getattr(os, "statvfs", None)
_fstatvfs: Any = getattr(os, "fstatvfs", None)

can_reserve: bool = _fallocate is not None
"""Whether the kernel reserves space. It may still refuse that on some file systems."""

_REFUSED = frozenset((errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EPERM))
_ZEROS = bytes(1 << 16)


def reserve(descriptor: int, start: int, length: int) -> None:
    """Take the space of a range of an open file, which grows to the range's end. Raises OSError if there is no space.

    Nobody uses the range yet, or writes beyond it: zeros may be written there.
    """
    if _fallocate is not None:
        try:
            _fallocate(descriptor, start, length)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
        else:
            return
    _write_zeros(descriptor, start, length)


def _write_zeros(descriptor: int, start: int, length: int) -> None:
    left = memoryview(_ZEROS)
    while length > 0:
        written = write_at(descriptor, left[:length], start)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        start += written
        length -= written


def extend(descriptor: int, size: int) -> bool:
    """Make an open file at least this long, also if others make it longer at the same time. Raises OSError.

    Returns False if that is not possible here: the file is then as it was, and only a caller who is alone may use
    ``os.ftruncate``, which would cut off what others have added.
    """
    if _fallocate is None:
        return False
    try:
        _fallocate(descriptor, size - 1, 1)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        return False
    return True


def free_at(path: str) -> int:
    """The bytes that this user may still write on the file system of a path. Raises OSError."""
    if _statvfs is None:
        return shutil.disk_usage(path).free
    found = _statvfs(path)
    return int(found.f_bavail * found.f_frsize)


def free_beside(descriptor: int, path: str) -> int:
    """The same for the file system of an open file. ``path`` is its path. Raises OSError."""
    if _fstatvfs is None:
        return shutil.disk_usage(os.path.dirname(path) or os.curdir).free
    found = _fstatvfs(descriptor)
    return int(found.f_bavail * found.f_frsize)
