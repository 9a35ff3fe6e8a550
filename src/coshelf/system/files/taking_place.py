"""Replaces a file that is not a shelf, for flag "n". A lock keeps out processes that do the same."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator

from coshelf.errors import NotAShelf, ShelfLocked, ShelfPermissionError
from coshelf.system.files import flags, names
from coshelf.system.locks import whole_file
from coshelf.system.rights import users

__all__ = ["discard", "replace_empty"]


def replace_empty(path: str, timeout: float, make: Callable[[int], bool]) -> bool:
    """Make a shelf in the place of an empty file, as ``NamedTemporaryFile`` leaves one. Return whether it was made.

    Only an empty file that belongs to this user is replaced.

    Args:
        path: the path of the file, not a link.
        timeout: seconds to wait for another process that does the same.
        make: makes the shelf with the given permission bits and renames it to ``path``.
    """
    try:
        if not _is_fresh(os.lstat(path)) or not os.access(path, os.R_OK):
            return False
    except OSError:  # opening reports the error
        return False
    with _locked(path, timeout) as status:
        if status is None or not _is_fresh(status):
            return False
        if not names.keeps_open_files:
            return make(stat.S_IMODE(status.st_mode))
    return _made_where_closed(status, make)


def _made_where_closed(status: os.stat_result, make: Callable[[int], bool]) -> bool:
    """Make the shelf where a file that is open cannot be replaced: the lock ends first.

    Another process may then do the same, and have its shelf open. That one is not replaced.
    """
    try:
        return make(stat.S_IMODE(status.st_mode))
    except ShelfPermissionError:
        return False


def discard(path: str, is_unwanted: Callable[[], bool], timeout: float) -> int | None:
    """Remove the file at a path, or the file that a link there leads to. Return its permission bits.

    Returns None if no file exists, or if it is not unwanted any more.

    Raises:
        NotAShelf: it is not a regular file.
        ShelfLocked: another process has it locked.
        ShelfPermissionError: this user may not read or remove it.
    """
    path = os.path.realpath(path)
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise NotAShelf(f"{path} is not a regular file; it has not been changed")
        with _locked(path, timeout) as status:
            if status is None or not is_unwanted():
                return None
            if not names.keeps_open_files:
                os.unlink(path)
        if names.keeps_open_files:
            names.remove(path)
        return stat.S_IMODE(status.st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise ShelfPermissionError(error.errno, "this user may not replace the file", path) from error


def _is_fresh(status: os.stat_result) -> bool:
    return (
        stat.S_ISREG(status.st_mode)
        and not status.st_size
        and (not users.has_numbers or status.st_uid == users.effective())
        and status.st_nlink == 1  # otherwise another name would still lead to the empty file
    )


@contextlib.contextmanager
def _locked(path: str, timeout: float) -> Iterator[os.stat_result | None]:
    """Lock the file against processes that replace it. Gives None if another process has replaced it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | flags.ASIDE)
    except FileNotFoundError:
        yield None
        return
    try:
        end = time.monotonic() + timeout
        while not whole_file.try_to_take(descriptor, whole_file.EXCLUSIVE):
            if time.monotonic() > end:
                raise ShelfLocked(f"{path} is locked by another process, which may be using it; waited {timeout:g} s")
            time.sleep(0.01)
        status = os.fstat(descriptor)
        try:
            is_same = os.path.samestat(status, os.lstat(path))
        except FileNotFoundError:
            is_same = False
        yield status if is_same else None
    finally:
        whole_file.close(descriptor)
