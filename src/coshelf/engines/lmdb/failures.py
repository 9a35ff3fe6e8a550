"""Translates LMDB's errors to those of coshelf."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import lmdb

from coshelf.engines.closed import closed_shelf
from coshelf.errors import (
    CoshelfError,
    DamagedShelf,
    ShelfPermissionError,
    StorageError,
    StorageFull,
    ValueTooLarge,
)
from coshelf.system.file_systems.space import free_at
from coshelf.system.files.os_errors import NO_RIGHT, NO_SPACE

__all__ = ["translate", "translated"]

_LITTLE = 1 << 20  # if a write was cut short, a file system with less free space than this counts as full

_DAMAGE = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
)


@contextmanager
def translated(path: str, doing: str) -> Iterator[None]:
    """Raise an error of coshelf in the place of one of LMDB's, with path and operation."""
    try:
        yield
    except lmdb.Error as error:
        raise translate(error, path, doing) from error


def _is_short_write(error: lmdb.Error, path: str) -> bool:
    """Whether an I/O error of LMDB means a write that a full disk cut short."""
    if error.code != errno.EIO:
        return False
    try:
        return free_at(os.path.dirname(os.path.abspath(path))) < _LITTLE
    except OSError:
        return False


def translate(error: lmdb.Error, path: str, doing: str) -> CoshelfError:
    """Our error for one of LMDB's."""
    if isinstance(error, lmdb.DiskError) or _is_short_write(error, path) or error.code in NO_SPACE:
        kept = {"flush": "; what waits to be flushed is kept", "create": ""}.get(
            doing, "; nothing of this commit was stored"
        )
        return StorageFull(
            f"cannot {doing} {path}: no space left on the device{kept}\n"
            "  hint: make space, and repeat the call; all earlier commits are there"
        )
    if isinstance(error, lmdb.MapFullError):
        return StorageFull(
            f"cannot {doing} {path}: the part of this process's address space that was taken for it is used up\n"
            "  hint: close it and open it again; if the address space is limited (ulimit -v), raise the limit"
        )
    if isinstance(error, lmdb.MapResizedError):
        return StorageError(
            f"cannot {doing} {path}: other processes made it larger than the part of this process's address space that "
            "was taken for it\n  hint: close it, and open it again"
        )
    if isinstance(error, _DAMAGE):
        return DamagedShelf(f"{path} is damaged: {error}")
    if isinstance(error, lmdb.PanicError):
        return StorageError(
            f"cannot {doing} {path}: an earlier write failed so badly that the shelf must be closed and opened again"
        )
    if isinstance(error, lmdb.BadValsizeError):
        return ValueTooLarge(f"cannot {doing} {path}: a value is larger than 4 GiB")
    if isinstance(error, lmdb.LockError):
        return StorageError(
            f"cannot {doing} {path}: its lock file is in use by a process with this one's pid ({os.getpid()}), "
            "probably in another container\n"
            "  hint: sqlite:PATH works between containers that share a volume; or let them share a pid namespace"
        )
    if error.code in NO_RIGHT:
        return ShelfPermissionError(error.code, f"this user may not {doing} the shelf", path)
    if "closed" in str(error):
        return closed_shelf(path)
    reason = os.strerror(error.code) if 0 < error.code < 200 else str(error)
    return StorageError(error.code, f"cannot {doing} the shelf: {reason}", path)
