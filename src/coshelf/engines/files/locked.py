"""What the locks of a directory are on: the directory itself, since old pickleshare processes do not lock it.

On a network file system, a lock on a directory holds on one machine only. A lock on a file holds on all machines. So
there a file beside the root is locked.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from coshelf.engines.directory_lock import Lockable
from coshelf.errors import NotAShelf
from coshelf.system.files.directories import open_file
from coshelf.system.locks.whole_file import SHARED, Kind
from coshelf.system.rights import users
from coshelf.system.rights.owners import set_mode

__all__ = ["LockedDirectory", "LockedFile"]

_NO_FILE = {errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV}


class LockedDirectory(Lockable):
    """Locks a directory. ``opened`` gives a descriptor of it that the caller may close."""

    def __init__(self, opened: Callable[[], int]) -> None:
        self._opened = opened

    def open(self, kind: Kind) -> int:
        return self._opened()


class LockedFile(Lockable):
    """Locks a file in a directory."""

    def __init__(self, opened: Callable[[], int], name: str) -> None:
        self._opened = opened
        self._name = name

    def open(self, kind: Kind) -> int:
        directory = self._opened()
        try:
            descriptor = self._open_in(directory, kind)
        except OSError as error:
            if error.errno in _NO_FILE:
                raise self._no_file() from error
            raise
        finally:
            os.close(directory)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._no_file()
        return descriptor

    def _no_file(self) -> NotAShelf:
        return NotAShelf(f"{self._name} in the directory beside the shelf is not a regular file\n  hint: remove it")

    def _open_in(self, directory: int, kind: Kind) -> int:
        if kind == SHARED:
            return open_file(self._name, directory)
        # Network file systems lock exclusively only files that are open for writing.
        descriptor = open_file(self._name, directory, os.O_RDWR | os.O_CREAT)
        mode = os.fstat(directory).st_mode & 0o666
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_uid == users.effective() and stat.S_IMODE(status.st_mode) != mode:
            set_mode(descriptor, mode)  # for every user that may write the root
        return descriptor
