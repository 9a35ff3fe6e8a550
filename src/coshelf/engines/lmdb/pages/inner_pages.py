"""The inner pages of a file: those that lead to others, and the list of free pages. Found without LMDB.

A few pages in a thousand are inner pages. Damage to them hides or exchanges whole branches, or lets LMDB overwrite
pages in use.
"""

from __future__ import annotations

import struct
import zlib

from coshelf.engines.lmdb.pages.header import Meta
from coshelf.engines.lmdb.pages.layout import (
    BRANCH,
    DEEPEST,
    FIRST_PAGE,
    LEAF,
    NO_PAGE,
    OVERFLOW,
    children,
    kind_of,
    nodes_of,
    number_of,
    overflow_length,
)
from coshelf.native import instead
from coshelf.system.files.positions import read_at

__all__ = ["checksum_of_pages", "inner_checksum"]

_MOST = 4096  # pages that are read


class _Strange(Exception):
    """A page that is not what it should be."""


def inner_checksum(descriptor: int, meta: Meta) -> int | None:
    """The CRC-32 of all inner pages; None if they are too many, or if one of them is not what it should be."""
    reader = _Reader(descriptor, meta)
    try:
        _walk(reader, meta.free_root, meta.free_depth, leaves=True)
        _walk(reader, meta.main_root, meta.main_depth, leaves=False)
    except (_Strange, struct.error):
        return None
    return reader.checksum


def checksum_of_pages(descriptor: int, numbers: list[int], size: int, kind: int, start: int) -> int | None:
    """The CRC-32 of pages, one after another, from ``start`` on. Raises OSError.

    It is None if a page is not whole, has another number, or is of another kind.
    """
    for number in numbers:
        page = read_at(descriptor, size, number * size)
        if len(page) != size or (number_of(page), kind_of(page)) != (number, kind):
            return None
        start = zlib.crc32(page, start)
    return start


_checksum_of = instead("checksum_of_pages", checksum_of_pages)


class _Reader:
    def __init__(self, descriptor: int, meta: Meta) -> None:
        self._descriptor = descriptor
        self._meta = meta
        self._left = _MOST
        self.checksum = 0

    def read(self, number: int, kind: int) -> bytes:
        page = self._pages(number, 1)
        if (number_of(page), kind_of(page)) != (number, kind):
            raise _Strange
        self.checksum = zlib.crc32(page, self.checksum)
        return page

    def add(self, numbers: list[int], kind: int) -> None:
        """Sum pages whose content is not needed. Nearly all inner pages are such pages."""
        self._left -= len(numbers)
        if self._left < 0 or not all(FIRST_PAGE <= number <= self._meta.last_page for number in numbers):
            raise _Strange
        found = _checksum_of(self._descriptor, numbers, self._meta.page_size, kind, self.checksum)
        if found is None:
            raise _Strange
        self.checksum = found

    def read_overflow(self, number: int) -> None:
        """Read the overflow pages of a value. The first one says how many there are."""
        count = overflow_length(self.read(number, OVERFLOW))
        if count > 1:
            self.checksum = zlib.crc32(self._pages(number + 1, count - 1), self.checksum)

    def _pages(self, number: int, count: int) -> bytes:
        self._left -= count
        if self._left < 0 or number < FIRST_PAGE or number + count - 1 > self._meta.last_page:
            raise _Strange
        size = self._meta.page_size
        data = read_at(self._descriptor, count * size, number * size)
        if len(data) != count * size:
            raise _Strange
        return data


def _walk(reader: _Reader, root: int, depth: int, *, leaves: bool) -> None:
    """Read a tree level by level, down to its leaves or to what is above them."""
    if root == NO_PAGE:
        return
    if not 0 < depth <= DEEPEST:
        raise _Strange
    level = [root]
    last = 1 if leaves else 2  # the lowest branches whose children are needed
    for _ in range(depth - last):
        level = [child for number in level for child in children(reader.read(number, BRANCH))]
    if depth > 1 and not leaves:
        reader.add(level, BRANCH)
    if leaves:
        for number in level:
            for node in nodes_of(number, reader.read(number, LEAF)):
                if node is None:
                    raise _Strange
                if node.value is None:
                    reader.read_overflow(node.first)
