"""Names of files: taken, replaced and removed, also where another process has the file open.

On POSIX a name may be replaced or removed while the file is open. Windows refuses that while another process has the
file open without ``FILE_SHARE_DELETE``, as a virus scanner or an indexer does for a moment. So it is tried again there.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from coshelf.system.files import flags
from coshelf.system.files.descriptors import exact_name
from coshelf.system.files.directories import open_directory
from coshelf.system.locks import whole_file

__all__ = ["keeps_open_files", "leads_to", "link_new", "link_open", "remove", "replace", "second_name"]

keeps_open_files = os.name == "nt"
"""Whether a name cannot be taken from a file that this process has open."""

_PATIENCE = 2.0  # seconds for which another process may keep a name
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05
_REFUSES_LINKS = frozenset(
    number for number in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)
)
_CANNOT_LINK_OPEN = _REFUSES_LINKS | {errno.EXDEV, errno.ENOENT}  # of another file system; removed meanwhile


def leads_to(path: str, descriptor: int) -> bool:
    """Whether a name, and no link at its end, is that of an open file or directory."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def replace(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """As ``os.replace``, in one step for all who look. Raises OSError if that stays refused."""
    _patiently(lambda: os.replace(source, target))


def remove(path: str | os.PathLike[str]) -> None:
    """As ``os.unlink``. Raises OSError if that stays refused."""
    _patiently(lambda: os.unlink(path))


def link_new(source: str, target: str) -> None:
    """Give a file its name ``target`` if nothing has that name, in one step; ``source`` may then still exist.

    Raises FileExistsError if something has the name, and other errors as ``os.link`` does.
    """
    if keeps_open_files:
        _patiently(lambda: os.rename(source, target))  # refuses a name that exists, and needs no links
    elif not second_name(source, target):
        _rename_alone(source, target)


def _rename_alone(source: str, target: str) -> None:
    """Rename, where there are no links. A lock on the directory keeps out processes that do the same."""
    directory = os.open(os.path.dirname(target) or ".", os.O_RDONLY | flags.CLOSE_ON_EXEC)
    try:
        whole_file.take(directory, whole_file.EXCLUSIVE)
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        os.rename(source, target)
    finally:
        whole_file.close(directory)


def second_name(path: str, name: str) -> bool:
    """Give a file another name, as a hard link. Return False if its file system has no links, or no more of them.

    Raises FileExistsError if something has the name, and other errors as ``os.link`` does.
    """
    try:
        _link(path, name)
    except OSError as error:
        if error.errno not in _REFUSES_LINKS:
            raise
        return False
    return True


def link_open(descriptor: int, name: str) -> bool:
    """Give an open file another name, whatever its names lead to now. Return False if that is not possible.

    Raises FileExistsError if something has the name, and other errors as ``os.link`` does.
    """
    source = exact_name(descriptor)
    if source is None or os.link not in os.supports_dir_fd:
        return False
    directory, last = os.path.split(name)
    try:
        opened = open_directory(directory or ".", follow=True)
        try:
            # With the descriptor of a directory, os.link follows the link in /proc, which leads to the file itself.
            os.link(source, last, dst_dir_fd=opened)
        finally:
            os.close(opened)
    except OSError as error:
        if error.errno not in _CANNOT_LINK_OPEN:
            raise
        return False
    return True


def _link(source: str, target: str) -> None:
    if not hasattr(os, "link"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    try:
        os.link(source, target, follow_symlinks=False)
    except NotImplementedError:  # this system's link() follows no links anyway
        os.link(source, target)


def _patiently(step: Callable[[], None]) -> None:
    try:
        step()
    except PermissionError as error:
        if not _may_pass(error):
            raise
    else:
        return
    end = time.monotonic() + _PATIENCE
    pause = _FIRST_PAUSE
    while True:
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
        try:
            step()
        except PermissionError:
            if time.monotonic() >= end:
                raise
        else:
            return


def _may_pass(error: PermissionError) -> bool:
    """Whether the refusal may be of a moment: another process has the file open."""
    denied, sharing, locked = 5, 32, 33  # winerror.h: ERROR_ACCESS_DENIED, _SHARING_VIOLATION, _LOCK_VIOLATION
    return keeps_open_files and getattr(error, "winerror", denied) in (denied, sharing, locked)
