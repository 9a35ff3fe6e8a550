"""This user's mark for an SQLite file that is not a shelf: a database of tables, such as ``coshelf.sqlitedict`` makes.

A mark fits a store id, a device and an inode. Such a file gets a random number as its id, in the field of SQLite's
header that is meant for the application. With ``COSHELF_SECRET_FILE`` a mark would be a row of the file, where it has
no place. So no such file is marked then.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from urllib.parse import quote

from coshelf.errors import ShelfPermissionError, StorageError, Unsupported
from coshelf.trust import marks
from coshelf.trust.exposure import exposure_above, exposure_of
from coshelf.trust.provenance import protecting, unmarked

__all__ = [
    "exposure",
    "is_database",
    "mark_database",
    "new_number",
    "of_shelf",
    "origin",
    "store_id",
    "unmark_database",
]

_SHELF = 0x636F7368  # the number of every shelf of the sqlite engine


def new_number() -> int:
    """A random number for a new database, from 1 to 2**31 - 1."""
    while True:
        number = secrets.randbelow((1 << 31) - 1) + 1
        if number != _SHELF:
            return number


def of_shelf(number: int) -> bool:
    """Whether this is the number of a shelf of the sqlite engine."""
    return number == _SHELF


def store_id(number: int) -> bytes:
    """The id for which marks of a database with this number are made."""
    return b"SQLite tables " + number.to_bytes(4, "little", signed=True)


def exposure(path: str) -> str | None:
    """How another user could write a database, in words; None if no other user can.

    Call it before SQLite opens the file: SQLite applies a log that it finds beside a database, whoever made it.

    Args:
        path: its absolute path, without links.
    """
    found = os.stat(path)
    directory = os.path.dirname(path)
    if os.stat(directory).st_mode & stat.S_ISVTX and os.stat(directory).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"other users can make files in {directory}, and SQLite would use a journal that they put beside {path}"
    return exposure_of(path, found) or exposure_above(path, found) or next(filter(None, _exposed_beside(path)), None)


def _exposed_beside(path: str) -> Iterator[str | None]:
    for suffix in ("-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            yield exposure_of(path + suffix, os.lstat(path + suffix))


def origin(path: str, number: int) -> str | None:
    """Why this user may not have made a database, in words; None if it has this user's mark.

    Args:
        path: its absolute path, without links.
        number: what it says for ``PRAGMA application_id``.
    """
    found = os.stat(path)
    if number == 0 or not marks.is_marked(store_id(number), found.st_dev, found.st_ino, None):
        return unmarked(path, store_id(number))
    return None


def is_database(path: str) -> bool:
    """Whether a path leads to an SQLite file that is not a shelf."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        # Opened by SQLite, since closing it otherwise would drop the locks that SQLite has on it in this process.
        with closing(_connected(path, "rw" if os.access(path, os.W_OK) else "ro")) as database:
            ((number,),) = database.execute("PRAGMA application_id").fetchall()
    except (OSError, ValueError, sqlite3.Error):
        return False
    return os.path.getsize(path) > 0 and not of_shelf(number)


def mark_database(path: str) -> None:
    """Mark a database as trusted by this user.

    Raises :class:`ShelfPermissionError` if other users could write it, and :class:`Unsupported` if there is no place
    for the mark.
    """
    path = os.path.realpath(path)
    reason = exposure(path)
    if reason is not None:
        raise ShelfPermissionError(
            f"{path} cannot be trusted: {reason}\n  hint: {protecting()}, or open it with trust=True"
        )
    number = _number_of(path)
    found = os.stat(path)
    marks.mark(store_id(number), found.st_dev, found.st_ino, path)
    if not marks.is_marked(store_id(number), found.st_dev, found.st_ino, None):
        raise Unsupported(
            f"there is no place to note that {path} is trusted: it is a database without a row for marks, "
            "and this user has no directory for them\n  hint: open it with trust=True"
        )


def unmark_database(path: str) -> bool:
    """Remove this user's mark of a database; return whether there was one."""
    path = os.path.realpath(path)
    with closing(_connected(path, "ro")) as database:
        ((number,),) = database.execute("PRAGMA application_id").fetchall()
    found = os.stat(path)
    return marks.unmark(store_id(number), found.st_dev, found.st_ino)


def _number_of(path: str) -> int:
    """The number of a database. If it has none, it gets one."""
    try:
        with closing(_connected(path, "rw")) as database:
            database.execute("BEGIN IMMEDIATE")
            ((number,),) = database.execute("PRAGMA application_id").fetchall()
            if number == 0:
                number = new_number()
                database.execute(f"PRAGMA application_id = {number}")
            database.execute("COMMIT")
    except sqlite3.Error as error:
        raise StorageError(f"{path} cannot be written: {error}\n  hint: open it with trust=True") from error
    return int(number)


def _connected(path: str, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode={mode}", uri=True, isolation_level=None)
