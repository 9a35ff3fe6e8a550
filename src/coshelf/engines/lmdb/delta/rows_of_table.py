"""The rows of a delta that is a table, as its LMDB file has them. docs/format.md, "The delta"."""

from __future__ import annotations

import struct
from hashlib import blake2b

import lmdb

__all__ = ["BEHIND_LONG", "LONG", "NUMBER_ROW", "all_rows", "long_row", "row_of_long", "unpack_long"]

NUMBER_ROW = b"\x00number"
"""A row that only uses up a number."""

LONG = b"\x02"
BEHIND_LONG = b"\x03"
"""The range of the rows of long keys."""

_LENGTH = struct.Struct("<I")
_DIGEST = 16


def all_rows(transaction: lmdb.Transaction[bytes]) -> list[tuple[bytes, bytes]]:
    """All rows of a delta in order, except the one that only uses up a number. Long keys are whole."""
    rows = [row for row in transaction.cursor() if row[0] != NUMBER_ROW]
    if any(name.startswith(LONG) for name, _ in rows):
        rows = sorted(unpack_long(row) if name.startswith(LONG) else (name, row) for name, row in rows)
    return rows


def row_of_long(key: bytes) -> bytes:
    """The key of the row of a long key."""
    return LONG + blake2b(key, digest_size=_DIGEST).digest()


def long_row(key: bytes, record: bytes) -> tuple[bytes, bytes]:
    """The row of a long key and its record."""
    return row_of_long(key), b"".join((_LENGTH.pack(len(key)), key, record))


def unpack_long(row: bytes) -> tuple[bytes, bytes]:
    """The key and the record of the row of a long key."""
    end = _LENGTH.size + _LENGTH.unpack_from(row)[0]
    return row[_LENGTH.size : end], row[end:]
