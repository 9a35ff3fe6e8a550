"""Lays the rows of the delta over pages of the base, for scans. Most pages pass as they are."""

from __future__ import annotations

from bisect import bisect_left
from operator import itemgetter
from typing import Any

from coshelf.engines.lmdb.delta.delta import is_deletion

__all__ = ["NewerRows"]

_key = itemgetter(0)


class NewerRows:
    """The rows of the delta that a scan has not passed yet.

    Args:
        rows: all rows of the delta by key, in order. A record without a body is a deletion.
        start: the lowest key that the scan includes.
        stop: the lowest key that it does not include.
        reverse: whether the scan goes from the last key to the first.
        keys_only: whether pages have keys instead of rows.
    """

    def __init__(self, rows: dict[bytes, bytes], start: bytes, stop: bytes, *, reverse: bool, keys_only: bool) -> None:
        self._rows = rows
        self._reverse = reverse
        self._keys_only = keys_only
        keys = [key for key in rows if start <= key < stop]
        if not reverse:
            keys.reverse()
        self._left = keys
        """The keys that the scan has not passed. The next one is the last."""

    def over(self, page: list[Any]) -> list[Any]:
        """A page of the base with the rows of the delta. An empty page stands for the end of the base."""
        if not self._left:
            return page
        passed = self._passed(page)
        if not passed:
            return page
        merged = page[::-1] if self._reverse else page.copy()
        for key in passed:
            record = self._rows[key]
            at = bisect_left(merged, key, key=None if self._keys_only else _key)
            is_there = at < len(merged) and (merged[at] if self._keys_only else merged[at][0]) == key
            row: Any = key if self._keys_only else (key, record)
            merged[at : at + is_there] = [] if is_deletion(record) else [row]
        if self._reverse:
            merged.reverse()
        return merged

    def _passed(self, page: list[Any]) -> list[bytes]:
        """The keys up to the end of a page, which the scan passes with it."""
        left = self._left
        if not page:
            self._left = []
            return left
        last = page[-1] if self._keys_only else page[-1][0]
        passed = []
        while left and (left[-1] >= last if self._reverse else left[-1] <= last):
            passed.append(left.pop())
        return passed
