"""Makes the database file, and verifies it when it is opened. docs/format.md, "SQLite files"."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass

from coshelf import records
from coshelf.engines.beginnings import APPLICATION
from coshelf.engines.sqlite.connections import Connections
from coshelf.engines.sqlite.failures import translated
from coshelf.engines.wrong_places import NO_DIRECTORY
from coshelf.errors import (
    CoshelfError,
    DamagedShelf,
    FormatTooNew,
    NotAShelf,
    ShelfNotFound,
)
from coshelf.system.file_systems.durable import sync_directory
from coshelf.system.files import names
from coshelf.system.files.os_errors import translate
from coshelf.system.rights import owners
from coshelf.trust import marks

__all__ = ["Content", "Row", "create", "look_at"]

_FORMAT = 1
_TABLES = {
    "entries": "CREATE TABLE entries (key BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID",
    "shelf": "CREATE TABLE shelf (number INTEGER NOT NULL, store_id BLOB NOT NULL, created REAL NOT NULL)",
}
_STORE_ID = 16
_INSERT = "INSERT INTO entries VALUES (?, ?)"


@dataclass(frozen=True)
class Row:
    """The row in the file that describes the shelf.

    Attributes:
        store_id: the id of the shelf.
        created: in seconds since 1970.
    """

    store_id: bytes
    created: float


@dataclass(frozen=True)
class Content:
    """What a new shelf has.

    Attributes:
        store_id: its id; None: a new one.
        number: the number of its last commit.
        pages: keys and sealed records.
        is_marked: whether it bears this user's mark of trust.
    """

    store_id: bytes | None = None
    number: int = 0
    pages: Iterable[list[tuple[bytes, bytes]]] = ()
    is_marked: bool = True


def create(path: str, mode: int, content: Content = Content(), *, over: bool = False) -> bool:
    """Make a shelf under a temporary name, durably, and rename it. False if the name is taken.

    With ``over``, it replaces the file of that name. The caller makes sure that no process has that open.
    """
    prefix = f".{os.fsdecode(os.fsencode(os.path.basename(path))[:100])}.coshelf-"
    try:
        descriptor, temporary = tempfile.mkstemp(".new", prefix, os.path.dirname(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ShelfNotFound(errno.ENOENT, NO_DIRECTORY, path) from error
    except OSError as error:
        raise translate(error, "create", "the shelf", path) from error
    try:
        with os.fdopen(descriptor) as file:
            owners.set_mode(descriptor, mode)
            store_id = content.store_id or os.urandom(_STORE_ID)

            def make(mark: bytes | None) -> bool:
                with translated(path, "create", 0):
                    _fill(temporary, store_id, content, mark)
                os.fsync(descriptor)
                file.close()  # before the file can be opened: this drops all locks of this process on it
                return _place(temporary, path, over=over)

            if not content.is_marked:
                return make(None)
            return marks.make_marked(store_id, os.fstat(descriptor), path, make)
    except CoshelfError:
        raise
    except OSError as error:
        raise translate(error, "create", "the shelf", path) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            names.remove(temporary)


def _place(temporary: str, path: str, *, over: bool) -> bool:
    """Give the file its name, durably. Without ``over``, return False if something else has the name by now."""
    try:
        if over:
            names.replace(temporary, path)
        else:
            names.link_new(temporary, path)
    except FileExistsError:
        return False
    sync_directory(os.path.dirname(path))
    return True


def _fill(temporary: str, store_id: bytes, content: Content, mark: bytes | None) -> None:
    with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as database:
        database.execute(f"PRAGMA application_id = {APPLICATION}")
        database.execute(f"PRAGMA user_version = {_FORMAT}")
        for statement in _TABLES.values():
            database.execute(statement)
        database.execute("BEGIN")
        database.execute("INSERT INTO shelf VALUES (?, ?, ?)", (content.number, store_id, time.time()))
        if mark is not None:
            record = records.seal(mark, records.checksum(marks.ROW_KEY, mark), content.number)
            database.execute(_INSERT, (marks.ROW_KEY, record))
        for page in content.pages:
            database.executemany(_INSERT, page)
        database.execute("COMMIT")
        database.execute("PRAGMA journal_mode = WAL")


def look_at(connections: Connections) -> Row:
    """Verify an existing file, and return its row of the shelf. Raises NotAShelf, FormatTooNew, DamagedShelf."""
    path = connections.path
    with connections.lent() as database, translated(path, "open", connections.timeout):
        ((application,),) = database.execute("PRAGMA application_id").fetchall()
        if application != APPLICATION:
            raise NotAShelf(f"{path} is not a shelf of the sqlite engine; it has not been changed")
        ((version,),) = database.execute("PRAGMA user_version").fetchall()
        if version != _FORMAT:
            raise FormatTooNew(f"{path} has format {version}, and this version knows format {_FORMAT}")
        tables = dict(database.execute("SELECT name, sql FROM sqlite_schema").fetchall())
        if tables != _TABLES:
            raise DamagedShelf(f"{path} has tables, triggers or views that no shelf has: {', '.join(tables)}")
        rows = database.execute("SELECT store_id, created FROM shelf").fetchall()
    if len(rows) != 1 or not isinstance(rows[0][0], bytes) or len(rows[0][0]) != _STORE_ID:
        raise DamagedShelf(f"{path} does not say which shelf it is")
    return Row(*rows[0])
