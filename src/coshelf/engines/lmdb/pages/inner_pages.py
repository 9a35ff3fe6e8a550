"""The inner pages of a file: those that lead to others, and the list of free pages. Found without LMDB.

They are some pages in a thousand. Damage there hides or exchanges whole branches, or has pages in use overwritten.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator

from coshelf.engines.lmdb.pages.header import Meta

__all__ = ["HEADER", "children", "inner_checksum", "nodes", "overflow"]

HEADER = 16  # of a page: its number (8), padding (2), flags (2), and two offsets (2 each) or a count of pages (4)
_BRANCH = 1
_LEAF = 2
_OVERFLOW = 4
_ELSEWHERE = 1  # of a node: its value is in overflow pages
_MOST = 4096
_DEEPEST = 32
_NONE = (1 << 64) - 1

_Page = bytes


class _Strange(Exception):
    """A page that is not what it should be."""


def inner_checksum(descriptor: int, meta: Meta) -> int | None:
    """The CRC-32 of all inner pages; None if they are too many, or one of them is no such page."""
    reader = _Reader(descriptor, meta)
    try:
        _walk(reader, meta.free_root, meta.free_depth, leaves=True)
        _walk(reader, meta.main_root, meta.main_depth, leaves=False)
    except (_Strange, struct.error):
        return None
    return reader.checksum


class _Reader:
    def __init__(self, descriptor: int, meta: Meta) -> None:
        self._descriptor = descriptor
        self._meta = meta
        self._left = _MOST
        self.checksum = 0

    def read(self, number: int, flags: int) -> _Page:
        page = self._pages(number, 1)
        if int.from_bytes(page[:8], "little") != number or page[10] & 0x2F != flags:
            raise _Strange
        self.checksum = zlib.crc32(page, self.checksum)
        return page

    def read_overflow(self, number: int) -> None:
        """The first page of a value says how many it has."""
        count = struct.unpack_from("<I", self.read(number, _OVERFLOW), 12)[0]
        if count > 1:
            self.checksum = zlib.crc32(self._pages(number + 1, count - 1), self.checksum)

    def _pages(self, number: int, count: int) -> bytes:
        self._left -= count
        if self._left < 0 or number < 2 or number + count - 1 > self._meta.last_page:
            raise _Strange
        size = self._meta.page_size
        data = os.pread(self._descriptor, count * size, number * size)
        if len(data) != count * size:
            raise _Strange
        return data


def _walk(reader: _Reader, root: int, depth: int, *, leaves: bool) -> None:
    """Read a tree level by level, down to its leaves or to what is above them."""
    if root == _NONE:
        return
    if not 0 < depth <= _DEEPEST:
        raise _Strange
    level = [root]
    for height in range(depth - 1, 0, -1):
        below: list[int] = []
        for number in level:
            page = reader.read(number, _BRANCH)
            if height > 1 or leaves:
                below.extend(children(page))
        level = below
    if leaves:
        for number in level:
            page = reader.read(number, _LEAF)
            for node in nodes(page):
                overflowing = overflow(page, node)
                if overflowing is not None:
                    reader.read_overflow(overflowing)


def nodes(page: _Page) -> tuple[int, ...]:
    """Where in a page its nodes are."""
    lower = struct.unpack_from("<H", page, 12)[0]
    return struct.unpack_from(f"<{max(0, lower - HEADER) // 2}H", page, HEADER)


def children(page: _Page) -> Iterator[int]:
    """The pages that a branch page leads to."""
    for node in nodes(page):
        low, high, highest = struct.unpack_from("<HHH", page, node)
        yield low | high << 16 | highest << 32


def overflow(page: _Page, node: int) -> int | None:
    """The first page of a value that is not in its leaf."""
    flags, key = struct.unpack_from("<HH", page, node + 4)
    if not flags & _ELSEWHERE:
        return None
    number: int = struct.unpack_from("<Q", page, node + 8 + key)[0]
    return number
