"""A database of diskcache, which is read and never written."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

from coshelf.dropin.diskcache.names import DBNAME
from coshelf.transfer.source import SourceError
from coshelf.transfer.sqlite_file import SqliteFile

__all__ = ["OldDatabase", "OldRow"]

_COLUMNS = (
    "rowid", "key", "raw", "store_time", "expire_time", "access_time", "access_count", "tag", "size", "mode",
    "filename", "value",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM Cache WHERE rowid = ?"  # noqa: S608
_PATIENCE = 10.0  # seconds for a transaction of diskcache to end


class OldRow(NamedTuple):
    """A row of diskcache's table. SQLite lets every column have every type."""

    rowid: int
    key: object
    raw: object
    store_time: object
    expire_time: object
    access_time: object
    access_count: object
    tag: object
    size: object
    mode: object
    filename: object
    value: object


class OldDatabase:
    """The database in one folder.

    Attributes:
        folder: the path of the folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._path = os.path.join(folder, DBNAME)
        self._file = SqliteFile(self._path)
        self._now: sqlite3.Connection | None = None
        try:
            tables = self._file.tables()
            # diskcache can have been killed before it made its tables.
            self._has_rows = "Cache" in tables
            self._has_settings = "Settings" in tables
            missing = [name for name in _COLUMNS[1:] if self._has_rows and name not in tables["Cache"]]
            if missing or (tables and not self._has_rows and not self._has_settings):
                without = f"the columns {', '.join(missing)}" if missing else "diskcache's tables"
                raise SourceError(f"{self._path} is not a database of diskcache 3 to 5: it is without {without}")
        except BaseException:
            self._file.close()
            raise

    def snapshot(self) -> contextlib.AbstractContextManager[None]:
        """A block in which all is read as it was at its beginning, whatever other processes write meanwhile."""
        return self._file.snapshot()

    def settings(self) -> dict[str, object]:
        """What diskcache remembers: settings, and the figures ``count``, ``size``, ``hits`` and ``misses``."""
        if not self._has_settings:
            return {}
        return {str(name): value for name, value in self._file.rows("Settings", "key, value")}

    def count(self) -> int:
        """How many rows it has."""
        return self._file.count("Cache") if self._has_rows else 0

    def rows(self) -> Iterator[OldRow]:
        """All rows, in the order in which they were inserted."""
        if self._has_rows:
            for row in self._file.rows("Cache", ", ".join(_COLUMNS)):
                yield OldRow._make(row)

    @contextlib.contextmanager
    def now(self, row: OldRow) -> Iterator[OldRow | None]:
        """For a block in which diskcache writes nothing, the row as it is now; None if it was deleted.

        If no process can have changed it, or this user may not lock the database, it is the row itself. Nothing is
        written.
        """
        try:
            found = row if self._file.is_copied else self._locked(row)
        except sqlite3.Error:
            found = row
        try:
            yield found
        finally:
            if self._now is not None:
                self._now.rollback()

    def _locked(self, row: OldRow) -> OldRow | None:
        if self._now is None:
            self._now = _connected(self._path)
        self._now.execute("BEGIN IMMEDIATE")
        found = self._now.execute(_SELECT, (row.rowid,)).fetchone()
        return None if found is None else OldRow._make(found)

    def close(self) -> None:
        """Close it."""
        if self._now is not None:
            self._now.close()  # first: so it is not the last connection, which would write the log into the database
        self._file.close()


def _connected(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(path)}?mode=rw", uri=True, isolation_level=None, timeout=_PATIENCE)
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection
