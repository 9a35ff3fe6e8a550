"""Recognises the kind of a store by its files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import closing

from coshelf.dbm import whichdb
from coshelf.transfer.dbm_source import DbmSource
from coshelf.transfer.diskcache_source import DiskCacheSource, shards
from coshelf.transfer.json_lines import JsonLinesSource
from coshelf.transfer.shelf_source import PickleShareSource, ShelfSource
from coshelf.transfer.source import Source, SourceError, SourceOptions
from coshelf.transfer.sqlite_file import SqliteFile
from coshelf.transfer.sqlite_sources import DbmSqliteSource, SqliteDictSource

__all__ = ["KINDS", "kind_of", "open_source"]

_SQLITE = b"SQLite format 3\0"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")

_OPENERS: dict[str, Callable[[str, SourceOptions], Source]] = {
    "coshelf": ShelfSource,
    "dbm.dumb": lambda path, options: DbmSource(path, "dbm.dumb", options),
    "dbm.gnu": lambda path, options: DbmSource(path, "dbm.gnu", options),
    "dbm.ndbm": lambda path, options: DbmSource(path, "dbm.ndbm", options),
    "dbm.sqlite3": DbmSqliteSource,
    "diskcache": DiskCacheSource,
    "jsonl": JsonLinesSource,
    "pickleshare": PickleShareSource,
    "sqlitedict": SqliteDictSource,
}
KINDS = tuple(_OPENERS)
"""The kinds of sources."""


def open_source(path: str, kind: str | None, options: SourceOptions) -> Source:
    """Open a source of the given kind. If it is None, the kind is recognised. Raises :class:`SourceError`."""
    kind = kind_of(path) if kind is None else kind
    if kind not in _OPENERS:
        raise ValueError(f"unknown kind {kind!r} of source; the kinds are {', '.join(KINDS)}")
    return _OPENERS[kind](path, options)


def kind_of(path: str) -> str:
    """The kind of the store at a path, one of :data:`KINDS`. Raises :class:`SourceError` if it is not recognised."""
    if path == "-" or path.endswith((".jsonl", ".ndjson")):
        return "jsonl"
    if _URL.match(path):
        return "coshelf"
    if os.path.isdir(path):
        return "diskcache" if shards(path) else "pickleshare"
    kind = whichdb(path)
    if kind == "coshelf.dbm":
        return "coshelf"
    if kind in _OPENERS and kind != "dbm.sqlite3":
        return kind
    if not os.path.exists(path):
        raise SourceError(f"there is nothing to import at {path}")
    if _begins_with(path, _SQLITE):
        return _kind_of_sqlite(path)
    raise SourceError(f"cannot tell what kind of store {path} is\n  hint: name it with --from {'|'.join(KINDS)}")


def _kind_of_sqlite(path: str) -> str:
    with closing(SqliteFile(path)) as file:
        found = file.tables()
    if "Cache" in found and "filename" in found["Cache"]:
        raise SourceError(f"{path} is the database of a diskcache\n  hint: import its directory")
    if found.get("Dict") == ["key", "value"] and len(found) == 1:
        return "dbm.sqlite3"
    if ["key", "value"] in found.values():
        return "sqlitedict"
    raise SourceError(f"{path} is an SQLite file without a table of keys and values")


def _begins_with(path: str, start: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(start)) == start
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
