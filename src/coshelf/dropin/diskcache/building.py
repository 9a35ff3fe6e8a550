"""Building and dropping indexes: in one transaction, together with the note that they exist."""

from __future__ import annotations

from coshelf.dropin.diskcache import indexes
from coshelf.dropin.diskcache.indexes import Indexes
from coshelf.dropin.diskcache.layout import ACCESS_COUNTS, ACCESS_TIMES, HINTS, INDEXES, POLICY, ROWID, TAG, TAGS
from coshelf.dropin.diskcache.policies import Column
from coshelf.dropin.diskcache.rows import Rows
from coshelf.dropin.diskcache.walking import every_row

__all__ = ["settle", "settle_policy", "settle_tags"]

_OF_POLICY = (POLICY, HINTS, ACCESS_TIMES, ACCESS_COUNTS)


def settle(rows: Rows, wanted: Indexes) -> None:
    """Have the indexes that are wanted, and no others."""
    settle_tags(rows, wanted[0])
    settle_policy(rows, wanted[1])


def settle_tags(rows: Rows, wanted: bool) -> None:
    """Build the index of tags, or drop it."""
    has_tags, column = indexes.existing(rows)
    if has_tags == wanted:
        return
    rows.put(INDEXES, (wanted, column))
    if not wanted:
        _clear(rows, TAGS.ranges)
        return
    keys = [indexes.tag_key(row[TAG], row[ROWID]) for _, _, row in every_row(rows) if indexes.has_tag(row)]
    for key in sorted(keys):
        rows.put(key, None)


def settle_policy(rows: Rows, wanted: Column | None) -> None:
    """Build the index of a policy's column, in the place of another one, or drop it. What reads noted is forgotten."""
    has_tags, column = indexes.existing(rows)
    if column == wanted:
        return
    rows.put(INDEXES, (has_tags, wanted))
    if column is not None:
        for namespace in _OF_POLICY:
            _clear(rows, namespace.ranges)
    if wanted is None:
        return
    values = {key: indexes.note(wanted) for _, _, row in every_row(rows) for key in indexes.policy_keys(wanted, row)}
    for key in sorted(values):
        rows.put(key, values[key])


def _clear(rows: Rows, ranges: tuple[tuple[bytes, bytes], ...]) -> None:
    for start, stop in ranges:
        for key in rows.keys(start, stop):
            rows.delete(key)
