"""Converts a shelf that a dbm module made into a coshelf file of the same name."""

from __future__ import annotations

import contextlib
import dbm
import glob
import os
import secrets
import sqlite3
import stat
from typing import Any

from coshelf.dbm import Filename, whichdb
from coshelf.dropin import old_files
from coshelf.engines.old_shelves import found_beside
from coshelf.errors import NotAShelf, ShelfNotFound, StorageError
from coshelf.opening import open_with_codec
from coshelf.system.files.names import remove
from coshelf.system.rights import users
from coshelf.system.rights.owners import set_owner
from coshelf.values.front_doors import RAW_PICKLES

__all__ = ["migrate"]

_PATIENCE = 5.0  # seconds for SQLite's other connections to close


def migrate(path: Filename, keyencoding: str = "utf-8") -> int:
    """Convert a shelf that a dbm module made into a coshelf file at exactly this name; return how many entries it has.

    Values are copied as pickles, and are not loaded. The files of the old shelf, and no others, get names that end in
    ``.before-coshelf``. If anything fails, the old shelf stays as it was. If the process is killed, call it again. A
    coshelf file is not changed.

    Args:
        path: as it was given to ``shelve.open``.
        keyencoding: the encoding of the old shelf's keys.

    Raises:
        ShelfNotFound: a shelf of that name does not exist.
        NotAShelf: its kind is unknown, or another file has a name that is needed.
        StorageError: another process has it open.
        UnicodeDecodeError: a key cannot be decoded with ``keyencoding``.
    """
    name = os.path.abspath(os.fsdecode(path))
    if os.path.islink(name):
        name = os.path.realpath(name)  # the link stays a link
    kind = whichdb(name)
    if kind is None:
        raise ShelfNotFound(2, "there is no shelf at this path", name)
    if kind == "":
        raise NotAShelf(f"{name} was not made by a dbm module that this Python has")
    if kind == "coshelf.dbm":
        old_files.finish(name)
        with open_with_codec(name, "r", RAW_PICKLES) as shelf:
            return len(shelf)
    if kind == "dbm.sqlite3":
        _roll_in_the_log(name)
    old = _files_of(name, kind)
    old_files.refuse_taken(name, old)
    before = old_files.looks_of(old)
    making = f"{name}.{secrets.token_hex(4)}.migrating"
    try:
        count = _copy(name, making, old[0], keyencoding)
        old_files.replace(name, old, before, making)
    finally:
        for left in (*glob.glob(f"{glob.escape(making)}*"), *glob.glob(f"{glob.escape(_hidden(making))}*")):
            remove(left)
    return count


def _hidden(path: str) -> str:
    """The beginning of the names that an engine gives to hidden files beside a shelf."""
    place, name = os.path.split(path)
    return os.path.join(place, f".{name}")


def _files_of(name: str, kind: str) -> list[str]:
    if kind in ("dbm.gnu", "dbm.sqlite3"):
        return [name]
    found = found_beside(name)
    if found is None or found.kind != kind:
        raise NotAShelf(f"{name} is a shelf of {kind}, but it is unknown which files belong to it")
    return list(found.files)


def _roll_in_the_log(name: str) -> None:
    """Move what a killed writer left in SQLite's log into the database, because only the database is renamed."""
    try:
        with contextlib.closing(sqlite3.connect(name, timeout=_PATIENCE, isolation_level=None)) as database:
            database.execute("SELECT count(*) FROM sqlite_master").fetchall()
            database.execute("PRAGMA journal_mode = DELETE").fetchall()
    except sqlite3.Error as error:
        raise StorageError(f"{name} cannot be opened exclusively: {error}; nothing was changed") from error
    left = [name + suffix for suffix in ("-wal", "-journal") if os.path.lexists(name + suffix)]
    if left:
        raise StorageError(f"{name} is open in another process, which writes to {left[0]}; nothing was changed")


def _copy(name: str, making: str, original: str, keyencoding: str) -> int:
    """Copy the database into a new shelf, and close it. Its owner and mode are those of the old shelf."""
    status = os.stat(original)
    mode = stat.S_IMODE(status.st_mode)
    database: Any
    with dbm.open(name, "r") as database, open_with_codec(making, "n", RAW_PICKLES, mode=mode) as shelf:
        keys = database.keys()
        shelf.update((key.decode(keyencoding), database[key]) for key in keys)
        count = len(shelf)
    if users.effective() == users.ROOT:
        with open(making, "rb") as made:
            set_owner(made.fileno(), status.st_uid, status.st_gid)
    return count
