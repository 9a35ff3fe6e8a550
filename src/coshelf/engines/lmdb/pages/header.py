"""The two header pages of a file, read and compared before LMDB maps it.

LMDB must never map a file that is not a shelf, or that is cut short. If a file is shorter than its header says, reading
it through the map ends the process with SIGBUS.

LMDB takes the greater of the two transaction numbers, and then the header page for the parity of this number. It uses
the roots of that header alone. Of the other header it uses only the number, and its next transaction overwrites it.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from coshelf.engines.lmdb.pages.layout import (
    DATA_VERSION,
    FREE_AT,
    HEADER_END,
    HEADER_PAGE,
    MAGIC,
    MAIN_AT,
    META,
    META_AT,
    PAGE_SIZES,
    TAIL,
    TAIL_AT,
    TREE,
    header_page_of,
    kind_of,
    number_of,
)
from coshelf.errors import DamagedShelf, FormatTooNew, NotAShelf
from coshelf.system.files.positions import read_at

__all__ = [
    "Counts",
    "Meta",
    "check_header",
    "in_order",
    "may_be_begun",
    "missing_bytes",
    "newest_of",
    "newest_transaction",
    "read_metas",
    "wrong_with",
]

_LARGEST = 1 << 62  # a transaction number that counting never reaches
_KINDS = (
    (b"SQLite format 3\0", "a SQLite database"),
    (b"\x80", "a pickle"),  # protocol 2 or later begins so
    (b"\xcf\x9a\x57\x13", "a gdbm file"),
    (b"\xce\x9a\x57\x13", "a gdbm file"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"PK\x03\x04", "a zip file"),
    (b"PAR1", "a Parquet file"),
)
"""What files are whose first bytes are these."""


class Counts(NamedTuple):
    """The counts of a tree's pages and rows, as its root says."""

    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    rows: int


class Meta(NamedTuple):
    """One of the two header pages. ``place`` is where it was found; the other fields are what it says."""

    page_size: int
    last_page: int
    transaction: int
    free_depth: int
    free_root: int
    main_depth: int
    main_root: int
    free_counts: Counts
    main_counts: Counts
    free_flags: int
    main_flags: int
    place: int
    number: int
    kind: int
    address: int
    key_size: int


def may_be_begun(descriptor: int) -> bool:
    """Whether a file is an LMDB file, or one that was begun and has no content yet because its maker died."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return False
    head = read_at(descriptor, HEADER_END, 0)
    return not head.strip(b"\0") or META.unpack_from(head.ljust(HEADER_END, b"\0"), META_AT)[0] == MAGIC


def _kind(descriptor: int) -> str:
    """What a file is that is not an LMDB file, as its first bytes say."""
    head = read_at(descriptor, 16, 0)
    return next((kind for beginning, kind in _KINDS if head.startswith(beginning)), "a file of another kind")


def check_header(descriptor: int, path: str) -> None:
    """Raise unless the file is an LMDB 0.9 file."""
    metas = read_metas(descriptor, path)
    size = os.fstat(descriptor).st_size  # after the pages: a commit in between makes the file larger, never smaller
    if size == 0:
        raise NotAShelf(
            f"{path} is an empty file, not a shelf\n"
            "  hint: delete it if no program needs it; then a shelf can be made there"
        )
    if not metas:
        raise NotAShelf(
            f"{path} is {_kind(descriptor)}, not a shelf ({size:,} bytes); it has not been changed\n"
            "  hint: choose another path for the shelf; `coshelf import OLD NEW` reads stores of shelve, dbm, "
            "pickleshare, sqlitedict and diskcache"
        )
    if len(metas) < 2:
        raise DamagedShelf(f"{path} is damaged: one of its two header pages is missing or overwritten ({size} bytes)")


def wrong_with(metas: list[Meta]) -> str | None:
    """Why LMDB would read other pages than those of the newest header, or other pages than coshelf; None if not.

    The caller is alone with the file, or has just made it: the two headers are not read in one step.
    """
    if len(metas) < 2:
        return "one of its two header pages is missing or overwritten"
    older, newer = in_order(metas)
    if older.page_size != newer.page_size:
        return f"its headers name pages of {older.page_size} and of {newer.page_size} bytes"
    for meta in metas:
        if (meta.number, meta.kind) != (meta.place, HEADER_PAGE):
            return f"header page {meta.place} says that it is page {meta.number} of kind {meta.kind:#x}"
        if meta.address:
            return f"header page {meta.place} names an address in memory"
        if meta.key_size:
            return f"header page {meta.place} names keys of {meta.key_size} bytes each"
    if newer.transaction == older.transaction == 0:  # a file without commits
        return None
    if newer.transaction != older.transaction + 1 or newer.transaction > _LARGEST:
        return f"its headers are of transactions {older.transaction} and {newer.transaction}, which are not successive"
    if header_page_of(newer.transaction) != newer.place:
        return f"the header of transaction {newer.transaction} is in page {newer.place}, where the older one belongs"
    return None


def missing_bytes(descriptor: int, path: str, metas: list[Meta] | None = None) -> int:
    """By how much the file is shorter than the pages that its header counts. ``metas`` are its headers, if known."""
    newest = newest_of(metas or read_metas(descriptor, path))
    return max(0, (newest.last_page + 1) * newest.page_size - os.fstat(descriptor).st_size)


def newest_transaction(descriptor: int, path: str) -> int:
    """The number of the last LMDB transaction, read from the file and not from the map."""
    metas = read_metas(descriptor, path)
    if not metas:
        raise DamagedShelf(f"{path} is damaged: its header pages were overwritten while it was open")
    return newest_of(metas).transaction


def in_order(metas: list[Meta]) -> list[Meta]:
    """The older header and the newer one."""
    return sorted(metas, key=lambda meta: meta.transaction)


def newest_of(metas: list[Meta]) -> Meta:
    """The header of the last transaction."""
    return max(metas, key=lambda meta: meta.transaction)


def read_metas(descriptor: int, path: str) -> list[Meta]:
    """The header pages, as many as there are: two in a whole file."""
    first = _read_meta(descriptor, 0, path)
    # Without the first page the size of a page is not known; nearly every machine has the smallest one.
    second = _read_meta(descriptor, first.page_size if first else PAGE_SIZES[0], path, place=1)
    return [meta for meta in (first, second) if meta is not None]


def _read_meta(descriptor: int, at: int, path: str, place: int = 0) -> Meta | None:
    page = read_at(descriptor, HEADER_END, at)
    if len(page) < HEADER_END:
        return None
    magic, version, address, page_size = META.unpack_from(page, META_AT)
    if magic != MAGIC:
        return None
    if version != DATA_VERSION:
        raise FormatTooNew(f"{path} has LMDB data format {version}; this version of coshelf reads {DATA_VERSION}")
    if page_size not in PAGE_SIZES:
        return None
    last_page, transaction = TAIL.unpack_from(page, TAIL_AT)
    _, free_flags, free_depth, *free_counts, free_root = TREE.unpack_from(page, FREE_AT)
    key_size, main_flags, main_depth, *main_counts, main_root = TREE.unpack_from(page, MAIN_AT)
    return Meta(
        page_size, last_page, transaction, free_depth, free_root, main_depth, main_root,
        Counts(*free_counts), Counts(*main_counts), free_flags, main_flags, place,
        number_of(page), kind_of(page), address, key_size,
    )  # fmt: skip
