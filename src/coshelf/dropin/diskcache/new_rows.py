"""Writes the rows of a cache that no other process uses yet, in large batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from coshelf.contract import Batch, Engine
from coshelf.dropin.diskcache import indexes
from coshelf.dropin.diskcache.layout import (
    ACCESS_COUNTS,
    ACCESS_TIMES,
    EXPIRE_TIME,
    EXPIRY,
    FILENAME,
    HITS,
    INDEXES,
    MISSES,
    ORDER,
    ROWID,
    SETTINGS,
    SIZE,
    TAG,
    TOTALS,
    Row,
    encode_key,
    footprint,
)
from coshelf.dropin.diskcache.old_values import NewValue
from coshelf.dropin.diskcache.policies import Column
from coshelf.values.codec import Codec

__all__ = ["NewRows", "Times"]

_MOST = 10_000  # keys of a batch
_LARGEST = 8 << 20  # bytes of a batch


class Times(NamedTuple):
    """What a row has beside its key and value."""

    stored: float
    expires: float | None
    accessed: float
    accesses: int
    tag: Any


class NewRows:
    """The rows of a new cache.

    Args:
        engine: of the empty shelf.
        codec: of the shelf.
        has_tags: whether an index of tags is made.
        column: what reads note, for the index of the policy; None: it is made later, from what rows have themselves.
    """

    def __init__(self, engine: Engine, codec: Codec, *, has_tags: bool, column: Column | None) -> None:
        self._engine = engine
        self._codec = codec
        self._has_tags = has_tags
        self._column = column
        self._values: dict[bytes, Any] = {}
        self._deletes: set[bytes] = set()
        self._bytes = 0
        self._count = self._size = self._volume = 0

    def find(self, key: Any, raw: bool) -> Row | None:
        """The row of a key; None if it does not exist yet."""
        row: Row | None = self._get(encode_key(key, raw))
        return row

    def _get(self, encoded: bytes) -> Any:
        value = self._values.get(encoded)
        if value is not None:
            return value
        record = self._engine.record(encoded)
        return None if record is None else self._codec.load(encoded, encoded, record)

    def insert(self, key: Any, raw: bool, times: Times, value: NewValue) -> None:
        """Add a row at the end."""
        self._count += 1
        self._put(ORDER.encode(self._count), (raw, key))
        self._store(key, raw, (self._count, times.stored, times.expires, times.tag, *value), times)

    def replace(self, key: Any, raw: bool, old: Row, times: Times, value: NewValue) -> str | None:
        """Put a row in the place of another one. Return the name of the file that the other one had."""
        self._size -= old[SIZE]
        self._volume -= footprint(key, old)
        number = old[ROWID]
        for each in self._indexed(old, times):
            self._delete(each)
        self._store(key, raw, (number, times.stored, times.expires, times.tag, *value), times)
        return old[FILENAME]

    def finish(self, settings: Mapping[str, Any], hits: int, misses: int) -> None:
        """Write what belongs to the whole cache, and commit what has not been committed."""
        for name, value in settings.items():
            self._put(SETTINGS.encode(name), value)
        self._put(TOTALS, (self._count, self._size, self._volume, self._count))
        self._put(INDEXES, (self._has_tags, self._column))
        self._put(HITS, hits)
        self._put(MISSES, misses)
        self._commit()

    def _store(self, key: Any, raw: bool, row: Row, times: Times) -> None:
        self._size += row[SIZE]
        self._volume += footprint(key, row)
        self._put(encode_key(key, raw), row)
        for each, note in self._indexed(row, times).items():
            self._put(each, note)
        self._bytes += footprint(key, row) - row[SIZE]
        if len(self._values) >= _MOST or self._bytes >= _LARGEST:
            self._commit()

    def _indexed(self, row: Row, times: Times) -> dict[bytes, Any]:
        """What the indexes have of a row, and what reads have noted."""
        number = row[ROWID]
        found: dict[bytes, Any] = {}
        if row[EXPIRE_TIME] is not None:
            found[EXPIRY.encode((row[EXPIRE_TIME], number))] = None
        if self._has_tags and indexes.has_tag(row):
            found[indexes.tag_key(row[TAG], number)] = None
        if self._column is not None:
            found |= dict.fromkeys(indexes.policy_keys(self._column, row))
        if self._column == "access_time":
            found[ACCESS_TIMES.encode(str(number))] = times.accessed
        elif self._column == "access_count":
            found[ACCESS_COUNTS.encode(str(number))] = times.accesses
        return found

    def _put(self, key: bytes, value: Any) -> None:
        self._values[key] = value
        self._deletes.discard(key)

    def _delete(self, key: bytes) -> None:
        self._values.pop(key, None)
        self._deletes.add(key)

    def _commit(self) -> None:
        dump = self._codec.dump
        puts = {key: dump(key, key, value) for key, value in self._values.items()}
        self._engine.commit(Batch(puts=puts, deletes=frozenset(self._deletes)))
        self._values.clear()
        self._deletes.clear()
        self._bytes = 0
