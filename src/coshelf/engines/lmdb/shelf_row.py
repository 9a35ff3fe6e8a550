"""The shelf row: the id of the shelf, its format, and the number of its last commit."""

from __future__ import annotations

import os
import struct
import time
import zlib
from dataclasses import dataclass

import lmdb

from coshelf.engines.lmdb.failures import translated
from coshelf.errors import DamagedShelf, FormatTooNew, NotAShelf
from coshelf.system.files.descriptors import name_to_open

__all__ = [
    "BLOBS",
    "BOUNDED",
    "EXPIRY",
    "ROW_KEY",
    "ShelfRow",
    "check_row",
    "new_row",
    "refuse_last_number",
    "unpack_row",
]

ROW_KEY = b"\x00shelf"

_MAGIC = b"coshelf\0"
_FORMAT = 1
_LAYOUT = struct.Struct("<8sHHIII16sQQQ16s")
_CHECKSUM = struct.Struct("<I")
_NO_MORE_COMMITS = 1 << 62  # counting never reaches this number

BLOBS = 1 << 0
"""The feature of having blobs. A writer that overwrites an entry must note that its blob is not named any more."""
EXPIRY = 1 << 1
"""The feature of having entries that expire, with an index of their times."""
BOUNDED = 1 << 2
"""The feature of having limits, with an index of the order in which entries were stored."""
_KNOWN_TO_WRITERS = BLOBS | EXPIRY | BOUNDED


@dataclass(frozen=True, slots=True)
class ShelfRow:
    """The fields of docs/format.md, "The shelf row", that change or identify.

    Attributes:
        store_id: 16 random bytes, made with the shelf and never changed.
        created: nanoseconds since 1970.
        sequence: number of the last commit in the file.
        extra_rows: the number of rows that are not entries of the user.
        writable: whether this version knows all features that a writer must know.
    """

    store_id: bytes
    created: int
    sequence: int
    extra_rows: int
    nonce: bytes
    writer_features: int = 0

    @property
    def writable(self) -> bool:
        return not self.writer_features & ~_KNOWN_TO_WRITERS

    def pack(self) -> bytes:
        body = _LAYOUT.pack(
            _MAGIC, _FORMAT, 0, 0, self.writer_features, 0,
            self.store_id, self.created, self.sequence, self.extra_rows, self.nonce,
        )  # fmt: skip
        return body + _CHECKSUM.pack(zlib.crc32(body))


def check_row(descriptor: int, path: str) -> ShelfRow:
    """The row of an LMDB file. Raises :class:`NotAShelf` if the file is not a shelf. Makes and changes no file."""
    # Opened by its descriptor: py-lmdb looks at the lock file beside a name. That lock file may belong to a file that
    # was replaced while this process has it open.
    with translated(path, "open"):
        environment = lmdb.open(
            os.fsencode(name_to_open(descriptor, path)),
            subdir=False,
            readonly=True,
            lock=False,
            create=False,
            lib_version=0,
        )
        try:
            with environment.begin() as transaction:
                row = unpack_row(transaction.get(ROW_KEY), path)
        finally:
            environment.close()
    return refuse_last_number(row, path)


def refuse_last_number(row: ShelfRow, path: str) -> ShelfRow:
    """The row. Raises :class:`DamagedShelf` if the number of its last commit is too large to be reached by counting."""
    if row.sequence >= _NO_MORE_COMMITS:
        raise DamagedShelf(f"{path} is damaged, or was made to look so: its last commit has the number {row.sequence}")
    return row


def new_row(sequence: int = 0, store_id: bytes = b"") -> ShelfRow:
    """The row of a new shelf whose last commit has the number ``sequence``.

    A copy has the ``store_id`` of its source, since the records' signatures are bound to that. But it has a nonce of
    its own. So a delta of the one is not taken for a delta of the other.
    """
    nonce = os.urandom(16) if store_id else bytes(16)
    return ShelfRow(store_id or os.urandom(16), time.time_ns(), sequence, 1, nonce)


def unpack_row(data: bytes | None, path: str) -> ShelfRow:
    """Read a row. Raises :class:`NotAShelf`, :class:`FormatTooNew` or :class:`DamagedShelf`."""
    if data is None or data[:8] != _MAGIC:
        raise NotAShelf(f"{path} is an LMDB file, but not a shelf; it has not been changed")
    if len(data) >= 16:
        version, _, needed = struct.unpack_from("<HHI", data, 8)
        if version > _FORMAT or needed:
            raise FormatTooNew(
                f"{path} has format {version} with features {needed:#x}; this coshelf reads format {_FORMAT}\n"
                "  hint: upgrade coshelf"
            )
    if len(data) != _LAYOUT.size + _CHECKSUM.size or zlib.crc32(data[:-4]) != _CHECKSUM.unpack(data[-4:])[0]:
        raise DamagedShelf(f"{path} is damaged: its shelf row is not what was written")
    fields = _LAYOUT.unpack_from(data)
    _, _, _, _, writer_features, _, store_id, created, sequence, extra_rows, nonce = fields
    return ShelfRow(store_id, created, sequence, extra_rows, nonce, writer_features)
