"""An SQLite file that is read while others write it. It is not changed, and no file is left beside it.

To read a file with a write-ahead log, SQLite makes two files beside it. Only a connection that may write removes them
again. So such a file is opened for writing, and not written. If a process was killed in the middle of a write, SQLite
would have to repair the file. Then the file is copied, and the copy is read.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from coshelf.transfer.source import SourceError

__all__ = ["SqliteFile", "reported"]

_MOST, _LARGEST = 500, 8 << 20  # rows, and bytes, that are read together
_ATTEMPTS = 5  # to copy a file while other processes write it
_WAL_AT, _WAL = 18, 2
_SIDECARS = ("-wal", "-journal")


@contextmanager
def reported(path: str) -> Iterator[None]:
    """Turn SQLite's errors into coshelf's."""
    try:
        yield
    except sqlite3.Error as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


class SqliteFile:
    """A file that is open for reading."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._copy: str | None = None
        with reported(path):
            try:
                found = os.path.realpath(path)
                try:
                    self._connection = _connected(found, _mode(found))
                except sqlite3.OperationalError:  # a write was interrupted, or this user may not write
                    self._connection = self._copied(found)
            except OSError as error:
                raise SourceError(f"{path} cannot be read: {error.strerror}") from error

    def _copied(self, path: str) -> sqlite3.Connection:
        self._copy = tempfile.mkdtemp(prefix="coshelf-import-")
        try:
            for _ in range(_ATTEMPTS):
                before = _state(path)
                for suffix in ("", *_SIDECARS):
                    target = os.path.join(self._copy, f"copy{suffix}")
                    if before[suffix] is None:
                        _remove(target)
                    else:
                        shutil.copyfile(path + suffix, target)
                if _state(path) == before:
                    return _connected(os.path.join(self._copy, "copy"), "rw")
            raise SourceError(f"{self._path} cannot be read: other processes write to it all the time")
        except BaseException:
            self.close()
            raise

    @property
    def is_copied(self) -> bool:
        """Whether it is a copy that is read."""
        return self._copy is not None

    def tables(self) -> dict[str, list[str]]:
        """The tables of the file and their columns."""
        with reported(self._path):
            select = "SELECT name FROM sqlite_master WHERE type = 'table'"
            names = [name for (name,) in self._connection.execute(select).fetchall()]
            return {
                name: [row[1] for row in self._connection.execute(f"PRAGMA table_info({quoted(name)})").fetchall()]
                for name in names
            }

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with reported(self._path):
            found: int = self._connection.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()[0]  # noqa: S608
        return found

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read everything in the block as it was at its beginning. With a write-ahead log, writers do not wait."""
        with reported(self._path):
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # this takes the snapshot
        try:
            yield
        finally:
            self._connection.rollback()

    def rows(self, table: str, columns: str) -> Iterator[tuple[object, ...]]:
        """The rows of a table in the order in which they were stored. Writers wait at most while one page is read.

        A row that is replaced meanwhile is returned again at the end.
        """
        last = -(2**63)
        select = f"SELECT rowid, {columns} FROM {quoted(table)} WHERE rowid > ? ORDER BY rowid LIMIT ?"  # noqa: S608
        while True:
            page: list[tuple[object, ...]] = []
            size = 0
            with reported(self._path):
                cursor = self._connection.execute(select, (last, _MOST))
                for row in cursor:
                    page.append(row[1:])
                    last = row[0]
                    size += sum(len(each) for each in row if isinstance(each, (bytes, str)))
                    if size > _LARGEST:
                        break
                cursor.close()  # this releases the lock
            if not page:
                return
            yield from page

    def close(self) -> None:
        """Close it."""
        if hasattr(self, "_connection"):
            self._connection.close()
        if self._copy is not None:
            shutil.rmtree(self._copy, ignore_errors=True)


def _connected(path: str, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(path)}?mode={mode}", uri=True, isolation_level=None)
    try:
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _mode(path: str) -> str:
    """The mode in which a file can be opened without a change. Raises OperationalError if it has to be copied."""
    with open(path, "rb") as file:
        header = file.read(_WAL_AT + 2)
    if len(header) <= _WAL_AT or header[_WAL_AT] != _WAL or os.path.exists(f"{path}-shm"):
        return "ro"  # SQLite leaves existing files beside it in place
    with_log = os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal") > 0
    if with_log or not os.access(path, os.W_OK) or not os.access(os.path.dirname(path), os.W_OK):
        raise sqlite3.OperationalError("it has to be copied")
    return "rw"


def _state(path: str) -> dict[str, tuple[int, int, int] | None]:
    """Values that change if the files of a database are written."""
    found: dict[str, tuple[int, int, int] | None] = {}
    for suffix in ("", *_SIDECARS):
        try:
            status = os.lstat(path + suffix) if suffix else os.stat(path)
        except FileNotFoundError:
            found[suffix] = None
        else:
            if not stat.S_ISREG(status.st_mode):
                raise SourceError(f"{path}{suffix} is not a regular file")
            found[suffix] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.unlink(path)


def quoted(name: str) -> str:
    """A name in an SQL statement."""
    return '"' + name.replace('"', '""') + '"'
