"""The files in a cache's directory: which of them belong to no entry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

from coshelf.dropin.diskcache.layout import SHELF
from coshelf.dropin.diskcache.names import DBNAME
from coshelf.transfer.sqlite_file import SqliteFile

__all__ = ["empty_directories", "size_of", "unknown_files"]


def size_of(directory: str, filename: str) -> tuple[str, int | None]:
    """The path of a value's file, and its size; None if it does not exist."""
    path = os.path.join(directory, filename)
    try:
        return path, os.stat(path).st_size
    except OSError:
        return path, None


def unknown_files(directory: str, known: set[str]) -> list[str]:
    """The paths of the files that are neither known nor the cache's own, nor those of a diskcache that was there."""
    found = [
        os.path.join(place, name)
        for place, _, names in _walk(directory)
        for name in names
        if os.path.join(place, name) not in known and not _is_own(name)
    ]
    database = os.path.join(directory, DBNAME)
    if found and os.path.exists(database):
        old = _files_of_diskcache(directory, database)
        return [path for path in found if path not in old]
    return found


def empty_directories(directory: str) -> list[str]:
    """The paths of the directories below with no file in them or further below, those further below first."""
    filled = {directory}
    walked = list(_walk(directory))
    for place, folders, names in walked:
        if names or any(map(_is_own, folders)):
            while place not in filled:
                filled.add(place)
                place = os.path.dirname(place)  # noqa: PLW2901
    return [place for place, _, _ in reversed(walked) if place not in filled]


def _walk(directory: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """As ``os.walk``, without the directories that are another cache's or the shelf's."""
    for place, folders, names in os.walk(directory):
        if place != directory and (SHELF in names or DBNAME in names):
            folders.clear()
            yield place, [SHELF], []
            continue
        yield place, folders.copy(), names
        folders[:] = [name for name in folders if not _is_own(name)]


def _is_own(name: str) -> bool:
    """Whether a file or directory is the shelf, lies beside it, or is diskcache's database."""
    return name.lstrip(".").startswith((SHELF, DBNAME))


def _files_of_diskcache(directory: str, database: str) -> set[str]:
    """The files that the database of diskcache names: they belong to it as long as it is there."""
    with closing(SqliteFile(database)) as file:
        if "Cache" not in file.tables():
            return set()
        return {os.path.join(directory, str(name)) for (name,) in file.rows("Cache", "filename") if name is not None}
