"""The indexes of a cache: by time, by tag, and by what the policy orders by. Each row has its keys in those that exist.

The index of the policy is quick for reads: they only note the time, or count, and leave the key of the row where it is.
So a key stands for *at least* what it begins with. :mod:`coshelf.dropin.diskcache.eviction` corrects it.
"""

from __future__ import annotations

from typing import Any

from coshelf.dropin.diskcache.layout import (
    ACCESS_COUNTS,
    ACCESS_TIMES,
    EXPIRE_TIME,
    EXPIRY,
    HINTS,
    INDEXES,
    POLICY,
    ROWID,
    STORE_TIME,
    TAG,
    TAGS,
    Row,
)
from coshelf.dropin.diskcache.policies import Column
from coshelf.dropin.diskcache.writing import Writing

__all__ = [
    "NO_INDEXES",
    "Indexes",
    "add",
    "change",
    "drop",
    "existing",
    "has_tag",
    "is_same",
    "key_in_policy",
    "note",
    "policy_keys",
    "standing",
    "tag_key",
]

Indexes = tuple[bool, Column | None]
"""Whether there is an index of tags, and the column by which the index of the policy orders."""
NO_INDEXES: Indexes = (False, None)


def existing(writing: Writing) -> Indexes:
    """The indexes that the cache has."""
    found: Indexes | None = writing.get(INDEXES)
    return NO_INDEXES if found is None else found


def is_same(indexes: Indexes, old: Row, new: Row) -> bool:
    """Whether a row that is stored over another one has the same keys in the indexes."""
    return old[EXPIRE_TIME] == new[EXPIRE_TIME] and (not indexes[0] or old[TAG] == new[TAG]) and indexes[1] is None


def add(writing: Writing, indexes: Indexes, row: Row) -> None:
    """Add the keys of a row that has just been stored."""
    _add_time_and_tag(writing, indexes, row)
    column = indexes[1]
    if column is not None:
        for key in policy_keys(column, row):
            writing.put(key, note(column))


def note(column: Column) -> int | None:
    """What the keys of :func:`policy_keys` lead to."""
    return 0 if column == "access_count" else None


def policy_keys(column: Column, row: Row) -> list[bytes]:
    """The keys for the policy that a row has when it has just been stored. The first is that in the index."""
    rowid = row[ROWID]
    if column == "access_count":
        return [POLICY.encode((0, rowid)), ACCESS_COUNTS.encode(str(rowid))]
    return [POLICY.encode((row[STORE_TIME], rowid))]


def drop(writing: Writing, indexes: Indexes, row: Row) -> None:
    """Remove the keys of a row."""
    _drop_time_and_tag(writing, indexes, row)
    column = indexes[1]
    if column is not None:
        rowid = row[ROWID]
        writing.delete(key_in_policy(writing, column, rowid, row[STORE_TIME]))
        if column != "store_time":
            notes = ACCESS_TIMES if column == "access_time" else ACCESS_COUNTS
            for key in (HINTS.encode(rowid), notes.encode(str(rowid))):
                if writing.get(key) is not None:
                    writing.delete(key)


def change(writing: Writing, indexes: Indexes, old: Row, new: Row) -> None:
    """Change the keys of a row whose value or time was changed. It is not stored anew: its reads stay counted."""
    if old[EXPIRE_TIME] != new[EXPIRE_TIME] or old[TAG] != new[TAG]:
        _drop_time_and_tag(writing, indexes, old)
        _add_time_and_tag(writing, indexes, new)
    column = indexes[1]
    if column is None or old[STORE_TIME] == new[STORE_TIME]:
        return
    if column == "access_count":
        key = ACCESS_COUNTS.encode(str(new[ROWID]))
        writing.put(key, (writing.get(key) or 0) + 1)
        return
    drop(writing, (False, column), old)
    add(writing, (False, column), new)


def key_in_policy(writing: Writing, column: Column, rowid: int, store_time: float) -> bytes:
    """The key of a row in the index of the policy."""
    hint = None if column == "store_time" else writing.get(HINTS.encode(rowid))
    if hint is None:
        hint = 0 if column == "access_count" else store_time
    return POLICY.encode((hint, rowid))


def standing(writing: Writing, column: Column, rowid: int, store_time: float) -> float:
    """What a row is ordered by now."""
    if column == "access_count":
        return writing.get(ACCESS_COUNTS.encode(str(rowid))) or 0
    if column == "store_time":
        return store_time
    return max(store_time, writing.get(ACCESS_TIMES.encode(str(rowid))) or 0)


def tag_key(tag: Any, rowid: int) -> bytes:
    """The key of a row in the index of tags. Equal numbers are one tag."""
    return TAGS.encode((int(tag) if isinstance(tag, bool) else tag, rowid))


def has_tag(row: Row) -> bool:
    """Whether a row has a key in the index of tags, if that exists."""
    tag = row[TAG]
    return tag is not None and tag == tag  # noqa: PLR0124 (NaN equals no tag)


def _add_time_and_tag(writing: Writing, indexes: Indexes, row: Row) -> None:
    if row[EXPIRE_TIME] is not None:
        writing.put(EXPIRY.encode((row[EXPIRE_TIME], row[ROWID])), None)
    if indexes[0] and has_tag(row):
        writing.put(tag_key(row[TAG], row[ROWID]), None)


def _drop_time_and_tag(writing: Writing, indexes: Indexes, row: Row) -> None:
    if row[EXPIRE_TIME] is not None:
        writing.delete(EXPIRY.encode((row[EXPIRE_TIME], row[ROWID])))
    if indexes[0] and has_tag(row):
        writing.delete(tag_key(row[TAG], row[ROWID]))
