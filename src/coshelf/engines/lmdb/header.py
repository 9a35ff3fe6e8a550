"""Looking at a file before LMDB maps it: what is no shelf, or is cut short, must never reach the map.

A file that is shorter than its pages say is a SIGBUS in LMDB, not an error. So the two meta pages are read here with
plain reads and compared with the size of the file.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import NamedTuple

from coshelf.errors import DamagedShelf, FormatTooNew, NotAShelf

__all__ = ["Counts", "Meta", "check_header", "may_be_begun", "missing_bytes", "newest_transaction", "read_metas"]

_MAGIC = 0xBEEFC0DE
_DATA_VERSION = 1  # of LMDB 0.9; a file of 1.0 has even its magic elsewhere
_META = struct.Struct("<II8x8xI")  # magic, version, (address, map size), page size; from byte 16 of a page
_TREE = struct.Struct(
    "<4xHHQQQQQ"
)  # flags, depth, counts, root; of the free pages from byte 40, of the rows from byte 88
_TAIL = struct.Struct("<QQ")  # last page, transaction; from byte 136
_META_AT = 16
_FREE_AT = 40
_MAIN_AT = 88
_TAIL_AT = 136
_NEEDED = 152


class Counts(NamedTuple):
    """What a tree has, as its root says."""

    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    rows: int


class Meta(NamedTuple):
    """One of the two meta pages."""

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


def may_be_begun(descriptor: int) -> bool:
    """Whether a file is an LMDB file, or one of which a process or the power left nothing when it was begun."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return False
    head = os.pread(descriptor, _NEEDED, 0)
    return not head.strip(b"\0") or _META.unpack_from(head.ljust(_NEEDED, b"\0"), _META_AT)[0] == _MAGIC


def check_header(descriptor: int, path: str) -> None:
    """Raise unless the file is an LMDB 0.9 file."""
    metas = read_metas(descriptor, path)
    size = os.fstat(descriptor).st_size  # after the pages: a commit in between makes the file larger, never smaller
    if size == 0:
        raise NotAShelf(f"{path} is an empty file, not a shelf\n  hint: delete it if it is not needed")
    if not metas:
        raise NotAShelf(f"{path} is a file of another kind, not a shelf ({size} bytes); it has not been changed")
    if len(metas) < 2:
        raise DamagedShelf(f"{path} is damaged: one of its two header pages is missing or overwritten ({size} bytes)")


def missing_bytes(descriptor: int, path: str) -> int:
    """By how much the file is shorter than the pages that its header counts."""
    newest = max(read_metas(descriptor, path), key=lambda meta: meta.transaction)
    return max(0, (newest.last_page + 1) * newest.page_size - os.fstat(descriptor).st_size)


def newest_transaction(descriptor: int, path: str) -> int:
    """The number of the last LMDB transaction, read past the map."""
    metas = read_metas(descriptor, path)
    if not metas:
        raise DamagedShelf(f"{path} is damaged: its header pages were overwritten while it was open")
    return max(meta.transaction for meta in metas)


def read_metas(descriptor: int, path: str) -> list[Meta]:
    """The header pages, without those that are none."""
    first = _read_meta(descriptor, 0, path)
    # Without the first page the size of a page is not known; 4096 is what nearly every machine has.
    second = _read_meta(descriptor, first.page_size if first else 4096, path)
    return [meta for meta in (first, second) if meta is not None]


def _read_meta(descriptor: int, at: int, path: str) -> Meta | None:
    page = os.pread(descriptor, _NEEDED, at)
    if len(page) < _NEEDED:
        return None
    magic, version, page_size = _META.unpack_from(page, _META_AT)
    if magic != _MAGIC:
        return None
    if version != _DATA_VERSION:
        raise FormatTooNew(f"{path} has LMDB data format {version}; this version of coshelf reads {_DATA_VERSION}")
    if page_size < 512 or page_size > 65536 or page_size & (page_size - 1):
        return None
    last_page, transaction = _TAIL.unpack_from(page, _TAIL_AT)
    free_flags, free_depth, *free_counts, free_root = _TREE.unpack_from(page, _FREE_AT)
    main_flags, main_depth, *main_counts, main_root = _TREE.unpack_from(page, _MAIN_AT)
    return Meta(
        page_size, last_page, transaction, free_depth, free_root, main_depth, main_root,
        Counts(*free_counts), Counts(*main_counts), free_flags, main_flags,
    )  # fmt: skip
