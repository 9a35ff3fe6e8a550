"""The layout of LMDB's pages: the flags, the fields of the headers, and the nodes in a page.

Only this module knows the layout. It is that of LMDB 0.9 on a little-endian machine of 64 bits (``mdb.c``). The
functions here read what a page says. Their callers decide whether to believe it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

__all__ = [
    "BRANCH",
    "DEEPEST",
    "FIRST_PAGE",
    "HEADER_PAGE",
    "INTEGER_KEYS",
    "IN_OVERFLOW",
    "LEAF",
    "LONGEST_KEY",
    "NO_PAGE",
    "OVERFLOW",
    "PAGE",
    "PAGE_HEADER",
    "PAGE_SIZES",
    "SMALLEST_NODE",
    "Child",
    "Node",
    "child_at",
    "children",
    "first_child",
    "header_page_of",
    "is_filled",
    "kind_of",
    "nodes_of",
    "number_of",
    "offsets",
    "overflow_length",
    "overflow_pages_needed",
]

# --- a page ----------------------------------------------------------------------------------------------------------

PAGE = struct.Struct("<QHHHH")
"""The beginning of each page: its number, padding, its kind, and the bounds of its free space, lower and upper.

The first overflow page of a value has the number of its pages in the place of the bounds.
"""
PAGE_HEADER = PAGE.size
BRANCH, LEAF, OVERFLOW, HEADER_PAGE = 1, 2, 4, 8
"""The kinds. Other bits belong to pages that are being written, and to databases with several values for a key."""

PAGE_SIZES = (4096, 8192, 16384, 32768)
"""The page sizes of existing machines. LMDB takes no larger ones."""
FIRST_PAGE = 2  # behind the two header pages
NO_PAGE = (1 << 64) - 1  # the root of an empty tree
DEEPEST = 32  # the most levels that LMDB's cursors can follow


def number_of(page: bytes) -> int:
    """The number that a page says it has."""
    return int.from_bytes(page[:8], "little")


def kind_of(page: bytes) -> int:
    """The kind that a page says it is of."""
    return int.from_bytes(page[10:12], "little")


def overflow_length(page: bytes) -> int:
    """The number of pages that the first overflow page of a value says there are."""
    return int.from_bytes(page[12:16], "little")


def overflow_pages_needed(size: int, page_size: int) -> int:
    """The number of overflow pages for a value of ``size`` bytes. LMDB may have given it more."""
    return (PAGE_HEADER + size - 1) // page_size + 1


# --- a header page ---------------------------------------------------------------------------------------------------

META = struct.Struct("<IIQ8xI")
"""Magic, version, address of the map, and page size. The field that is passed over is the size of the map."""
META_AT = PAGE_HEADER
MAGIC = 0xBEEFC0DE
DATA_VERSION = 1  # that of LMDB 0.9; a file of 1.0 has its magic in another place

TREE = struct.Struct("<IHHQQQQQ")
"""Size of keys, flags, depth; branch pages, leaf pages, overflow pages, rows; root.

The size of keys in the tree of free pages is the size of a page (it is the last field of ``META``).
"""
FREE_AT = 40
MAIN_AT = FREE_AT + TREE.size
INTEGER_KEYS = 0x08  # the flag of the tree of free pages
FILE_WITHOUT_DIRECTORY = 0x4000  # an option of the whole file, kept among the flags of that tree

TAIL = struct.Struct("<QQ")
"""The last page, and the number of the transaction."""
TAIL_AT = MAIN_AT + TREE.size
HEADER_END = TAIL_AT + TAIL.size

USAGE = struct.Struct("<QQQQQQQ")
"""The counts and the root of the tree of rows, the last page and the transaction, which lie side by side."""
USAGE_AT = MAIN_AT + 8


def header_page_of(transaction: int) -> int:
    """The header page that a transaction writes."""
    return transaction % 2


# --- nodes -----------------------------------------------------------------------------------------------------------

_NODE = struct.Struct("<HHHH")
"""In a leaf: the low and the high half of the value's size, flags, and the length of the key. The key follows, and then
the value, or the number of its first overflow page.

In a branch: the number of the child in three parts, and the length of the key.
"""
SMALLEST_NODE = _NODE.size
IN_OVERFLOW = 1  # the value is in overflow pages
LONGEST_KEY = 511


class Node(NamedTuple):
    """A row in a leaf page.

    Attributes:
        page: the number of the page.
        key: the row's key.
        size: bytes of its value.
        value: the value; None if it is in overflow pages.
        first: the first of these overflow pages.
    """

    page: int
    key: bytes
    size: int
    value: bytes | None
    first: int = 0


class Child(NamedTuple):
    """A node in a branch page.

    Attributes:
        number: the page that it leads to.
        length: bytes that its key should have.
        key: the least key in that page, or as much of it as there is.
    """

    number: int
    length: int
    key: bytes


def offsets(page: bytes) -> tuple[int, ...]:
    """Where the nodes of a page begin."""
    lower = min(int.from_bytes(page[12:14], "little"), len(page))
    return struct.unpack_from(f"<{max(0, lower - PAGE_HEADER) // 2}H", page, PAGE_HEADER)


def nodes_of(number: int, page: bytes) -> Iterator[Node | None]:
    """The rows of a leaf page, whose number is given; None for a row that is not possible."""
    size = len(page)
    largest = _largest_in_leaf(size)
    for offset in offsets(page):
        if not PAGE_HEADER <= offset <= size - SMALLEST_NODE:
            yield None
            continue
        low, high, flags, length = _NODE.unpack_from(page, offset)
        value_at = offset + 8 + length
        value_size = low | high << 16
        end = value_at + (8 if flags & IN_OVERFLOW else value_size)
        if end > size or flags & ~IN_OVERFLOW or not 0 < length <= LONGEST_KEY:
            yield None
        elif flags:
            first = int.from_bytes(page[value_at : value_at + 8], "little")
            yield Node(number, page[offset + 8 : value_at], value_size, None, first)
        elif end - offset > largest:
            yield None
        else:
            yield Node(number, page[offset + 8 : value_at], value_size, page[value_at:end])


def child_at(page: bytes, offset: int) -> Child:
    """The node at this place of a branch page. Raises ``struct.error`` if it is not in the page."""
    first, second, third, length = _NODE.unpack_from(page, offset)
    return Child(first | second << 16 | third << 32, length, page[offset + 8 : offset + 8 + length])


def children(page: bytes) -> list[int]:
    """The pages that a branch page leads to. Raises ``struct.error`` if a node is not in the page."""
    return [child_at(page, offset).number for offset in offsets(page)]


def first_child(page: bytes) -> int:
    """The first page that a branch page leads to; any number if it is not a branch page."""
    offset = int.from_bytes(page[16:18], "little")
    return int.from_bytes(page[offset : offset + 6], "little")


def is_filled(page: bytes, kind: int, upper: int) -> bool:
    """Whether the nodes fill the page from ``upper`` on without gaps. LMDB relies on that when it moves them."""
    end, size = upper, len(page)
    for offset in sorted(offsets(page)):
        if offset != end or offset > size - SMALLEST_NODE:
            return False
        low, high, flags, length = _NODE.unpack_from(page, offset)
        value = 0 if kind == BRANCH else 8 if flags & IN_OVERFLOW else low | high << 16
        end = offset + 8 + length + value
        end += end & 1
    return end == size


def _largest_in_leaf(page_size: int) -> int:
    """The largest row in a leaf, in bytes: two rows must fit in a page. A larger value has pages of its own."""
    return ((page_size - PAGE_HEADER) // 2 & -2) - 2
