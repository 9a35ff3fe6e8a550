"""Searches keys by prefix, by glob and by range, a page at a time, and no longer than a person waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from coshelf.cli.key_text import read_key
from coshelf.contract import Reader
from coshelf.errors import DamagedRecord
from coshelf.keys import decode
from coshelf.mapping.namespace import Namespace
from coshelf.mapping.selection import Selection, select

__all__ = ["WAYS", "Found", "Search", "search_of"]

WAYS = ("prefix", "glob", "range")
_PATIENCE = 1.5  # seconds after which a page shows what was found so far
_MOST = 100  # keys of a page
_EVERY = 500  # keys after which the time is looked at


@dataclass(frozen=True)
class Found:
    """A page of a search.

    Attributes:
        keys: the bytes of the keys that match.
        onward: where the search goes on; None if nothing is left.
        looked: how many keys were looked at.
    """

    keys: list[bytes]
    onward: bytes | None
    looked: int


@dataclass(frozen=True)
class Search:
    """What is searched: ranges of keys, and perhaps a glob."""

    selection: Selection

    def page(self, reader: Reader, start: bytes | None = None, *, most: int = _MOST) -> Found:
        """The keys that match, from a position on."""
        found: list[bytes] = []
        looked, end = 0, time.monotonic() + _PATIENCE
        for key in self._keys(reader, start):
            if len(found) == most or (looked and not looked % _EVERY and time.monotonic() > end):
                return Found(found, key, looked)
            looked += 1
            if self._matches(key):
                found.append(key)
        return Found(found, None, looked)

    def _keys(self, reader: Reader, start: bytes | None) -> Iterator[bytes]:
        for low, high in self.selection.ranges:
            begin = low if start is None else max(low, start)
            if begin < high:
                for page in reader.key_pages(begin, high):
                    yield from page

    def _matches(self, key: bytes) -> bool:
        if self.selection.glob is None:
            return True
        try:
            return self.selection.glob.matches(decode(key))
        except DamagedRecord:
            return False


def search_of(way: str, text: str, start: str = "", stop: str = "") -> Search:
    """The search for what a person has typed. A text that is a Python literal of a key is that key.

    Raises ValueError and TypeError if it cannot be searched for.
    """
    namespace = Namespace()
    if way == "glob":
        return Search(select(namespace, text or "**"))
    if way == "range":
        return Search(select(namespace, start=_bound(start), stop=_bound(stop)))
    if way != "prefix":
        raise ValueError(f"a search is by one of {', '.join(WAYS)}")
    prefix = read_key(text)
    return Search(select(namespace, prefix=prefix if isinstance(prefix, (str, bytes, tuple)) else text))


def _bound(text: str) -> Any:
    return read_key(text) if text else None
