"""What keeps its entries in SQLite files: dbm.sqlite3 (of Python 3.13), and sqlitedict.

They are read with SQLite itself, whichever Python made them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from coshelf.keys import shown
from coshelf.transfer.dbm_source import as_entry
from coshelf.transfer.pickles import entry
from coshelf.transfer.report import Left
from coshelf.transfer.source import Entry, Source, SourceError, SourceOptions

__all__ = ["DbmSqliteSource", "SqliteDictSource", "connected", "tables"]


def connected(path: str) -> sqlite3.Connection:
    """A connection that only reads."""
    try:
        connection = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True)
        try:
            connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            connection.execute("SELECT count(*) FROM sqlite_master")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    return connection


@contextmanager
def reported(path: str) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise SourceError(f"{path} cannot be read any further: {error}") from error


def tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The tables of a file and their columns."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: [row[1] for row in connection.execute(f"PRAGMA table_info({quoted(name)})")] for name in names}


def quoted(name: str) -> str:
    """A name in an SQL statement."""
    return '"' + name.replace('"', '""') + '"'


class _TableSource(Source):
    """Keys and values in one table."""

    def __init__(self, path: str, table: str, options: SourceOptions) -> None:
        self._path = path
        self._table = quoted(table)
        self._options = options
        self._connection = connected(path)

    def count(self) -> int | None:
        with reported(self._path):
            found: int = self._connection.execute(f"SELECT count(*) FROM {self._table}").fetchone()[0]  # noqa: S608
        return found

    def entries(self) -> Iterator[Entry | Left]:
        with reported(self._path):
            for key, value in self._connection.execute(f"SELECT key, value FROM {self._table}"):  # noqa: S608
                yield self._entry(key, value)

    def _entry(self, key: object, value: object) -> Entry | Left:
        raise NotImplementedError

    def close(self) -> None:
        self._connection.close()


class DbmSqliteSource(_TableSource):
    """A database of ``dbm.sqlite3``."""

    kind = "dbm.sqlite3"

    def __init__(self, path: str, options: SourceOptions) -> None:
        super().__init__(path, "Dict", options)

    def _entry(self, key: object, value: object) -> Entry | Left:
        if not isinstance(key, bytes):
            return Left(repr(key), "the key is not bytes")
        return as_entry(key, value, self._options)


class SqliteDictSource(_TableSource):
    """A table of sqlitedict."""

    kind = "sqlitedict"

    def __init__(self, path: str, options: SourceOptions) -> None:
        connection = connected(path)
        try:
            with reported(path):
                found = [name for name, columns in tables(connection).items() if columns == ["key", "value"]]
        finally:
            connection.close()
        if options.table is not None and options.table not in found:
            raise SourceError(f"{path} has no table {options.table!r} of sqlitedict; it has {_listed(found)}")
        if options.table is None and len(found) != 1:
            raise SourceError(f"{path} has {len(found)} tables of sqlitedict: {_listed(found)}\n  hint: --table NAME")
        super().__init__(path, options.table or found[0], options)

    def _entry(self, key: object, value: object) -> Entry | Left:
        if not isinstance(key, str):
            return Left(shown(key), f"the key is of type {type(key).__name__}, not str")
        return entry(key, value)


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
