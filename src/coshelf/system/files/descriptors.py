"""Names of open files, and the descriptors that this process has.

Linux names each descriptor in ``/proc``, and opening that name opens the very file, whatever its path is now. macOS
tells the path that an open file has now (``F_GETPATH``). Its names in ``/dev/fd`` are not used for opening: they give
a copy of the descriptor, so flags such as ``O_DSYNC`` would be ignored.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from coshelf.system.files.flags import SYNC_CONTENT

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

__all__ = ["duplicate_above", "exact_name", "name_to_open", "open_descriptors", "opened_with", "path_of"]

_NAMES = "/proc/self/fd"
_LISTS = (_NAMES, "/dev/fd")
_LONGEST_PATH = 1024  # MAXPATHLEN in macOS's sys/param.h, which F_GETPATH wants


def exact_name(descriptor: int) -> str | None:
    """A name that leads to the open file itself, also after it was moved or removed; None if the kernel has none."""
    name = f"{_NAMES}/{descriptor}"
    return name if os.path.exists(name) else None


def path_of(descriptor: int) -> str | None:
    """The path that an open file has now; None if that cannot be told. After a removal it may be an earlier path."""
    with contextlib.suppress(OSError):
        return os.readlink(f"{_NAMES}/{descriptor}")
    get_path: Any = getattr(fcntl, "F_GETPATH", None)
    if get_path is None:
        return None
    try:
        found: bytes = fcntl.fcntl(descriptor, get_path, bytes(_LONGEST_PATH))
    except OSError:
        return None
    return os.fsdecode(found.partition(b"\0")[0])


def name_to_open(descriptor: int, path: str) -> str:
    """A name by which an open file can be opened once more: the exact one, or the path at which it is now.

    Without an exact name another file may take the path meanwhile. So a caller for whom that matters compares what it
    has opened with this file. ``path`` is what is left if the system tells nothing.
    """
    return exact_name(descriptor) or _found_at(path_of(descriptor), descriptor) or path


def _found_at(path: str | None, descriptor: int) -> str | None:
    with contextlib.suppress(OSError):
        if path is not None and os.path.samestat(os.stat(path), os.fstat(descriptor)):
            return path
    return None


def open_descriptors() -> Iterator[int]:
    """The descriptors of this process, as far as the system lists them. Some may be closed meanwhile."""
    for directory in _LISTS:
        with contextlib.suppress(OSError, ValueError):
            yield from map(int, os.listdir(directory))
            return


def opened_with(descriptor: int) -> int:
    """The flags with which a descriptor was opened: how it may be used, and ``O_DSYNC``. -1 if that cannot be told.

    Raises OSError if it is not open.
    """
    if fcntl is None:
        return -1
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & (os.O_ACCMODE | SYNC_CONTENT)


def duplicate_above(descriptor: int, least: int) -> int:
    """A duplicate whose number is ``least`` or larger. Programs that this process starts do not get it."""
    if fcntl is not None:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
    low: list[int] = []
    try:
        while (made := os.dup(descriptor)) < least:
            low.append(made)
        return made
    finally:
        for each in low:
            os.close(each)
