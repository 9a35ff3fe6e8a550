"""The file of a ``SqliteDict``: making it, marking it as this user's own, and removing it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from urllib.parse import quote

from coshelf.system.files import names
from coshelf.system.rights import umask, users
from coshelf.system.rights.owners import set_mode
from coshelf.trust import marks
from coshelf.trust.database_marks import new_number, of_shelf, store_id

__all__ = [
    "LEFT",
    "TABLE",
    "create",
    "discard",
    "is_empty",
    "make_temporary",
    "mark",
    "refuse_shelf",
    "remove",
    "remove_temporary",
]

TABLE = 'CREATE TABLE IF NOT EXISTS "{}" (key TEXT PRIMARY KEY, value BLOB)'
"""The schema of sqlitedict."""

LEFT = "has not been changed or deleted\nhint: if it is a shelf of coshelf, coshelf.open() opens it"
"""What is said of a file that SQLite has not made."""

_BESIDE = ("-journal", "-wal", "-shm")


def create(path: str, tablename: str) -> None:
    """Make a database with an empty table and this user's mark, unless something has that name by now.

    It gets its name when it is whole. So every process that finds it finds the table and the mark.

    Raises:
        sqlite3.OperationalError: no file can be made there.
    """
    directory, name = os.path.split(path)
    prefix = f".{os.fsdecode(os.fsencode(name)[:100])}.coshelf-"
    try:
        descriptor, temporary = tempfile.mkstemp(".new", prefix, directory)
    except OSError as error:
        raise sqlite3.OperationalError(f"unable to open database file: {error.strerror}: {path}") from error
    try:
        set_mode(descriptor, 0o666 & ~umask.current())
        information = os.fstat(descriptor)
        os.close(descriptor)  # before SQLite locks the file: closing it later would drop the locks
        number = new_number()

        def make(_: bytes | None) -> bool:
            with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as database:
                database.execute(f"PRAGMA application_id = {number}")
                database.execute(TABLE.format(tablename))
            _remove_left_logs(path)
            return _placed(temporary, path)

        marks.make_marked(store_id(number), information, path, make)
    finally:
        remove(temporary)


def _remove_left_logs(path: str) -> None:
    """Remove logs of a database that is missing, as SQLite does: it would apply them to the new one."""
    left = [path + suffix for suffix in _BESIDE if os.path.lexists(path + suffix)]
    if left and not os.path.lexists(path):
        remove(path)


def _placed(temporary: str, path: str) -> bool:
    try:
        names.link_new(temporary, path)
    except FileExistsError:
        return False
    return True


def is_empty(path: str) -> bool:
    """Whether this is an empty file of this user, such as ``tempfile`` makes, without a log that SQLite would apply."""
    found = os.stat(path)
    has_log = any(os.path.lexists(path + suffix) for suffix in _BESIDE)
    return found.st_size == 0 and (not users.has_numbers or found.st_uid == users.effective()) and not has_log


def mark(path: str, number: int) -> None:
    """Mark an existing database as this user's own."""
    found = os.stat(path)
    marks.mark(store_id(number), found.st_dev, found.st_ino, path)


def discard(path: str) -> None:
    """Remove a database and its mark. Raises ``sqlite3.DatabaseError`` for any other file, which stays as it is."""
    address = f"file:{quote(os.fsencode(path))}?mode=ro"
    number = 0
    try:
        with contextlib.closing(sqlite3.connect(address, timeout=0, uri=True)) as database:
            number = database.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            error.add_note(f"{path} {LEFT}")
            raise
    refuse_shelf(path, number)
    found = os.stat(path)
    marks.unmark(store_id(number), found.st_dev, found.st_ino)
    remove(path)


def refuse_shelf(path: str, number: int) -> None:
    """Raise ``sqlite3.DatabaseError`` for a shelf of the sqlite engine, by the number that its header has."""
    if of_shelf(number):
        raise sqlite3.DatabaseError(
            f"{path} is a shelf of coshelf, not a database of tables; it has not been changed\n"
            f"  hint: coshelf.open('sqlite:{path}')"
        )


def make_temporary() -> str:
    """Make an empty file in a new directory of this user's own, where no other user can put a journal beside it."""
    path = os.path.join(tempfile.mkdtemp(prefix="sqldict"), "db")
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return path


def remove_temporary(path: str) -> None:
    """Remove what :func:`make_temporary` has made."""
    remove(path)
    with contextlib.suppress(OSError):  # the program has put something there
        os.rmdir(os.path.dirname(path))


def remove(path: str) -> None:
    """Remove a database and the files that SQLite makes beside it, as far as they exist."""
    for suffix in _BESIDE:  # first: SQLite would apply a log that it finds beside another database
        with contextlib.suppress(FileNotFoundError):
            names.remove(path + suffix)
    with contextlib.suppress(FileNotFoundError):
        names.remove(path)
