"""Opens a file of a name, and never what a link of that name leads to."""

from __future__ import annotations

import errno
import os
import stat

from coshelf.system.files import flags

__all__ = ["open_itself"]


def open_itself(path: str, how: int, mode: int = 0o600) -> int:
    """As ``os.open`` with :data:`flags.ASIDE`, for a file beside a shelf. Raises OSError for a link, with ``ELOOP``.

    Where no flag refuses links (Windows), the name is looked at before and after.
    """
    if flags.NO_FOLLOW:
        return os.open(path, how | flags.ASIDE, mode)
    _refuse_link(path)
    descriptor = os.open(path, how | flags.ASIDE, mode)
    try:
        _refuse_link(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_link(path: str, descriptor: int | None = None) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        if descriptor is None:
            return
        raise
    is_it = descriptor is None or os.path.samestat(found, os.fstat(descriptor))
    if stat.S_ISLNK(found.st_mode) or not is_it:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
