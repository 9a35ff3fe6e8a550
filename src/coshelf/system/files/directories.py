"""Files and directories by their names in an open directory, so that nobody can exchange a directory on the way.

Linux, macOS and the BSDs have these calls (``openat`` and its like). Windows has none of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from coshelf.system.files import flags

__all__ = [
    "can_descend",
    "exists",
    "give_all",
    "listing",
    "make_directory",
    "names_in",
    "open_directory",
    "open_file",
    "remove_directory",
    "remove_file",
    "rename",
    "set_time",
    "status_of",
]

_BY_DESCRIPTOR = "open", "stat", "mkdir", "unlink", "rmdir", "rename"
_OF_DESCRIPTOR = "listdir", "scandir", "utime"

can_descend: bool = all(getattr(os, name, None) in os.supports_dir_fd for name in _BY_DESCRIPTOR) and all(
    getattr(os, name, None) in os.supports_fd for name in _OF_DESCRIPTOR
)
"""Whether this system has the calls of this module."""

_has_effective_access = os.access in os.supports_dir_fd and os.access in os.supports_effective_ids
_DIRECTORY = os.O_RDONLY | flags.DIRECTORY | flags.CLOSE_ON_EXEC


def open_directory(name: str, above: int | None = None, *, follow: bool = False) -> int:
    """A descriptor of a directory. With ``follow``, a link at the end of the name may lead to it. Raises OSError."""
    return os.open(name, _DIRECTORY if follow else _DIRECTORY | flags.NO_FOLLOW, dir_fd=above)


def open_file(name: str, directory: int, access: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """A descriptor of what is at a name, which is no link. To open a FIFO does not wait. ``access`` as ``os.open``."""
    return os.open(name, access | flags.ASIDE, mode, dir_fd=directory)


def status_of(name: str, directory: int) -> os.stat_result:
    """As ``os.lstat``."""
    return os.stat(name, dir_fd=directory, follow_symlinks=False)


def exists(path: str, directory: int) -> bool:
    """Whether there is something at a path below a directory that this user may look for. Links are followed."""
    if _has_effective_access:
        return os.access(path, os.F_OK, dir_fd=directory, effective_ids=True)
    try:
        os.stat(path, dir_fd=directory)
    except OSError:
        return False
    return True


def make_directory(name: str, directory: int, mode: int) -> None:
    """As ``os.mkdir``."""
    os.mkdir(name, mode, dir_fd=directory)


def remove_file(name: str, directory: int) -> None:
    """As ``os.unlink``."""
    os.unlink(name, dir_fd=directory)


def remove_directory(name: str, directory: int) -> None:
    """As ``os.rmdir``."""
    os.rmdir(name, dir_fd=directory)


def rename(name: str, directory: int, new_name: str, new_directory: int) -> None:
    """As ``os.rename``: in one step, also over a file that has the new name."""
    os.rename(name, new_name, src_dir_fd=directory, dst_dir_fd=new_directory)


def set_time(descriptor: int, nanoseconds: int) -> None:
    """Set the times of an open file: of the last change and of the last read."""
    os.utime(descriptor, ns=(nanoseconds, nanoseconds))


@contextmanager
def listing(directory: int) -> Iterator[int]:
    """A new descriptor to list an open directory: duplicates of a descriptor share the position in the listing."""
    descriptor = open_directory(".", directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def names_in(directory: int) -> list[str]:
    """The names in an open directory."""
    with listing(directory) as descriptor:
        return os.listdir(descriptor)


def give_all(folder: str, user: int, group: int) -> None:
    """Give a directory, and all files and directories in it, to another owner. Nothing happens without owners."""
    if not hasattr(os, "fwalk") or os.chown not in os.supports_dir_fd:
        return
    for _, _, files, descriptor in os.fwalk(folder):
        for name in files:
            os.chown(name, user, group, dir_fd=descriptor, follow_symlinks=False)
        os.chown(descriptor, user, group)
