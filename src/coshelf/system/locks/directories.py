"""Keeps other processes out of a directory, for work on its files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from coshelf.system.files import directories, flags, links, names
from coshelf.system.files.os_errors import translated
from coshelf.system.locks import whole_file

__all__ = ["alone_in"]

_NAME = ".coshelf-lock"


@contextlib.contextmanager
def alone_in(directory: str) -> Iterator[None]:
    """A block that other processes and threads wait for. A process that dies does not keep them waiting.

    Where a directory cannot be locked itself (Windows), the file ``.coshelf-lock`` in it is. It is removed afterwards.

    Raises:
        ShelfPermissionError, StorageError: the directory cannot be opened or locked.
    """
    path = None if whole_file.has_flock and flags.DIRECTORY else os.path.join(directory, _NAME)
    with translated("lock", "the directory", directory):
        descriptor = None
        while descriptor is None:
            descriptor = _locked(directory, path)
    try:
        yield
    finally:
        if path is not None and not names.keeps_open_files:
            _remove(path)  # while it is locked: others notice that they have locked a file without a name
        whole_file.release(descriptor)  # explicitly: a child that was forked meanwhile may have the descriptor
        os.close(descriptor)
        if path is not None and names.keeps_open_files:
            _remove(path)


def _locked(directory: str, path: str | None) -> int | None:
    """A descriptor of what is locked; None if another process has removed it meanwhile."""
    if path is None:
        descriptor = directories.open_directory(directory, follow=True)
    else:
        descriptor = links.open_itself(path, os.O_RDWR | os.O_CREAT)
    try:
        whole_file.take(descriptor, whole_file.EXCLUSIVE)
        if path is None or names.leads_to(path, descriptor):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    whole_file.close(descriptor)
    return None


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):  # another process has it open
        os.unlink(path)
