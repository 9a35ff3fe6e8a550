"""diskcache's directories: Cache, FanoutCache, Index and Deque."""

from __future__ import annotations

import glob
import os
import pickle
import sqlite3
import stat
import time
from collections.abc import Iterator

from coshelf.keys import shown
from coshelf.transfer.pickles import entry, pickled
from coshelf.transfer.report import Left
from coshelf.transfer.source import Entry, Skipped, Source, SourceError, SourceOptions
from coshelf.transfer.sqlite_sources import connected, reported, tables

__all__ = ["DATABASE", "DiskCacheSource", "shards"]

DATABASE = "cache.db"
_RAW, _BINARY, _TEXT, _PICKLE = 1, 2, 3, 4
_ROWS = "SELECT key, raw, expire_time, mode, filename, value FROM Cache ORDER BY rowid"

Row = tuple[object, int, float | None, int, str | None, object]


def shards(directory: str) -> list[str]:
    """The directories that hold a part of a cache: one of Cache, several of FanoutCache; none if it is no cache."""
    if os.path.isfile(os.path.join(directory, DATABASE)):
        return [directory]
    found = sorted(glob.glob(os.path.join(glob.escape(directory), "[0-9][0-9][0-9]", DATABASE)))
    return [os.path.dirname(path) for path in found]


class DiskCacheSource(Source):
    """A cache, as ``diskcache`` keeps it. Files are read below its directory only, whatever the database says."""

    kind = "diskcache"

    def __init__(self, directory: str, options: SourceOptions) -> None:
        self._options = options
        self._shards: list[tuple[str, sqlite3.Connection]] = []
        try:
            for shard in shards(directory):
                self._shards.append((shard, connected(os.path.join(shard, DATABASE))))
                if "Cache" not in tables(self._shards[-1][1]):
                    raise SourceError(f"{shard}/{DATABASE} has no table of diskcache")
        except BaseException:
            self.close()
            raise
        if not self._shards:
            raise SourceError(f"{directory} is no directory of diskcache: it has no {DATABASE}")

    def count(self) -> int | None:
        total = 0
        for directory, connection in self._shards:
            with reported(directory):
                total += connection.execute("SELECT count(*) FROM Cache").fetchone()[0]
        return total

    def entries(self) -> Iterator[Entry | Left]:
        now = time.time()
        for directory, connection in self._shards:
            with reported(directory):
                for row in connection.execute(_ROWS):
                    yield self._entry(directory, row, now)

    def _entry(self, directory: str, row: Row, now: float) -> Entry | Left:
        stored, raw, expires, mode, filename, value = row
        key: object = stored
        if not raw:
            if not self._options.trust_pickle:
                return Skipped(repr(stored), "its key must be unpickled (--trust-pickle)")
            try:
                key = pickle.loads(stored)  # type: ignore[arg-type]
            except Exception as error:  # whatever a pickle raises
                return Left(repr(stored), f"its key cannot be unpickled: {error!r}")
        if expires is not None and expires < now:
            return Skipped(shown(key), "it expired")
        try:
            data = value if filename is None else _read_inside(directory, filename)
            if mode == _PICKLE:
                return entry(key, data)
            if mode == _TEXT and isinstance(data, bytes):
                return Entry(key, pickled(data.decode("utf-8")))
            if mode in (_RAW, _BINARY) and isinstance(data, (bytes, str, int, float)):
                return Entry(key, pickled(data))
        except (OSError, UnicodeDecodeError) as error:
            return Left(shown(key), f"its file cannot be read: {error}")
        return Left(shown(key), f"its value is stored in a way that is not known (mode {mode})")

    def close(self) -> None:
        for _, connection in self._shards:
            connection.close()


def _read_inside(directory: str, filename: str) -> bytes:
    """A file below a directory, by steps that follow no link and do not lead up."""
    parts = filename.split(os.sep)
    if os.path.isabs(filename) or any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise OSError(f"{filename!r} is not below {directory}")
    current = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = inner
        descriptor = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=current)
    finally:
        os.close(current)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{filename!r} is no regular file")
        return file.read()
