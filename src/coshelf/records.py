"""The bytes of a stored value: a body, then a trailer with the number of its commit and a checksum.

A body is a tag byte and a payload. A pickle of protocol 2 or later begins with 0x80, so that byte as tag means "the
payload is this pickle, tag included". docs/format.md has the whole format.
"""

from __future__ import annotations

import zlib

__all__ = [
    "HEADERED",
    "OLD_PICKLE",
    "PICKLE",
    "SIGNATURE",
    "TRAILER",
    "VERIFIED_ON_READ",
    "checksum",
    "is_intact",
    "seal",
    "version",
]

PICKLE = 0x80
OLD_PICKLE = 0x01  # a pickle of protocol 0 or 1 follows
HEADERED = 0x02  # ordered headers follow, then the payload
SIGNATURE = b"\x50"  # the kind of a header

TRAILER = 12  # 8 bytes of sequence number, 4 bytes of CRC-32, both little-endian
VERIFIED_ON_READ = 64 * 1024  # larger records are verified by check() alone: a CRC costs 1 ms per 6 MB

# The CRC-32 of anything followed by its own CRC-32 is this constant, whatever the CRC was seeded with.
_RESIDUE = 0x2144DF1C


def checksum(key: bytes, body: bytes) -> int:
    """The part of a record's CRC that is known before its commit has a number; so it is taken outside every lock."""
    return zlib.crc32(body, zlib.crc32(key))


def seal(body: bytes, partial: int, sequence: int) -> bytes:
    """The record: body and trailer. ``partial`` is the :func:`checksum` of key and body."""
    number = sequence.to_bytes(8, "little")
    return b"".join((body, number, zlib.crc32(number, partial).to_bytes(4, "little")))


def is_intact(key: bytes, record: bytes) -> bool:
    """Whether a record is what was sealed under this key. A moved record is not."""
    return len(record) > TRAILER and zlib.crc32(record, zlib.crc32(key)) == _RESIDUE


def version(record: bytes) -> int:
    """The number of the commit that wrote the record."""
    return int.from_bytes(record[-TRAILER:-4], "little")
