"""The keys of a cache: in the order of insertion, and in the order of SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge
from operator import itemgetter
from typing import Any

from coshelf.dropin.diskcache.layout import ENTRIES, PICKLED, ROWID
from coshelf.dropin.diskcache.rows import Rows

__all__ = ["Stored", "in_order_of_insertion", "in_order_of_keys"]

_PAGE = 100  # rows that an iterator reads at a time

Stored = tuple[Any, bool]
"""A key as :meth:`Disk.put` returns it."""
Range = tuple[bytes, bytes]


def in_order_of_insertion(reader: Callable[[], Rows], last: int, *, reverse: bool) -> Iterator[Stored]:
    """The keys of the rows up to a number, in the order in which they were inserted.

    Args:
        reader: gives what is read from, for each page anew.
        last: the number of the last row. Rows that are inserted later have greater ones.
        reverse: from the last one to the first.
    """
    low, high = 1, last
    while True:
        page = reader().numbered(low, high, _PAGE, reverse=reverse)
        for _, raw, key in page:
            yield key, raw
        if len(page) < _PAGE:
            return
        if reverse:
            high = page[-1][0] - 1
        else:
            low = page[-1][0] + 1


def in_order_of_keys(reader: Callable[[], Rows], *, reverse: bool) -> Iterator[Stored]:
    """The keys in order: numbers, then str, then bytes and the pickles of other keys together."""
    numbers, texts, binaries = ENTRIES.ranges
    pickles = PICKLED.ranges[2]
    parts: list[Iterator[Stored]] = [
        _numbers(reader, numbers, reverse=reverse),
        _within(reader, ENTRIES.decode, texts, True, reverse=reverse),
        merge(
            _within(reader, ENTRIES.decode, binaries, True, reverse=reverse),
            _within(reader, PICKLED.decode, pickles, False, reverse=reverse),
            key=itemgetter(0),
            reverse=reverse,
        ),
    ]
    for part in reversed(parts) if reverse else parts:
        yield from part


def _rows(reader: Callable[[], Rows], within: Range, *, reverse: bool) -> Iterator[tuple[bytes, Any]]:
    start, stop = within
    while True:
        page = reader().some(start, stop, _PAGE, reverse=reverse)
        yield from page
        if len(page) < _PAGE:
            return
        if reverse:
            stop = page[-1][0]
        else:
            start = page[-1][0] + b"\x00"


def _within(
    reader: Callable[[], Rows], decode: Callable[[bytes], Any], within: Range, raw: bool, *, reverse: bool
) -> Iterator[Stored]:
    return ((decode(encoded), raw) for encoded, _ in _rows(reader, within, reverse=reverse))


def _numbers(reader: Callable[[], Rows], within: Range, *, reverse: bool) -> Iterator[Stored]:
    """The numbers, as they were first written: 1 and 1.0 are one key."""
    for encoded, row in _rows(reader, within, reverse=reverse):
        found = reader().key_of(row[ROWID])
        yield (ENTRIES.decode(encoded) if found is None else found[1]), True
