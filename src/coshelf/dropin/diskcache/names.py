"""The constants, settings and exceptions of :mod:`coshelf.diskcache`."""

from __future__ import annotations

import pickle
from typing import Any, Final

__all__ = [
    "DBNAME",
    "DEFAULT_SETTINGS",
    "ENOVAL",
    "EVICTION_POLICY",
    "METADATA",
    "MODE_BINARY",
    "MODE_NONE",
    "MODE_PICKLE",
    "MODE_RAW",
    "MODE_TEXT",
    "NO_LIMIT",
    "UNKNOWN",
    "Constant",
    "EmptyDirWarning",
    "Timeout",
    "UnknownFileWarning",
]

_PUBLIC = "coshelf.diskcache.core"  # where pickles and tracebacks name these classes


class Constant(tuple[str]):
    """A named constant. Its pickled copy is equal to it, but not the same object.

    >>> ENOVAL, ENOVAL == Constant("ENOVAL"), ENOVAL == ("ENOVAL",)
    (ENOVAL, True, True)
    """

    __slots__ = ()

    def __new__(cls, name: str) -> Constant:
        return tuple.__new__(cls, (name,))

    def __getnewargs__(self) -> tuple[str]:
        return (self[0],)

    def __repr__(self) -> str:
        return self[0]


class Timeout(Exception):
    """Another thread or process kept the cache's lock for longer than the timeout.

    From ``expire``, ``evict``, ``cull`` and ``clear``, ``args[0]`` is the number of entries that were removed so far.
    """


class UnknownFileWarning(UserWarning):
    """``check`` found a file in the directory that no entry names."""


class EmptyDirWarning(UserWarning):
    """``check`` found an empty directory."""


for _public in (Constant, Timeout, UnknownFileWarning, EmptyDirWarning):
    _public.__module__ = _PUBLIC

DBNAME: Final = "cache.db"
"""The name of diskcache's database in a directory that it made."""

ENOVAL: Final = Constant("ENOVAL")
"""Stands for a value that does not exist."""

UNKNOWN: Final = Constant("UNKNOWN")
"""Stands for a key or value that is not known."""

MODE_NONE: Final = 0
MODE_RAW: Final = 1
"""The value is as it is: str, bytes, int or float."""
MODE_BINARY: Final = 2
"""The value is the bytes of a file."""
MODE_TEXT: Final = 3
"""The value is the text of a file, in UTF-8."""
MODE_PICKLE: Final = 4
"""The value is a pickle."""

NO_LIMIT: Final = float("inf")
"""The ``size_limit`` of a cache without a limit."""

DEFAULT_SETTINGS: dict[str, Any] = {
    "statistics": 0,
    "tag_index": 0,
    "eviction_policy": "least-recently-stored",
    "size_limit": NO_LIMIT,
    "cull_limit": 10,
    "sqlite_auto_vacuum": 1,
    "sqlite_cache_size": 2**13,
    "sqlite_journal_mode": "wal",
    "sqlite_mmap_size": 2**26,
    "sqlite_synchronous": 1,
    "disk_min_file_size": 2**15,
    "disk_pickle_protocol": pickle.HIGHEST_PROTOCOL,
}
"""The settings of a new cache. Those that begin with ``sqlite_`` are kept, and do nothing."""

METADATA: dict[str, int] = {"count": 0, "size": 0, "hits": 0, "misses": 0}
"""What a cache counts: entries, bytes in files, and with statistics hits and misses."""

EVICTION_POLICY: dict[str, dict[str, str | None]] = {
    "none": {"init": None, "get": None, "cull": None},
    "least-recently-stored": {"init": "store_time", "get": None, "cull": "store_time"},
    "least-recently-used": {"init": "access_time", "get": "access_time = {now}", "cull": "access_time"},
    "least-frequently-used": {"init": "access_count", "get": "access_count = access_count + 1", "cull": "access_count"},
}
"""The policies by name. ``cull`` is the column by whose order entries are removed; ``get`` is what a read changes."""
