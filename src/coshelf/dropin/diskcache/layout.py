"""Where a cache's data lie in its shelf: the keys of its subs, and the parts of a row.

A row is a tuple of plain data, so that every shelf can be read without running code.
"""

from __future__ import annotations

from typing import Any, Final

from coshelf.mapping.namespace import Namespace

__all__ = [
    "ACCESS_COUNTS",
    "ACCESS_TIMES",
    "ENTRIES",
    "EXPIRE_TIME",
    "EXPIRY",
    "FILENAME",
    "HINTS",
    "HITS",
    "HOLDERS",
    "INDEXES",
    "MISSES",
    "MODE",
    "ORDER",
    "PICKLED",
    "POLICY",
    "ROWID",
    "SETTINGS",
    "SHELF",
    "SIZE",
    "STATE",
    "STORE_TIME",
    "TAG",
    "TAGS",
    "TOTALS",
    "VALUE",
    "Row",
    "Stored",
    "encode_key",
    "footprint",
]

SHELF: Final = "cache.shelf"
"""The name of the shelf in the cache's directory."""

ENTRIES: Final = Namespace("entries/")
"""Key as :meth:`Disk.put` returns it with ``raw`` true, to its row."""
PICKLED: Final = Namespace("pickled/")
"""Bytes of a pickled key, to its row."""
ORDER: Final = Namespace("order/")
"""Number of a row, to ``(raw, key)``. An entry that is overwritten keeps its number."""
SETTINGS: Final = Namespace("settings/")
"""Name of a setting, to its value."""
EXPIRY: Final = Namespace("expiry/")
"""``(expire_time, number of a row)``, to None, for each row that expires."""
TAGS: Final = Namespace("tags/")
"""``(tag, number of a row)``, to None, for each row with a tag, while ``tag_index`` is set."""
POLICY: Final = Namespace("policy/")
"""``(what the policy orders by, number of a row)``, to None, while a limit and a policy are set.

The first part may be less than what holds now: reads do not change it. Eviction corrects it where it matters.
"""
ACCESS_TIMES: Final = Namespace("access_time/")
"""Number of a row as str, to the time of its last read since it was stored, while a policy that needs it is set."""
ACCESS_COUNTS: Final = Namespace("access_count/")
"""Number of a row as str, to the number of its reads, while a policy that needs it is set."""
HINTS: Final = Namespace("hints/")
"""Number of a row, to what its key in ``policy`` begins with, if that is not what it was when the row was stored."""
HOLDERS: Final = Namespace("holders/")
"""``(raw, key)`` of the entry of a lock, to notes of the processes that hold it."""

STATE: Final = Namespace("state/")
TOTALS: Final = STATE.encode("totals")
"""``(count, size, volume, last number of a row)``. All that adds or removes a row writes it."""
INDEXES: Final = STATE.encode("indexes")
"""``(whether there is an index of tags, the column of the index of the policy or None)``."""
HITS: Final = STATE.encode("hits")
"""The number of reads that found a value, while statistics are on."""
MISSES: Final = STATE.encode("misses")
"""The number of reads that found none."""

Row = tuple[int, float, float | None, Any, int, int, str | None, Any]
ROWID: Final = 0
STORE_TIME: Final = 1
EXPIRE_TIME: Final = 2
TAG: Final = 3
SIZE: Final = 4
MODE: Final = 5
FILENAME: Final = 6
VALUE: Final = 7

Stored = tuple[int, int, str | None, Any]
"""What :meth:`Disk.store` returns: size of the file, mode, name of the file, value."""

_FIXED = 128  # bytes that the rows of an entry take beside its key and value
_FREE = 4096 // 3


def encode_key(key: Any, raw: bool) -> bytes:
    """The engine's bytes for the key of an entry, as :meth:`Disk.put` returns it."""
    if type(key) is memoryview:  # as sqlite3.Binary makes it, in a Disk that was written for SQLite
        key = bytes(key)
    return ENTRIES.encode(key) if raw else PICKLED.encode(key)


def footprint(key: Any, row: Row) -> int:
    """The bytes that an entry counts in the volume: some for its rows, and those of its key, value and file.

    A value counts a third more, but at most a third of a page: pages are not full. Measured for entries of 0 to 20,000
    bytes in random order, that is some 0.5 to 1.05 of what they take in the file.
    """
    value = _length(row[VALUE])
    return _FIXED + row[SIZE] + 2 * _length(key) + value + min(value // 3, _FREE)


def _length(part: Any) -> int:
    kind = type(part)
    if kind is str:
        return len(part) if part.isascii() else len(part.encode("utf-8", "surrogatepass"))
    return len(part) if kind is bytes or kind is memoryview else 8
