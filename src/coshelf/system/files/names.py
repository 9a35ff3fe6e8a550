"""Names of files: taken, replaced and removed, also where another process has the file open.

On POSIX a name may be replaced or removed while the file is open. Windows refuses that while another process has the
file open without ``FILE_SHARE_DELETE``, as a virus scanner or an indexer does for a moment. So it is tried again there.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

__all__ = ["link_new", "remove", "replace"]

_PATIENCE = 2.0  # seconds for which another process may keep a name
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05
_REFUSES_LINKS = frozenset(
    number for number in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)
)


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
    if os.name == "nt":
        os.rename(source, target)  # refuses a name that exists, and needs no links
        return
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
    """Whether the refusal may be of a moment: another process has the file open (Windows)."""
    return getattr(error, "winerror", None) in (5, 32, 33)  # access denied, sharing violation, lock violation
