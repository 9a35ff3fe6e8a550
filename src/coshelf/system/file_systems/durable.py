"""Makes files and their names durable.

macOS's ``fsync`` leaves the data in the memory of the disk, which a power cut empties. So there ``F_FULLFSYNC`` is
asked for, as LMDB and SQLite do. A file system that does not know it (a network or FAT file system) gets an ``fsync``.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Any

from coshelf.system.files import flags

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

__all__ = ["sync", "sync_content", "sync_directory", "sync_file_system", "sync_removals"]

_full_sync: Any = getattr(fcntl, "F_FULLFSYNC", None)
_NO_FULL_SYNC = frozenset((errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL))


def _sync_to_the_disk(descriptor: int) -> None:
    try:
        fcntl.fcntl(descriptor, _full_sync)
    except OSError as error:
        if error.errno not in _NO_FULL_SYNC:
            raise
        os.fsync(descriptor)


sync: Callable[[int], None] = os.fsync if _full_sync is None else _sync_to_the_disk
"""Make an open file durable: its content, its size, owner and mode. Raises OSError."""

sync_content: Callable[[int], None] = getattr(os, "fdatasync", sync) if _full_sync is None else sync
"""Make the content and the size of an open file durable. Raises OSError."""


def sync_directory(directory: str | os.PathLike[str]) -> None:
    """Make the names in a directory durable: everything that was linked, renamed or unlinked there.

    Where a directory cannot be opened (Windows), nothing is done: the journal of the file system has its names.
    """
    if not flags.DIRECTORY:
        return
    descriptor = os.open(directory, os.O_RDONLY | flags.CLOSE_ON_EXEC)
    try:
        sync(descriptor)
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
    try:
        import ctypes
    except ImportError:  # Python was built without ctypes
        os.sync()
        return
    library: Any = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None
    if not hasattr(library, "syncfs"):
        os.sync()
    elif library.syncfs(descriptor) < 0:
        number = ctypes.get_errno()
        if number != errno.ENOSYS:
            raise OSError(number, os.strerror(number))
        os.sync()  # a sandbox without the call
