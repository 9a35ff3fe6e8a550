"""Walks over the trees of a file without LMDB, which follows pages without checking them.

The walk checks everything in a page before it uses it. So no damage can crash, hang or mislead it. It uses plain reads,
so the pages must not change meanwhile. The pages of a closed file do not change, nor do those that a read transaction
keeps. docs/design.md, "Damage", lists what the walk demands of a page, and what in LMDB's source guarantees it. LMDB
always meets these demands.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import pairwise

from coshelf.engines.lmdb.pages.header import Counts, Meta
from coshelf.engines.lmdb.pages.layout import (
    BRANCH,
    DEEPEST,
    FIRST_PAGE,
    LEAF,
    LONGEST_KEY,
    NO_PAGE,
    OVERFLOW,
    PAGE,
    PAGE_HEADER,
    SMALLEST_NODE,
    Node,
    child_at,
    is_filled,
    kind_of,
    nodes_of,
    number_of,
    offsets,
    overflow_length,
    overflow_pages_needed,
)
from coshelf.engines.lmdb.pages.reading import Pages

__all__ = ["TreeWalk", "free_pages"]


class TreeWalk:
    """A walk over one tree of a file.

    The walk calls ``report`` for each page that is not what it should be.

    Attributes:
        seen: one byte for each page, not zero if the page belongs to the tree.
        counts: the counts of pages and rows.
        lost: the ranges of rows below pages that could not be followed; None as the end means "no bound".
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
        """The rows of the tree that can be reached, leaf by leaf.

        Keys are in the order of their bytes. With ``integers`` the keys are numbers of 8 bytes, in numeric order.
        """
        if root == NO_PAGE and depth == 0:
            return
        if not 0 < depth <= DEEPEST or root == NO_PAGE:
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
        if not FIRST_PAGE <= number <= self._last_page:
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
        named, _, flags, lower, upper = PAGE.unpack_from(page)
        if named != number:
            return f"says that it is page {named}"
        if flags != kind:
            return f"is of kind {flags:#x} instead of {kind:#x}"
        least = PAGE_HEADER + (4 if kind == BRANCH else 2)  # LMDB ends the process at a branch page with one child
        if not least <= lower <= upper <= self._pages.size or lower % 2 or upper % 2:
            return f"has rows up to {lower} and from {upper} of {self._pages.size} bytes"
        return None if is_filled(page, kind, upper) else "has rows that overlap, or gaps between them"

    def _lose(self, number: int, low: bytes, high: bytes | None, message: str) -> None:
        self.report(number, message)
        self.lost.append((low, high))

    def _children(
        self, number: int, page: bytes, low: bytes, high: bytes | None, integers: bool
    ) -> list[tuple[bytes, int]]:
        """Each child with the least key that it may have."""
        found: list[tuple[bytes, int]] = []
        for at, offset in enumerate(offsets(page)):
            if not PAGE_HEADER <= offset <= len(page) - SMALLEST_NODE:
                self._lose(number, found[-1][0] if found else low, high, f"has a pointer to byte {offset}")
                continue
            child, length, key = child_at(page, offset)
            if not at:  # LMDB does not look at the first key
                key = low
            if len(key) < length and at:
                self._lose(number, found[-1][0] if found else low, high, f"has a key of {length} bytes at {offset}")
                continue
            if not _is_possible_length(length, integers) and (at or length):
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
            key = node.key
            is_possible = True  # nodes_of() has checked the length of other keys
            if integers:
                key, is_possible = _in_order(key, integers), _is_possible_length(len(key), integers)
            in_order = low <= key if before is None else before < key
            if not in_order or not is_possible or (high is not None and key >= high):
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
        """Check the pages of a value. There may be more pages than the value needs.

        If a transaction overwrites a value twice, LMDB writes the new value into the pages that it has, even if fewer
        are needed.
        """
        needed = overflow_pages_needed(node.size, self._pages.size)
        page = self._pages.read(node.first) if FIRST_PAGE <= node.first <= self._last_page else None
        count = needed
        is_first = False
        if page is not None:
            said = overflow_length(page)
            is_first = (number_of(page), kind_of(page)) == (node.first, OVERFLOW) and said >= needed
            count = said if is_first else needed
        last = node.first + count - 1
        if not (node.first >= FIRST_PAGE and last <= self._last_page):
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
    """A key as bytes that sort like the key. LMDB stores a number with its lowest byte first."""
    return key[::-1] if integers else key


def _is_possible_length(length: int, integers: bool) -> bool:
    return length == 8 if integers else 0 < length <= LONGEST_KEY


def free_pages(walk: TreeWalk, pages: Pages, meta: Meta) -> Iterator[int]:
    """The pages that the list of free pages names; the walk reports what is wrong with the list."""
    before = 0
    for leaf in walk.leaves(meta.free_root, meta.free_depth, integers=True):
        for node in leaf:
            value = pages.value(node)
            count = int.from_bytes(value[:8], "little") if len(value) == node.size >= 8 else -1
            # LMDB reserves rows for pages that it then uses itself. So a whole row may be left over, and stay empty.
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
