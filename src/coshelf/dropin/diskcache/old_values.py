"""Values of diskcache for the rows of a new cache. Their files get second names, so diskcache's own stay whole."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import stat
from typing import NamedTuple

from coshelf.dropin.diskcache.names import MODE_NONE, MODE_RAW
from coshelf.dropin.diskcache.old_database import OldRow
from coshelf.system.file_systems.durable import sync, sync_directory
from coshelf.system.files import flags
from coshelf.system.files.names import link_open, remove
from coshelf.system.rights import users
from coshelf.transfer.inside import open_inside

__all__ = ["FOLDER", "MissingFile", "NewValue", "OldValues", "refuse_missing"]

FOLDER = "from-diskcache"
"""The folder with the second names, in the directory of the new cache. The shelf is made in it, too."""

_IN_A_FOLDER = 1_000  # files, so that few folders have to be made durable
_LONGEST_SUFFIX = 20
_MISSING = (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO)


class MissingFile(Exception):
    """The file that a row names does not exist below the folder of its database."""


class NewValue(NamedTuple):
    """What ``Disk.store`` would have returned for a value."""

    size: int
    mode: int
    filename: str | None
    value: object


class OldValues:
    """Takes values over into one directory.

    Args:
        target: the directory of the new cache.
        has_nan: whether a missing value is NaN, which SQLite stores so. A Disk class of a program can mean another
            thing by it.
    """

    def __init__(self, target: str, *, has_nan: bool) -> None:
        self._target = target
        self._has_nan = has_nan
        self._folders: set[str] = set()
        self._number = 0  # of files

    def take(self, folder: str, row: OldRow) -> NewValue:
        """The value of a row. Raises :class:`MissingFile`.

        Args:
            folder: where the database of the row is. Files are read only below it, whatever the row says.
            row: the row.
        """
        mode = row.mode if isinstance(row.mode, int) else MODE_NONE
        if row.filename is None:
            is_nan = mode == MODE_RAW and row.value is None and self._has_nan
            return NewValue(row.size if isinstance(row.size, int) else 0, mode, None, math.nan if is_nan else row.value)
        with open(_descriptor(folder, row.filename), "rb") as file:
            status = os.fstat(file.fileno())
            filename = self._second_name(file.fileno(), status, str(row.filename))
        return NewValue(status.st_size, mode, filename, row.value)

    def drop(self, filename: str) -> None:
        """Remove the second name of a file."""
        path = os.path.join(self._target, filename)
        remove(path)
        with contextlib.suppress(OSError):  # the folder has other files
            os.rmdir(os.path.dirname(path))
            self._folders.discard(os.path.dirname(path))

    def sync(self) -> None:
        """Make the second names durable."""
        for folder in sorted(self._folders):
            sync_directory(folder)
        if self._folders:
            sync_directory(os.path.join(self._target, FOLDER))
            sync_directory(self._target)

    def _second_name(self, descriptor: int, status: os.stat_result, old: str) -> str:
        suffix = os.path.splitext(old)[1][:_LONGEST_SUFFIX]
        filename = os.path.join(FOLDER, str(self._number // _IN_A_FOLDER), f"{self._number}{suffix}")
        self._number += 1
        path = os.path.join(self._target, filename)
        folder = os.path.dirname(path)
        if folder not in self._folders:
            os.makedirs(folder, exist_ok=True)
            self._folders.add(folder)
        # A file of another user could be changed by that user later.
        if users.effective() not in (status.st_uid, users.ROOT) or not link_open(descriptor, path):
            _copy(descriptor, path, stat.S_IMODE(status.st_mode) & 0o777)
        return filename


def _descriptor(folder: str, filename: object) -> int:
    if not isinstance(filename, str):
        raise MissingFile(f"{filename!r} is not the name of a file")
    try:
        return open_inside(folder, filename)
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        raise MissingFile(f"its file cannot be read: {error}") from error


def refuse_missing(folder: str, row: OldRow) -> None:
    """Raise :class:`MissingFile` if the row has a file that cannot be read."""
    if row.filename is not None:
        os.close(_descriptor(folder, row.filename))


def _copy(descriptor: int, path: str, mode: int) -> None:
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags.CLOSE_ON_EXEC, mode)
    with open(descriptor, "rb", closefd=False) as source, open(made, "wb") as target:
        source.seek(0)
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        sync(target.fileno())
