"""Sources that keep their entries in SQLite files: dbm.sqlite3 (of Python 3.13), and sqlitedict.

They are read with SQLite itself, so any Python can read them.
"""

from __future__ import annotations

from collections.abc import Iterator

from coshelf.keys import shown
from coshelf.transfer.dbm_source import as_entry
from coshelf.transfer.encodings import decoded_key, decoded_value
from coshelf.transfer.report import Left
from coshelf.transfer.source import Source, SourceEntry, SourceError, SourceOptions
from coshelf.transfer.sqlite_file import SqliteFile

__all__ = ["DbmSqliteSource", "SqliteDictSource"]


class _TableSource(Source):
    """Keys and values in one table."""

    def __init__(self, file: SqliteFile, table: str, options: SourceOptions) -> None:
        self._file = file
        self._table = table
        self._options = options

    def count(self) -> int | None:
        return self._file.count(self._table)

    def entries(self) -> Iterator[SourceEntry | Left]:
        for key, value in self._file.rows(self._table, "key, value"):
            yield self._entry(key, value)

    def _entry(self, key: object, value: object) -> SourceEntry | Left:
        raise NotImplementedError

    def close(self) -> None:
        self._file.close()


class DbmSqliteSource(_TableSource):
    """A database of ``dbm.sqlite3``."""

    kind = "dbm.sqlite3"

    def __init__(self, path: str, options: SourceOptions) -> None:
        super().__init__(SqliteFile(path), "Dict", options)

    def _entry(self, key: object, value: object) -> SourceEntry | Left:
        if not isinstance(key, bytes):
            return Left(shown(key), "the key is not bytes")
        return as_entry(key, value, self._options)


class SqliteDictSource(_TableSource):
    """A table of sqlitedict."""

    kind = "sqlitedict"

    def __init__(self, path: str, options: SourceOptions) -> None:
        file = SqliteFile(path)
        try:
            found = [name for name, columns in file.tables().items() if columns == ["key", "value"]]
            if options.table is not None and options.table not in found:
                raise SourceError(f"{path} has no table {options.table!r} of sqlitedict; it has {_listed(found)}")
            if options.table is None and len(found) != 1:
                raise SourceError(
                    f"{path} has {len(found)} tables of sqlitedict: {_listed(found)}\n  hint: --table NAME"
                )
        except BaseException:
            file.close()
            raise
        super().__init__(file, options.table or found[0], options)

    def _entry(self, key: object, value: object) -> SourceEntry | Left:
        if not isinstance(key, str):
            return Left(shown(key), f"the key is of type {type(key).__name__}, not str")
        name = decoded_key(key, self._options.keys)
        return name if isinstance(name, Left) else decoded_value(name.key, value, self._options.values)


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
