"""The places of a deque: the keys of its cache, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from coshelf.dropin.diskcache.layout import ENTRIES, PICKLED, Row, encode_key
from coshelf.dropin.diskcache.rows import Rows

__all__ = ["QUEUE", "entries", "in_order", "key_at", "keys_from"]

Range = tuple[bytes, bytes]

_NUMBERS = ENTRIES.ranges[0]
_OTHERS = (*ENTRIES.ranges[1:], PICKLED.ranges[2])
QUEUE: Final = encode_key(0, True) + b"\x00", encode_key(999_999_999_999_999, True)
"""The range of the keys of the queue without a prefix: those of a deque's values."""
_PAGE = 200  # rows that an iterator reads at a time within a transaction
_NEAR = 4  # places from an end to which it is faster to walk
_TRIES = 3  # how often a place is computed anew if other processes write meanwhile


def in_order(reader: Callable[[], Rows], within: Range, *, reverse: bool) -> Iterator[tuple[bytes, Row]]:
    """The keys within a range, and their rows as they are when their turn comes."""
    start, stop = within
    while True:
        rows = reader()
        if rows.has_written:  # looking for a row in what was written takes long
            page = rows.some(start, stop, _PAGE, reverse=reverse)
        else:
            found = rows.last(start, stop) if reverse else rows.first(start, stop)
            page = [] if found is None else [found]
        if not page:
            return
        yield from page
        if reverse:
            stop = page[-1][0]
        else:
            start = page[-1][0] + b"\x00"


def entries(reader: Callable[[], Rows], *, reverse: bool = False) -> Iterator[tuple[bytes, Row]]:
    """All keys, as bytes of the engine, and their rows. What comes meanwhile is among them, if its turn comes yet."""
    for within in (*reversed(_OTHERS), _NUMBERS) if reverse else (_NUMBERS, *_OTHERS):
        yield from in_order(reader, within, reverse=reverse)


def keys_from(reader: Callable[[], Rows], index: int) -> Iterator[bytes]:
    """The key at an index, and then the keys behind it, one of which takes its place if another process removes it.

    Raises:
        IndexError: the deque has fewer values.
    """
    for _ in range(_TRIES):
        rows = reader()
        before = rows.totals()
        place = _place(index, before[0])
        if min(place, before[0] - 1 - place) < _NEAR:
            break
        key = _computed(rows, place, before[0])
        if rows.totals() == before:  # no key has come or gone meanwhile
            if key is not None:
                yield key
            break
    count = reader().totals()[0]
    place = _place(index, count)
    from_end = count - 1 - place
    if place <= from_end:
        found = islice(entries(reader), place, None)
    else:
        found = islice(entries(reader, reverse=True), from_end, None)
    yield from (key for key, _ in found)


def key_at(rows: Rows, index: int) -> bytes:
    """The key at an index, within a transaction. Raises IndexError if the deque has fewer values."""
    return next(keys_from(lambda: rows, index))


def _place(index: int, count: int) -> int:
    place = index if index >= 0 else count + index
    if not 0 <= place < count:
        raise IndexError("deque index out of range")
    return place


def _computed(rows: Rows, place: int, count: int) -> bytes | None:
    """The key at a place, if all keys are numbers without a gap; else None."""
    first, last = rows.first(*QUEUE), rows.last(*QUEUE)
    if first is None or last is None or any(rows.first(*others) is not None for others in _OTHERS):
        return None
    low, high = ENTRIES.decode(first[0]), ENTRIES.decode(last[0])
    return encode_key(low + place, True) if high - low + 1 == count else None
