"""diskcache's directories: Cache, FanoutCache, Index and Deque."""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import pickle
import time
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from coshelf.errors import InvalidTag
from coshelf.keys import shown
from coshelf.transfer.encodings import inflated
from coshelf.transfer.inside import open_inside
from coshelf.transfer.pickles import entry, pickled
from coshelf.transfer.report import Left
from coshelf.transfer.source import Skipped, Source, SourceEntry, SourceError, SourceOptions
from coshelf.transfer.sqlite_file import SqliteFile
from coshelf.values.envelope import NOTHING, Envelope
from coshelf.values.tags import encoded_tags

__all__ = ["DATABASE", "DISKS", "DiskCacheSource", "shards"]

DATABASE = "cache.db"
DISKS = ("pickle", "json")
"""The classes that can have written a cache: diskcache's Disk and JSONDisk."""

_NEVER = (1 << 63) // 1_000_000  # seconds; diskcache takes infinity, too
_RAW, _BINARY, _TEXT, _PICKLE = 1, 2, 3, 4
_COLUMNS = "key, raw, expire_time, tag, mode, filename, value"
_DISK_SETTINGS = {"disk_min_file_size", "disk_pickle_protocol", "disk_compress_level"}  # the last of JSONDisk

Row = tuple[object, int, float | None, object, int, str | None, object]


def shards(directory: str) -> list[str]:
    """The directories with the parts of a cache: one for Cache, several for FanoutCache; empty if it is not a cache."""
    if os.path.isfile(os.path.join(directory, DATABASE)):
        return [directory]
    found = sorted(glob.glob(os.path.join(glob.escape(directory), "[0-9][0-9][0-9]", DATABASE)))
    return [os.path.dirname(path) for path in found]


class DiskCacheSource(Source):
    """A cache of ``diskcache``. Files are read only below its directory, whatever the database says."""

    kind = "diskcache"

    def __init__(self, directory: str, options: SourceOptions) -> None:
        self._options = options
        self._shards: list[tuple[str, SqliteFile]] = []
        try:
            for shard in shards(directory):
                file = SqliteFile(os.path.join(shard, DATABASE))
                self._shards.append((shard, file))
                found = file.tables()
                if "Cache" not in found:
                    raise SourceError(f"{shard}/{DATABASE} has no table of diskcache")
                if options.disk is None and "Settings" in found:
                    _refuse_other_disks(directory, file)
        except BaseException:
            self.close()
            raise
        if not self._shards:
            raise SourceError(f"{directory} is not a directory of diskcache: it has no {DATABASE}")

    def count(self) -> int | None:
        return sum(file.count("Cache") for _, file in self._shards)

    def entries(self) -> Iterator[SourceEntry | Left]:
        now = time.time()
        for directory, file in self._shards:
            for row in file.rows("Cache", _COLUMNS):
                yield self._entry(directory, cast("Row", row), now)

    def _entry(self, directory: str, row: Row, now: float) -> SourceEntry | Left:
        stored, raw, expires, tag, mode, filename, value = row
        as_json = _of_json_disk(stored, raw) if self._options.disk != "pickle" else None
        if as_json is None and self._options.disk == "json":
            return Left(shown(stored), "its key is not written as JSONDisk writes keys (--disk pickle)")
        key: object = stored if as_json is None else as_json.key
        if not raw:
            if not self._options.trust_pickle:
                return Skipped(shown(stored), "its key must be unpickled (--trust-pickle)")
            try:
                key = pickle.loads(stored)  # type: ignore[arg-type]
            except Exception as error:  # a pickle can raise any error
                return Left(shown(stored), f"its key cannot be unpickled: {error!r}")
        if expires is not None and expires < now:
            return Skipped(shown(key), "it expired")
        try:
            envelope = NOTHING if expires is None and tag is None else Envelope(_time(expires), _tags(tag))
        except InvalidTag as error:
            return Left(shown(key), str(error).splitlines()[0])
        try:
            data = value if filename is None else _read_inside(directory, filename)
        except OSError as error:
            return Left(shown(key), f"its file cannot be read: {error}")
        found = _json_value(key, data) if as_json is not None else _plain_value(key, data, mode)
        return found if isinstance(found, Left) else dataclasses.replace(found, envelope=envelope)

    def close(self) -> None:
        for _, file in self._shards:
            file.close()


def _refuse_other_disks(directory: str, file: SqliteFile) -> None:
    """Raise :class:`SourceError` for settings of a Disk that is not diskcache's own."""
    names = {str(name) for (name,) in file.rows("Settings", "key")}
    others = sorted(name for name in names if name.startswith("disk_") and name not in _DISK_SETTINGS)
    if others:
        raise SourceError(
            f"{directory} was written by another Disk class, which has the settings {', '.join(others)}\n"
            "  hint: give --disk pickle or --disk json if it writes as diskcache's Disk or JSONDisk does"
        )


def _time(expires: float | None) -> int | None:
    """The microseconds of a time; None if it never comes."""
    return None if expires is None or expires >= _NEVER else round(expires * 1_000_000)


def _tags(tag: object) -> tuple[bytes, ...]:
    """The tag of an entry. A number is written in decimal; bytes are UTF-8, or in hexadecimal if they are not."""
    if isinstance(tag, bytes):
        try:
            tag = tag.decode("utf-8")
        except UnicodeDecodeError:
            tag = cast("bytes", tag).hex()
    return () if tag is None or tag == "" else encoded_tags(str(tag))


class _JsonKey(NamedTuple):
    key: object


def _of_json_disk(stored: object, raw: int) -> _JsonKey | None:
    """The key, if JSONDisk has written it, else None. Only JSONDisk stores keys as compressed JSON."""
    if not raw or not isinstance(stored, bytes) or stored[:1] != b"x":
        return None
    try:
        return _JsonKey(_hashable(json.loads(inflated(stored))))
    except (ValueError, RecursionError, zlib.error):
        return None


def _hashable(key: Any) -> Any:
    """JSON has lists for tuples."""
    return tuple(map(_hashable, key)) if isinstance(key, list) else key


def _json_value(key: object, data: object) -> SourceEntry | Left:
    try:
        if isinstance(data, bytes):
            return SourceEntry(key, pickled(json.loads(inflated(data))))
    except (ValueError, RecursionError, zlib.error) as error:
        return Left(shown(key), f"its value is not written as JSONDisk writes values: {error}")
    return Left(shown(key), "its value is not written as JSONDisk writes values (--disk pickle)")


def _plain_value(key: object, data: object, mode: int) -> SourceEntry | Left:
    if mode == _PICKLE:
        return entry(key, data)
    try:
        if mode == _TEXT and isinstance(data, bytes):
            return SourceEntry(key, pickled(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        return Left(shown(key), f"its file cannot be read: {error}")
    if mode in (_RAW, _BINARY) and isinstance(data, (bytes, str, int, float)):
        return SourceEntry(key, pickled(data))
    return Left(shown(key), f"its value is stored in an unknown way (mode {mode})")


def _read_inside(directory: str, filename: str) -> bytes:
    with open(open_inside(directory, filename), "rb") as file:
        return file.read()
