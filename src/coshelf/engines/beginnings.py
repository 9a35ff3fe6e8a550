"""What a file is, by its first bytes; also of a file that SQLite has open in this process.

A process loses all its POSIX locks on a file as soon as it closes any descriptor of that file. SQLite's locks are such
locks. So a file that SQLite may have open is looked at through SQLite, which keeps its descriptors open until then.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import Literal, Protocol

from coshelf.system.files import flags
from coshelf.system.processes.forks import at_fork
from coshelf.system.threads.cooperation import new_reentrant_lock
from coshelf.system.threads.living import Living

__all__ = ["APPLICATION", "Kind", "first_bytes", "kind_at", "note_use"]

Kind = Literal["lmdb", "sqlite shelf", "sqlite", "empty", "other"]
""""sqlite" is a database that is not a shelf."""

APPLICATION = 0x636F7368  # "cosh"
"""The ``application_id`` of the database of a shelf."""

_SQLITE = b"SQLite format 3\0"
_APPLICATION_AT = slice(68, 72)
_LMDB = 0xBEEFC0DE.to_bytes(4, sys.byteorder)
_LMDB_AT = slice(16, 20)
_LENGTH = _APPLICATION_AT.stop
_LEAST_PAGE = 512  # bytes. SQLite takes a shorter file for an empty database.


class User(Protocol):
    """What has a database open."""

    def has_open(self, file: os.stat_result) -> bool:
        """Whether this is the file."""
        ...


_lock = new_reentrant_lock()  # held while a descriptor of a file is open that SQLite does not know
_users: Living[User] = Living()


def note_use(user: User) -> None:
    """Do not open the file of a user from now on. Called before SQLite has its first lock on it."""
    with _lock:
        _users.add(user)


def kind_at(path: str) -> Kind | None:
    """What the file at a path is. None if there is no regular file there, or this user may not read it."""
    try:
        file = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(file.st_mode):
        return None
    if not file.st_size:
        return "empty"
    with _lock:  # so that no thread makes a user of this file meanwhile
        if any(user.has_open(file) for user in _users):
            return "sqlite shelf"
        # Other code of this program may have it open by SQLite. No file beside a database tells of a transaction that
        # has written nothing yet.
        found = _kind_by_sqlite(path) if "sqlite3" in sys.modules and file.st_size >= _LEAST_PAGE else None
        head = _head(path) if found is None else None
    return _kind_of(head) if head is not None else found


def first_bytes(path: str, length: int) -> bytes | None:
    """The first bytes of a file; None if it cannot be read, or is a database that SQLite may have open."""
    with _lock:
        kind = kind_at(path)
        return None if kind is None or kind.startswith("sqlite") else _head(path, length)


def _head(path: str, length: int = _LENGTH) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | flags.CLOSE_ON_EXEC | flags.NO_WAIT)
    except OSError:
        return None
    try:
        return os.read(descriptor, length)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _kind_of(head: bytes) -> Kind:
    if head.startswith(_SQLITE):
        return _kind_of_database(int.from_bytes(head[_APPLICATION_AT], "big"))
    return "lmdb" if head[_LMDB_AT] == _LMDB else "other"


def _kind_of_database(number: int) -> Kind:
    return "sqlite shelf" if number == APPLICATION else "sqlite"


def _kind_by_sqlite(path: str) -> Kind | None:
    """The kind of a database; None if SQLite has none there. It takes no lock, and leaves the files beside it alone."""
    import sqlite3
    from contextlib import closing

    from coshelf.engines.sqlite.addresses import uri_of

    uri = f"{uri_of(path, 'ro')}&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as database:
            database.execute("PRAGMA writable_schema = ON").close()  # so that it reads one that has been cut off, too
            ((number,),) = database.execute("PRAGMA application_id").fetchall()
    except sqlite3.Error as error:
        has_none = error.sqlite_errorcode in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN)
        return None if has_none else "sqlite"
    return _kind_of_database(number)


at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
