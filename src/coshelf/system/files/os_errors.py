"""Turns errors of the operating system into errors of coshelf: one table for all modules that use files."""

from __future__ import annotations

import errno
from contextlib import AbstractContextManager

from coshelf.errors import CoshelfError, ShelfPermissionError, StorageError, StorageFull

__all__ = ["NO_RIGHT", "NO_SPACE", "translate", "translated"]

NO_RIGHT = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))
"""This user has no right to do it, or the file system is mounted read-only."""

NO_SPACE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""The disk is full, or this user's quota is used up."""


def translate(error: OSError, doing: str, what: str, path: str) -> ShelfPermissionError | StorageError:
    """coshelf's error for an error of the operating system: why a program cannot do something to a file.

    >>> translate(OSError(errno.EACCES, "Permission denied"), "create", "the shelf", "recipes.shelf")
    ShelfPermissionError(13, 'this user may not create the shelf')
    >>> translate(OSError(errno.ENOSPC, "No space left on device"), "create", "the shelf", "recipes.shelf")
    StorageFull('cannot create the shelf recipes.shelf: no space left on the device')
    """
    if error.errno in NO_RIGHT:
        return ShelfPermissionError(error.errno, f"this user may not {doing} {what}", path)
    if error.errno in NO_SPACE:
        return StorageFull(f"cannot {doing} {what} {path}: no space left on the device")
    return StorageError(error.errno, f"cannot {doing} {what}: {error.strerror}", path)


class _Translation:
    """A context manager. It is a class because a generator takes a microsecond more."""

    __slots__ = ("_doing", "_path", "_what")

    def __init__(self, doing: str, what: str, path: str) -> None:
        self._doing, self._what, self._path = doing, what, path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, CoshelfError) and error.errno is not None:
            raise translate(error, self._doing, self._what, self._path) from error


def translated(doing: str, what: str, path: str) -> AbstractContextManager[None]:
    """For a block, turn errors of the operating system into those of :func:`translate`."""
    return _Translation(doing, what, path)
