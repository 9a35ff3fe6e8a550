"""The closing stamp: checksums of the pages of a closed shelf, in a header page of its own file.

LMDB's pages have no checksums, and LMDB follows what it finds in them. So a flipped bit can hide entries or crash the
process, and a page with an older state of its content looks right. Therefore the last closer writes checksums of the
pages. The next opener compares them before LMDB maps the file, while no other process has it open. docs/format.md, "The
closing stamp".
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple

from coshelf.engines.lmdb.pages.header import Meta
from coshelf.engines.lmdb.pages.inner_pages import inner_checksum
from coshelf.engines.lmdb.pages.layout import FIRST_PAGE, header_page_of
from coshelf.native import instead
from coshelf.system.files.positions import read_at, read_into, write_at

__all__ = [
    "ALL",
    "INNER",
    "Changes",
    "Stamp",
    "changes_since_closing",
    "is_stamped_header",
    "make_stamp",
    "page_checksums",
    "read_stamp",
    "write_stamp",
]

ALL = 1
INNER = 2

# Up to this size the stamp has a checksum of each page. That takes at most 2 ms at opening and at closing. One checksum
# of several pages would not do: a power cut changes free pages. For a larger file, the stamp has one checksum of the
# pages that lead to others.
LARGEST = 3_500_000

_MAGIC = b"coshelf\2"
_LAYOUT = struct.Struct("<8sQQQIII")
_CHECKSUM = struct.Struct("<I")
# Where the stamp begins in its header page: behind the part that LMDB uses, and in other sectors. So a torn write of
# the stamp cannot damage that part.
AT = 512
_CHUNK = 1 << 17  # bytes, few enough to stay in the processor's cache until they are summed


class Stamp(NamedTuple):
    """The state of a shelf when it was closed.

    Attributes:
        transaction: the newest LMDB transaction.
        last_page: the number of the last page that it counts.
        older_root: the root page of the transaction before.
        kind: ALL pages are summed, or INNER ones.
        has_damage: whether records are known to be damaged.
        checksums: first the one of the newer header; then those of all pages behind the headers, or one for all inner
            pages.
    """

    transaction: int
    last_page: int
    older_root: int
    kind: int
    has_damage: bool
    checksums: tuple[int, ...]


@dataclass(slots=True)
class Changes:
    """How the file differs from what its stamp says.

    Attributes:
        is_older: whether the headers are of a transaction before the stamped one. Nothing else is compared then.
        header: whether the newer header has changed.
        inner: whether pages that lead to others have changed, in a file with one checksum for these.
        pages: the pages that have changed, in a file with a checksum for each. Free pages can be among them.
        had_damage: whether records were known to be damaged when the shelf was closed.
        is_of_each_page: whether the stamp has a checksum for each page.
    """

    is_older: bool = False
    header: bool = False
    inner: bool = False
    pages: set[int] = field(default_factory=set)
    had_damage: bool = False
    is_of_each_page: bool = False


def changes_since_closing(descriptor: int, older: Meta, newer: Meta) -> Changes | None:
    """Compare the file with its stamp; None without a stamp, or if there were commits after it."""
    known = read_stamp(descriptor, newer.page_size)
    if known is None:
        return None
    if _is_older(known, older, newer):
        return Changes(is_older=True)
    if known.transaction < newer.transaction:
        return None
    changes = Changes(had_damage=known.has_damage, is_of_each_page=known.kind == ALL)
    if known.last_page != newer.last_page:  # checked first: it may be any number, and all pages up to it would be read
        changes.header = True
        return changes
    found = _take_checksums(descriptor, newer, known.kind)
    if found == known.checksums:
        return changes
    if found is None or known.kind != ALL:
        changes.inner = True
        return changes
    changes.header = found[0] != known.checksums[0]
    behind = zip_longest(known.checksums[1:], found[1:])  # a page behind the end of the file counts as changed
    changes.pages = {page for page, (was, now) in enumerate(behind, FIRST_PAGE) if was != now}
    return changes


def read_stamp(descriptor: int, page_size: int) -> Stamp | None:
    """The newest whole stamp in the file; None if there is none."""
    stamps = [_unpack(read_at(descriptor, page_size - AT, page * page_size + AT)) for page in (0, 1)]
    return max((stamp for stamp in stamps if stamp), key=lambda stamp: stamp.transaction, default=None)


def make_stamp(descriptor: int, meta: Meta, older: Meta, *, has_damage: bool) -> Stamp | None:
    """The stamp of the file as it is; None if it cannot have one."""
    pages = meta.last_page + 1
    if os.fstat(descriptor).st_size < pages * meta.page_size:
        return None
    kind = ALL if pages * meta.page_size <= LARGEST else INNER
    checksums = _take_checksums(descriptor, meta, kind)
    if checksums is None or AT + _LAYOUT.size + (len(checksums) + 1) * _CHECKSUM.size > meta.page_size:
        return None
    return Stamp(meta.transaction, meta.last_page, older.main_root, kind, has_damage, checksums)


def write_stamp(descriptor: int, page_size: int, stamp: Stamp) -> None:
    """Write the stamp beside the older header. Raises OSError.

    It is not synced. After a power cut it may be missing. Then the next opening compares nothing, and goes on.
    """
    layout = _LAYOUT.pack(
        _MAGIC, stamp.transaction, stamp.last_page, stamp.older_root, stamp.kind, int(stamp.has_damage),
        len(stamp.checksums),
    )  # fmt: skip
    packed = layout + struct.pack(f"<{len(stamp.checksums)}I", *stamp.checksums)
    older_page = header_page_of(stamp.transaction + 1)  # the next transaction overwrites the older header
    write_at(descriptor, packed + _CHECKSUM.pack(zlib.crc32(packed)), older_page * page_size + AT)


def _take_checksums(descriptor: int, meta: Meta, kind: int) -> tuple[int, ...] | None:
    """The checksums of a file as it is; None if its inner pages cannot be found, or are too many.

    The older header has no checksum: only its number counts, and LMDB leaves it changed after a failed write.
    """
    header = _header_checksum(descriptor, meta)
    if kind == ALL:
        return header, *_of_pages(descriptor, meta)
    inner = inner_checksum(descriptor, meta)
    return None if inner is None else (header, inner)


def _is_older(known: Stamp, older: Meta, newer: Meta) -> bool:
    """Whether the headers are not those of the stamped transaction, nor of a later one.

    Transactions have successive numbers. A transaction never has the same root page as the last but one, because it
    must not reuse pages of that one.
    """
    if newer.transaction < known.transaction or newer.transaction != older.transaction + 1:
        return True
    return newer.transaction == known.transaction + 1 and newer.main_root == known.older_root


def is_stamped_header(descriptor: int, meta: Meta) -> bool | None:
    """Whether the newer header is what it was when the shelf was closed; None if no stamp says what it was."""
    known = read_stamp(descriptor, meta.page_size)
    if known is None or known.transaction != meta.transaction or not known.checksums:
        return None
    return known.checksums[0] == _header_checksum(descriptor, meta)


def _header_checksum(descriptor: int, meta: Meta) -> int:
    return zlib.crc32(read_at(descriptor, AT, header_page_of(meta.transaction) * meta.page_size))


def _of_pages(descriptor: int, meta: Meta) -> list[int]:
    """The checksums of all pages behind the headers."""
    size = meta.page_size
    checksums: list[int] = []
    buffer = memoryview(bytearray(max(size, _CHUNK)))
    end = (meta.last_page + 1) * size
    for start in range(FIRST_PAGE * size, end, len(buffer)):
        length = read_into(descriptor, [buffer[: end - start]], start)
        checksums += _checksums(buffer[:length], size)
    return checksums


def page_checksums(pages: bytes | memoryview, size: int) -> list[int]:
    """For each page its CRC-32, seeded with its Adler-32. The last page may be cut.

    A record ends in its own CRC-32, so the CRC-32 of a page alone stays the same if one record replaces another.
    """
    each = (pages[at : at + size] for at in range(0, len(pages), size))
    return [zlib.crc32(page, zlib.adler32(page)) for page in each]


_checksums = instead("page_checksums", page_checksums)


def _unpack(data: bytes) -> Stamp | None:
    if data[:8] != _MAGIC or len(data) < _LAYOUT.size:
        return None
    _, transaction, last_page, older_root, kind, has_damage, count = _LAYOUT.unpack_from(data)
    end = _LAYOUT.size + count * _CHECKSUM.size
    if end + _CHECKSUM.size > len(data) or zlib.crc32(data[:end]) != _CHECKSUM.unpack_from(data, end)[0]:
        return None
    checksums = struct.unpack_from(f"<{count}I", data, _LAYOUT.size)
    return Stamp(transaction, last_page, older_root, kind, bool(has_damage), checksums)
