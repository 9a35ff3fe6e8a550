"""Replaces a file that is not a shelf, for flag "n". A lock keeps out processes that do the same."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator

from coshelf.errors import NotAShelf, ShelfLocked, ShelfPermissionError

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
        return status is not None and _is_fresh(status) and make(stat.S_IMODE(status.st_mode))


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
            os.unlink(path)
            return stat.S_IMODE(status.st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise ShelfPermissionError(error.errno, "this user may not replace the file", path) from error


def _is_fresh(status: os.stat_result) -> bool:
    return (
        stat.S_ISREG(status.st_mode)
        and not status.st_size
        and status.st_uid == os.geteuid()
        and status.st_nlink == 1  # otherwise another name would still lead to the empty file
    )


@contextlib.contextmanager
def _locked(path: str, timeout: float) -> Iterator[os.stat_result | None]:
    """Lock the file against processes that replace it. Gives None if another process has replaced it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        yield None
        return
    try:
        end = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno != errno.EWOULDBLOCK:
                    raise
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
        os.close(descriptor)
