"""The bytes of a stored value: a body, then a trailer with the number of its commit and a checksum.

A body is a tag byte and a payload. A pickle of protocol 2 or later begins with 0x80. So the tag 0x80 means that the
body is a pickle, and the tag is its first byte. docs/format.md has the whole format.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

from coshelf.native import instead

__all__ = [
    "BLOB",
    "CODEC",
    "COMPRESSION",
    "ENCRYPTION",
    "EXPIRY",
    "HEADERED",
    "LARGEST_HEADER",
    "OLD_PICKLE",
    "PICKLE",
    "RESIDUE",
    "SIGNATURE",
    "TAGS",
    "TIME",
    "TRAILER",
    "VERIFIED_ON_READ",
    "checksum",
    "header",
    "headers_before",
    "is_intact",
    "needs_later_version",
    "read_headers",
    "seal",
    "sealed",
    "version",
    "write_headers",
]

PICKLE = 0x80
OLD_PICKLE = 0x01  # a pickle of protocol 0 or 1 follows
HEADERED = 0x02  # ordered headers follow, then the payload
_TAG = bytes((HEADERED,))

# Kinds of headers, in their order in a record.
EXPIRY = 0x10
TAGS = 0x18
CODEC = 0x20
BLOB = 0x28
COMPRESSION = 0x30
ENCRYPTION = 0x40
SIGNATURE = 0x50
_MAY_BE_SKIPPED = 0x80  # a reader may skip unknown kinds from here on
TIME = 8  # bytes of the header with the time at which the entry expires
LARGEST_HEADER = 0xFFFF  # bytes of one header's data

TRAILER = 12  # 8 bytes of sequence number, 4 bytes of CRC-32, both little-endian
VERIFIED_ON_READ = 64 * 1024  # only check() verifies larger records: a CRC costs 1 ms per 6 MB

# The CRC-32 of any bytes that are followed by their own CRC-32 is this constant, for every start value.
RESIDUE = 0x2144DF1C


def checksum(key: bytes, body: bytes) -> int:
    """The part of a record's CRC that does not need the number of its commit. It is computed before any lock."""
    return zlib.crc32(body, zlib.crc32(key))


def seal(body: bytes, partial: int, sequence: int) -> bytes:
    """The record: body and trailer. ``partial`` is the :func:`checksum` of key and body."""
    number = sequence.to_bytes(8, "little")
    return b"".join((body, number, zlib.crc32(number, partial).to_bytes(4, "little")))


def sealed(rows: list[tuple[bytes, bytes]], sequence: int) -> list[tuple[bytes, bytes]]:
    """Keys with their records, from keys with their bodies. All are of the commit with this number."""
    crc32, join, number = zlib.crc32, b"".join, sequence.to_bytes(8, "little")
    return [
        (key, join((body, number, crc32(number, crc32(body, crc32(key))).to_bytes(4, "little")))) for key, body in rows
    ]


def is_intact(key: bytes, record: bytes) -> bool:
    """Whether a record has the bytes that were sealed under this key. A record that was moved to this key has not."""
    return len(record) > TRAILER and zlib.crc32(record, zlib.crc32(key)) == RESIDUE


def version(record: bytes) -> int:
    """The number of the commit that wrote the record."""
    return int.from_bytes(record[-TRAILER:-4], "little")


def header(kind: int, data: bytes) -> bytes:
    """The bytes of one header."""
    return b"".join((bytes((kind,)), len(data).to_bytes(2, "little"), data))


def write_headers(headers: Iterable[tuple[int, bytes]]) -> bytes:
    """The beginning of a record with headers, up to its payload. Their kinds must be in ascending order."""
    return b"".join((bytes((HEADERED,)), *(header(kind, data) for kind, data in headers), b"\0"))


def headers_before(headers: Mapping[int, bytes], kind: int) -> bytes:
    """The beginning of a record, up to the headers of a kind. A layer of this kind covers these bytes."""
    return b"".join((_TAG, *(header(each, data) for each, data in headers.items() if each < kind)))


def read_headers(record: bytes) -> tuple[dict[int, bytes], int] | None:
    """The data of the headers of a record, by kind, and where its payload begins; None if they are malformed.

    The record's tag must be :data:`HEADERED`. Nothing else is assumed of it.
    """
    headers: dict[int, bytes] = {}
    at, end, last = 1, len(record) - TRAILER, 0
    while at < end:
        kind = record[at]
        if not kind:
            return headers, at + 1
        start = at + 3
        at = start + int.from_bytes(record[at + 1 : start], "little")
        if kind <= last or at >= end:
            return None
        headers[kind] = record[start:at]
        last = kind
    return None


def needs_later_version(headers: Iterable[int], known: Iterable[int]) -> int | None:
    """The first kind of header that a reader must know and does not know; None if there is no such header."""
    return next((kind for kind in headers if kind < _MAY_BE_SKIPPED and kind not in known), None)


checksum = instead("checksum", checksum)
is_intact = instead("is_intact", is_intact)
sealed = instead("sealed", sealed)
