"""Opens files below a directory by names that another user may have chosen."""

from __future__ import annotations

import os
import stat

from coshelf.system.files import directories, links

__all__ = ["open_inside"]


def open_inside(directory: str, filename: str) -> int:
    """A descriptor of a regular file below a directory, by steps that follow no link and do not lead up.

    Raises OSError for every other name.
    """
    parts = filename.replace(os.altsep or os.sep, os.sep).split(os.sep)
    if os.path.isabs(filename) or any(_is_special(part) for part in parts):
        raise OSError(f"{filename!r} is not below {directory}")
    descriptor = _opened(directory, parts) if directories.can_descend else _opened_by_path(directory, parts)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{filename!r} is not a regular file")
    return descriptor


def _is_special(part: str) -> bool:
    # On Windows a colon ends the letter of a drive, or begins the name of a stream in a file.
    return part in ("", ".", "..") or "\0" in part or (os.sep == "\\" and ":" in part)


def _opened(directory: str, parts: list[str]) -> int:
    current = directories.open_directory(directory, follow=True)
    try:
        for part in parts[:-1]:
            inner = directories.open_directory(part, current)
            os.close(current)
            current = inner
        return directories.open_file(parts[-1], current)
    finally:
        os.close(current)


def _opened_by_path(directory: str, parts: list[str]) -> int:
    """As above, where files are opened by their paths alone (Windows). Links that are made meanwhile are noticed."""
    path = os.path.join(directory, *parts)
    expected = os.path.join(os.path.realpath(directory), *parts)
    descriptor = links.open_itself(path, os.O_RDONLY)
    if os.path.normcase(os.path.realpath(path)) != os.path.normcase(expected):
        os.close(descriptor)
        raise OSError(f"{os.path.join(*parts)!r} is not below {directory}, since a link is on the way")
    return descriptor
