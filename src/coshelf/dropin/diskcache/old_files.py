"""The files of diskcache in a directory that was taken over. They stay until the program has them removed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from coshelf.dropin.diskcache.layout import SHELF
from coshelf.dropin.diskcache.names import DBNAME
from coshelf.dropin.diskcache.old_database import OldDatabase
from coshelf.dropin.diskcache.old_places import databases, is_taken_over
from coshelf.dropin.diskcache.old_users import processes_with
from coshelf.dropin.diskcache.old_values import FOLDER
from coshelf.errors import ShelfLocked, ShelfNotFound
from coshelf.opening import open as open_shelf
from coshelf.system.files.names import remove
from coshelf.system.files.paths import expanded
from coshelf.system.locks.directories import alone_in
from coshelf.transfer.inside import open_inside

__all__ = ["old_files", "remove_old_files"]

_BESIDE = ("-wal", "-shm", "-journal", "")
_PARTS = ("cache", "deque", "index")  # the folders of a FanoutCache in which it has further caches


def old_files(directory: str) -> Iterator[str]:
    """The files that belong to diskcache in a directory, by their names relative to it. The databases come last.

    Value files are those that a database names. What is in the further caches of a FanoutCache is not among them.
    """
    for name in databases(directory):
        with contextlib.closing(OldDatabase(os.path.join(directory, name))) as database:
            for row in database.rows():
                if isinstance(row.filename, str) and _is_file(database.folder, row.filename):
                    yield os.path.join(name, row.filename)
    for name in databases(directory):
        for suffix in _BESIDE:
            if os.path.lexists(os.path.join(directory, name, DBNAME + suffix)):
                yield os.path.join(name, DBNAME + suffix)


def remove_old_files(directory: str | os.PathLike[str]) -> int:
    """Remove the files of diskcache from a directory that was taken over. Return how many were removed.

    These are the databases and the value files that they name, also those of the caches, deques and indexes within a
    FanoutCache that were taken over, too. Afterwards there is no way back to diskcache. If the process is killed, call
    it again.

    Args:
        directory: of a Cache, FanoutCache, Deque or Index.

    Raises:
        ShelfNotFound: the directory was not taken over. Nothing is removed.
        ShelfLocked: a process still uses diskcache there. Nothing is removed.
        CoshelfError: the shelf that has the entries now cannot be opened. Nothing is removed.

    >>> import diskcache, tempfile
    >>> from coshelf import diskcache as new
    >>> directory = tempfile.mkdtemp()
    >>> with diskcache.Cache(directory) as old:
    ...     old["a"] = bytes(100_000)
    >>> with new.Cache(directory) as cache:
    ...     new.remove_old_files(directory), len(cache["a"])
    (2, 100000)
    """
    place = expanded(os.fspath(directory))
    if not is_taken_over(place):
        raise ShelfNotFound(2, f"this directory has no {SHELF}: it was not taken over, and its files are kept", place)
    places = [place, *_further(place)]
    for each in places:
        _refuse_use(each)
    return sum(map(_removed_from, places))


def _further(directory: str) -> Iterator[str]:
    """The directories of further caches below one of a FanoutCache, as far as they were taken over."""
    for part in _PARTS:
        for folder, _, _ in os.walk(os.path.join(directory, part)):
            if is_taken_over(folder):
                yield folder


def _refuse_use(directory: str) -> None:
    with open_shelf(os.path.join(directory, SHELF), "r"):  # raises an error if it is not a shelf that can be used
        pass
    for name in databases(directory):
        users = processes_with(os.path.join(directory, name, DBNAME))
        if users:
            raise ShelfLocked(
                f"{directory} is still in use by diskcache in process {', '.join(map(str, users))}; nothing was removed"
            )


def _removed_from(directory: str) -> int:
    count = 0
    with alone_in(directory):
        for name in old_files(directory):
            path = os.path.join(directory, name)
            with contextlib.suppress(FileNotFoundError):
                remove(path)
                count += 1
            _remove_empty(os.path.dirname(path), directory)
    return count


def _remove_empty(folder: str, last: str) -> None:
    """Remove a folder if it is empty, and then the folders above it, below ``last``."""
    with contextlib.suppress(OSError):  # it is not empty
        while folder != last:
            os.rmdir(folder)
            folder = os.path.dirname(folder)


def _is_file(folder: str, filename: str) -> bool:
    """Whether a row names a file below the folder that is not part of the new cache."""
    first = filename.split(os.sep, maxsplit=1)[0]
    if first == FOLDER or first.lstrip(".").startswith(SHELF):
        return False
    try:
        os.close(open_inside(folder, filename))
    except OSError:
        return False
    return True
