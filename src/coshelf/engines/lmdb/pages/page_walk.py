"""Walking over a file's pages without LMDB, which follows whatever it finds in them.

Nothing that a page says is believed before it is looked at: no damage can crash, hang or mislead this. It reads with
plain reads, so what it walks must stay as it is: a closed file, or what a read transaction keeps. docs/format.md says
what lies in the rows, reference is LMDB's own layout of pages. docs/design.md, "Damage", lists what is demanded, and
what of LMDB's source guarantees it: nothing is demanded that LMDB does not keep to.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from coshelf import records
from coshelf.engines.lmdb.pages.header import Counts, Meta

__all__ = ["BRANCH", "LEAF", "OVERFLOW", "Node", "Pages", "TreeWalk", "first_child", "free_pages", "nodes_of"]

BRANCH, LEAF, OVERFLOW = 1, 2, 4
NONE = (1 << 64) - 1
_HEADER = 16
_DEEPEST = 32
_ELSEWHERE = 1  # the value is in overflow pages
_LONGEST_KEY = 511
_CHUNK = 1 << 20
_NO_FILE_IS_LARGER = 1 << 62

# The CRC-32 of anything followed by its own is this constant: records.is_intact, for records read in parts.
_RESIDUE = 0x2144DF1C

_PAGE = struct.Struct("<QHHHH")  # number, padding, flags, lower, upper
_NODE = struct.Struct("<HHHH")  # low and high half of the value's size, flags, length of the key


class Node(NamedTuple):
    """A row in a leaf page.

    Attributes:
        page: where it is.
        key: the row's key.
        size: bytes of its value.
        value: the value, if it is in the page.
        first: the first of the overflow pages that the value is in otherwise.
    """

    page: int
    key: bytes
    size: int
    value: bytes | None
    first: int = 0


class Pages:
    """The pages of a file, read by descriptor."""

    def __init__(self, descriptor: int, page_size: int) -> None:
        self._descriptor = descriptor
        self.size = page_size

    @property
    def status(self) -> os.stat_result:
        """What the system says of the file."""
        return os.fstat(self._descriptor)

    @property
    def length(self) -> int:
        """Bytes of the file."""
        return self.status.st_size

    def read(self, number: int) -> bytes | None:
        """A page; None if the file ends before its end."""
        page = self._read(number * self.size, self.size)
        return page if len(page) == self.size else None

    def _read(self, at: int, size: int) -> bytes:
        """What there is of these bytes: damage may say that they lie where no file has any."""
        return os.pread(self._descriptor, size, at) if size > 0 and at < _NO_FILE_IS_LARGER else b""

    def overflow_pages(self, node: Node) -> int:
        """How many pages the value of a node needs that is not in its leaf. LMDB may have given it more."""
        return (_HEADER + node.size - 1) // self.size + 1

    def value(self, node: Node) -> bytes:
        """The value of a node, or as much of it as there is."""
        if node.value is not None:
            return node.value
        at = node.first * self.size + _HEADER
        # Not more than there can be: as much memory would be taken, and damage may say anything.
        return self._read(at, min(node.size, self.length - at))

    def first_byte(self, node: Node) -> int | None:
        """Of the value of a node; None if there is none."""
        start = node.value if node.value is not None else self._read(node.first * self.size + _HEADER, 1)
        return start[0] if start else None

    def version(self, node: Node) -> int:
        """The number of the commit that wrote the record of a node; anything, if it is none."""
        if node.value is not None:
            return records.version(node.value)
        end = node.first * self.size + _HEADER + node.size
        return records.version(self._read(end - records.TRAILER, records.TRAILER))

    def is_record(self, node: Node, key: bytes) -> bool:
        """Whether the value is a record that was sealed under this key."""
        return node.size > records.TRAILER and self.checksum(node, zlib.crc32(key)) == _RESIDUE

    def checksum(self, node: Node, seed: int) -> int:
        """The CRC-32 of the value, without having all of a large one in memory."""
        if node.value is not None:
            return zlib.crc32(node.value, seed)
        at, end = node.first * self.size + _HEADER, node.first * self.size + _HEADER + node.size
        while at < end:
            some = self._read(at, min(_CHUNK, end - at))
            if not some:
                return ~seed
            seed = zlib.crc32(some, seed)
            at += len(some)
        return seed


class TreeWalk:
    """A walk over one tree of a file.

    ``report`` is told of each page that is not what it should be. What was met is in the attributes:

    Attributes:
        seen: the pages, one byte each, not zero for those that belong to the tree.
        counts: of pages and rows.
        lost: the ranges of rows that lie below pages that could not be followed; None is no bound.
    """

    def __init__(self, pages: Pages, last_page: int, seen: bytearray, report: Callable[[int, str], None]) -> None:
        self._pages = pages
        self._last_page = last_page
        self.report = report
        self.seen = seen
        self._branches = self._leaves = self._overflow = self._rows = 0
        self.lost: list[tuple[bytes, bytes | None]] = []

    @property
    def counts(self) -> Counts:
        return Counts(self._branches, self._leaves, self._overflow, self._rows)

    def leaves(self, root: int, depth: int, *, integers: bool = False) -> Iterator[list[Node]]:
        """The rows of the tree, leaf by leaf, those that can be reached.

        Their keys are in the order of their bytes; ``integers``: they are numbers of 8 bytes, in their own order.
        """
        if root == NONE and depth == 0:
            return
        if not 0 < depth <= _DEEPEST or root == NONE:
            self._lose(root, b"", None, f"is the root of a tree of depth {depth}")
            return
        yield from self._below(root, depth, b"", None, integers)

    def _below(self, number: int, depth: int, low: bytes, high: bytes | None, integers: bool) -> Iterator[list[Node]]:
        page = self._read(number, BRANCH if depth > 1 else LEAF, low, high)
        if page is None:
            return
        if depth == 1:
            yield self._leaf(number, page, low, high, integers)
            return
        self._branches += 1
        below = self._children(number, page, low, high, integers)
        for at, (key, child) in enumerate(below):
            last = at + 1 == len(below)
            yield from self._below(child, depth - 1, key, high if last else below[at + 1][0], integers)

    def _read(self, number: int, kind: int, low: bytes, high: bytes | None) -> bytes | None:
        """A page, if it is one of this kind and in place."""
        page = None
        if not 2 <= number <= self._last_page:
            wrong: str | None = f"is not among the pages 2 to {self._last_page}"
        elif self.seen[number]:
            wrong = "is in use twice"
        else:
            page = self._pages.read(number)
            wrong = self._wrong_with(number, page, kind)
            self.seen[number] = 1
        if wrong is None:
            return page
        self._lose(number, low, high, wrong)
        return None

    def _wrong_with(self, number: int, page: bytes | None, kind: int) -> str | None:
        if page is None:
            return "lies behind the end of the file"
        named, _, flags, lower, upper = _PAGE.unpack_from(page)
        if named != number:
            return f"says that it is page {named}"
        if flags != kind:
            return f"is of kind {flags:#x} instead of {kind:#x}"
        least = _HEADER + (4 if kind == BRANCH else 2)  # LMDB ends the process at a branch page with one child
        if not least <= lower <= upper <= self._pages.size or lower % 2 or upper % 2:
            return f"has rows up to {lower} and from {upper} of {self._pages.size} bytes"
        return None if _is_filled(page, kind, upper) else "has rows that overlap, or gaps between them"

    def _lose(self, number: int, low: bytes, high: bytes | None, message: str) -> None:
        self.report(number, message)
        self.lost.append((low, high))

    def _children(
        self, number: int, page: bytes, low: bytes, high: bytes | None, integers: bool
    ) -> list[tuple[bytes, int]]:
        """Each child with the least key that it may have."""
        found: list[tuple[bytes, int]] = []
        for at, offset in enumerate(_offsets(page)):
            if not _HEADER <= offset <= len(page) - _NODE.size:
                self._lose(number, found[-1][0] if found else low, high, f"has a pointer to byte {offset}")
                continue
            first, second, third, length = _NODE.unpack_from(page, offset)
            key = page[offset + 8 : offset + 8 + length] if at else low
            if len(key) < length and at:
                self._lose(number, found[-1][0] if found else low, high, f"has a key of {length} bytes at {offset}")
                continue
            child = first | second << 16 | third << 32
            if not _is_possible_length(length, integers) and (at or length):  # the first one is not looked at
                self.report(number, f"has a key of {length} bytes at {offset}")
            if at:
                key = _in_order(key, integers)
                if not (found and found[-1][0] < key and (high is None or key < high)):
                    self.report(number, "leads to pages that are not in order")
                    key = found[-1][0] if found else low
            found.append((key, child))
        return found

    def _leaf(self, number: int, page: bytes, low: bytes, high: bytes | None, integers: bool) -> list[Node]:
        self._leaves += 1
        rows: list[Node] = []
        wrong = 0
        before: bytes | None = None
        for node in nodes_of(number, page):
            if node is None:
                wrong += 1
                continue
            key = _in_order(node.key, integers)
            in_order = low <= key if before is None else before < key
            if not in_order or (high is not None and key >= high) or not _is_possible_length(len(key), integers):
                wrong += 1
            before = key
            if node.value is None:
                self._take_overflow(node)
            rows.append(node)
        if wrong:
            self.report(number, f"has {wrong} rows that are not in order or not whole")
            self.lost.append((low, high))
        self._rows += len(rows)
        return rows

    def _take_overflow(self, node: Node) -> None:
        """Look at the pages of a value, of which there may be more than it needs.

        LMDB writes a value that is overwritten in the same transaction into the pages that it has, however few of them
        are still needed.
        """
        needed = self._pages.overflow_pages(node)
        page = self._pages.read(node.first) if 2 <= node.first <= self._last_page else None
        count = needed
        is_first = False
        if page is not None:
            named, _, flags, low, high = _PAGE.unpack_from(page)
            said = low | high << 16
            is_first = (named, flags) == (node.first, OVERFLOW) and said >= needed
            count = said if is_first else needed
        last = node.first + count - 1
        if not (node.first >= 2 and last <= self._last_page):
            self.report(node.page, f"leads to a value in pages {node.first} to {last}")
            return
        if any(self.seen[node.first : last + 1]):
            self.report(node.first, "is in use twice")
        self.seen[node.first : last + 1] = b"\1" * count
        self._overflow += count
        if page is None or (last + 1) * self._pages.size > self._pages.length:
            self.report(node.first, "lies behind the end of the file, or what follows it does")
        elif not is_first:
            self.report(node.first, f"should be the first of {count} pages or more with a value, and is not")


def _in_order(key: bytes, integers: bool) -> bytes:
    """A key, or for a number what has its place in the order of bytes."""
    return key[::-1] if integers else key


def _is_possible_length(length: int, integers: bool) -> bool:
    return length == 8 if integers else 0 < length <= _LONGEST_KEY


def first_child(page: bytes) -> int:
    """The page that a branch page leads to first; anything, if it is none."""
    offset = int.from_bytes(page[16:18], "little")
    return int.from_bytes(page[offset : offset + 6], "little")


def nodes_of(number: int, page: bytes) -> Iterator[Node | None]:
    """The rows of a leaf page; None for one that cannot be."""
    size = len(page)
    largest = _largest_in_leaf(size)
    for offset in _offsets(page):
        if not _HEADER <= offset <= size - _NODE.size:
            yield None
            continue
        low, high, flags, length = _NODE.unpack_from(page, offset)
        value_at = offset + 8 + length
        value_size = low | high << 16
        end = value_at + (8 if flags & _ELSEWHERE else value_size)
        if end > size or flags & ~_ELSEWHERE or not 0 < length <= _LONGEST_KEY:
            yield None
        elif flags:
            first = int.from_bytes(page[value_at : value_at + 8], "little")
            yield Node(number, page[offset + 8 : value_at], value_size, None, first)
        elif end - offset > largest:
            yield None
        else:
            yield Node(number, page[offset + 8 : value_at], value_size, page[value_at:end])


def _largest_in_leaf(size: int) -> int:
    """How many bytes LMDB gives a row in a page at most: two have to fit in. A larger value has pages of its own."""
    return ((size - _HEADER) // 2 & -2) - 2


def _is_filled(page: bytes, kind: int, upper: int) -> bool:
    """Whether the nodes fill the page from ``upper`` on, one behind the other: LMDB moves them as if they did."""
    end, size = upper, len(page)
    for offset in sorted(_offsets(page)):
        if offset != end or offset > size - _NODE.size:
            return False
        low, high, flags, length = _NODE.unpack_from(page, offset)
        value = 0 if kind == BRANCH else 8 if flags & _ELSEWHERE else low | high << 16
        end = offset + 8 + length + value
        end += end & 1
    return end == size


def _offsets(page: bytes) -> tuple[int, ...]:
    """Where the nodes of a page begin."""
    lower = min(int.from_bytes(page[12:14], "little"), len(page))
    return struct.unpack_from(f"<{max(0, lower - _HEADER) // 2}H", page, _HEADER)


def free_pages(walk: TreeWalk, pages: Pages, meta: Meta) -> Iterator[int]:
    """The pages that the list of free pages names; the walk reports what is wrong with the list."""
    before = 0
    for leaf in walk.leaves(meta.free_root, meta.free_depth, integers=True):
        for node in leaf:
            value = pages.value(node)
            count = int.from_bytes(value[:8], "little") if len(value) == node.size >= 8 else -1
            # Of what LMDB reserves for pages that it then uses itself, a whole row may be left over, and stay empty.
            if len(node.key) != 8 or node.size % 8 or (count and (count + 1) * 8 != node.size):
                walk.seen[node.page] = 1
                walk.report(node.page, "is part of the list of free pages and names none")
                continue
            numbers = struct.unpack_from(f"<{count}Q", value, 8)
            commit = int.from_bytes(node.key, "little")
            if not before < commit <= meta.transaction or any(number <= after for number, after in pairwise(numbers)):
                walk.report(node.page, "names free pages of no commit, or out of order")
            before = commit
            yield from numbers
