"""The entries of a file system, and the steps that change them, each a part of one commit.

A file ``/a/b`` is two entries: ``data/a/b``, its bytes, and ``stat/a/b``, what a listing shows of it. A folder is an
entry ``stat/a`` if it was made, and otherwise exists as long as something is below it. The path of the root is "".
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from coshelf.contrib.stored_bytes import as_value, view_of
from coshelf.mapping.reading import Readable
from coshelf.mapping.transaction import Transaction

__all__ = [
    "DATA",
    "STAT",
    "Stat",
    "Step",
    "copy",
    "failure",
    "make_folder",
    "not_a_file",
    "remove",
    "stat",
    "touch",
    "write",
]

STAT: Final = "stat"
DATA: Final = "data"
FILE: Final = "file"
FOLDER: Final = "directory"

Step = Callable[[Transaction[str, Any]], None]
"""A change of the entries. It raises what the file system raises, and may be called again after a conflict."""


class Stat(NamedTuple):
    """What is known of a file or folder without its bytes. It is stored as a plain tuple.

    Attributes:
        kind: "file" or "directory".
        size: bytes.
        created, modified: seconds since 1970; 0 for a folder that nobody made.
    """

    kind: str
    size: int = 0
    created: float = 0.0
    modified: float = 0.0

    @property
    def is_file(self) -> bool:
        """Whether it is a file, and not a folder."""
        return self.kind == FILE

    def info(self, path: str) -> dict[str, Any]:
        """As fsspec tells it."""
        times = {"created": self.created, "modified": self.modified} if self.modified else {}
        return {"name": path, "size": self.size, "type": self.kind, **times}


def stat(rows: Readable[str, Any], path: str) -> Stat | None:
    """What a path is; None if it does not exist."""
    if not path:
        return Stat(FOLDER)
    row = rows.get(STAT + path)
    if row is not None:
        return Stat(*row)
    return Stat(FOLDER) if _has_children(rows, path) else None


def not_a_file(rows: Readable[str, Any], path: str) -> OSError:
    """The error for a path that should be a file."""
    return failure(errno.ENOENT if stat(rows, path) is None else errno.EISDIR, path)


def write(
    rows: Transaction[str, Any], path: str, data: Any, now: float, *, exclusive: bool = False, append: bool = False
) -> None:
    """Store a file. ``exclusive``: it must not exist. ``append``: behind the bytes that it has."""
    found = stat(rows, path)
    if found is not None and not found.is_file:
        raise failure(errno.EISDIR, path)
    if found is not None and exclusive:
        raise failure(errno.EEXIST, path)
    _refuse_file_above(rows, path)
    view = memoryview(data).cast("B")
    if append and found is not None:
        view = memoryview(b"".join((view_of(path, rows[DATA + path]), view)))
    rows[DATA + path] = as_value(view)
    rows[STAT + path] = (FILE, view.nbytes, now if found is None else found.created, now)


def copy(rows: Transaction[str, Any], source: str, target: str, now: float) -> None:
    """Store the bytes of one file as another one."""
    value = rows.get(DATA + source)
    if value is None:
        raise not_a_file(rows, source)
    write(rows, target, view_of(source, value), now)


def touch(rows: Transaction[str, Any], path: str, now: float) -> None:
    """Set the time of a file, or make an empty one."""
    found = stat(rows, path)
    if found is None:
        write(rows, path, b"", now)
    elif found.is_file:
        rows[STAT + path] = tuple(found._replace(modified=now))


def make_folder(
    rows: Transaction[str, Any], path: str, now: float, *, parents: bool = True, exist_ok: bool = False
) -> None:
    """Make a folder, and those above it that do not exist."""
    found = stat(rows, path)
    if found is not None and (found.is_file or not exist_ok):
        raise failure(errno.EEXIST, path)
    _refuse_file_above(rows, path)
    above = path.rpartition("/")[0]
    if not parents and stat(rows, above) is None:
        raise failure(errno.ENOENT, above)
    for folder in (*_above(path), path):
        if STAT + folder not in rows:
            rows[STAT + folder] = (FOLDER, 0, now, now)


def remove(rows: Transaction[str, Any], paths: list[str]) -> None:
    """Remove files and empty folders. What is in a folder must be among the paths, too."""
    kinds = {path: stat(rows, path) for path in paths}
    for path in sorted(paths, reverse=True):
        kind = kinds[path]
        if kind is None:
            raise failure(errno.ENOENT, path)
        if kind.is_file:
            del rows[DATA + path]
        elif _has_children(rows, path):
            raise failure(errno.ENOTEMPTY, path)
        rows.pop(STAT + path, None)


def _has_children(rows: Readable[str, Any], path: str) -> bool:
    return bool(rows.keys(prefix=f"{STAT}{path}/"))


def _above(path: str) -> list[str]:
    """The folders between the root and a path, the outermost first."""
    names = path.split("/")
    return ["/".join(names[:count]) for count in range(2, len(names))]


def _refuse_file_above(rows: Readable[str, Any], path: str) -> None:
    for folder in _above(path):
        row = rows.get(STAT + folder)
        if row is not None and Stat(*row).is_file:
            raise failure(errno.ENOTDIR, folder)


def failure(number: int, path: str) -> OSError:
    """The error of a number of ``errno``, such as FileNotFoundError."""
    return OSError(number, os.strerror(number), path)
