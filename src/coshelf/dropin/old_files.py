"""Renames the files of a converted shelf: all of them, or none.

Each file first gets its second name as a hard link. It loses its first name after the new shelf has got its name. So if
the process is killed, the files themselves show which steps were done, and which files belong to the old shelf.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil

from coshelf.engines.old_shelves import SUFFIXES
from coshelf.errors import NotAShelf, StorageError
from coshelf.system.file_systems.durable import sync_directory
from coshelf.system.files import names
from coshelf.system.locks.directories import alone_in

__all__ = ["finish", "looks_of", "refuse_taken", "replace"]

_KEPT = ".before-coshelf"


def looks_of(files: list[str]) -> list[tuple[int, ...]]:
    """Values that change if another process writes to the files, or moves them."""
    found = (os.stat(file) for file in files if os.path.lexists(file))
    return [(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns) for status in found]


def refuse_taken(name: str, old: list[str]) -> None:
    """Raise :class:`NotAShelf` if a file that is not part of the old shelf has a name that is needed."""
    if name not in old and os.path.lexists(name):
        raise NotAShelf(f"{name} is in the way: it is not part of the old shelf, whose files are {', '.join(old)}")
    for file in old:
        if os.path.lexists(file + _KEPT) and not _is_same(file, file + _KEPT):
            raise NotAShelf(f"{file + _KEPT} is in the way\n  hint: it may be the old shelf of an earlier migration")


def replace(name: str, old: list[str], before: list[tuple[int, ...]], new: str) -> None:
    """Give a new shelf its name, and the old files their second names.

    Args:
        name: the name of the new shelf. One of the old files may have it.
        old: the old shelf's files.
        before: their :func:`looks_of` before they were copied.
        new: the temporary name of the new shelf.
    """
    with alone_in(os.path.dirname(name)):
        if looks_of(old) != before:
            raise StorageError(f"{name} was written to or moved while it was copied; nothing was changed")
        refuse_taken(name, old)
        try:
            for file in old:
                _keep(file)
            sync_directory(os.path.dirname(name))
            names.replace(new, name)
        except BaseException:
            for file in old:
                _unlink(file + _KEPT)
            raise
        sync_directory(os.path.dirname(name))
        _drop(name, old)


def finish(name: str) -> None:
    """Remove the first names of old files, if the process that converted the shelf was killed before that."""
    left = [name + suffix for suffix in SUFFIXES if os.path.lexists(name + suffix + _KEPT)]
    if left:
        with alone_in(os.path.dirname(name)):
            _drop(name, [file for file in left if os.path.lexists(file) and _is_same(file, file + _KEPT)])


def _drop(name: str, old: list[str]) -> None:
    for file in old:
        if file != name:
            names.remove(file)
    sync_directory(os.path.dirname(name))


def _keep(file: str) -> None:
    kept = file + _KEPT
    _unlink(kept)  # if it exists, it is the same file, from an attempt that was killed
    if not names.second_name(file, kept):
        shutil.copy2(file, kept)


def _is_same(file: str, kept: str) -> bool:
    """Whether ``kept`` is a link to the file, or a copy of it on a file system without hard links."""
    status, other = os.lstat(file), os.lstat(kept)
    if os.path.samestat(status, other):
        return True
    if status.st_mtime_ns != other.st_mtime_ns or not (os.path.isfile(file) and os.path.isfile(kept)):
        return False  # a user has made a copy later, to have the old shelf back
    return filecmp.cmp(file, kept, shallow=False)


def _unlink(file: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        names.remove(file)
