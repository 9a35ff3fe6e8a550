"""The files of keys that cannot have the file of their path. docs/format.md, "Keys that are no path".

The name holds the key's bytes in small letters, digits and percent escapes. So no two keys have the same file on a file
system that folds case or Unicode. If a key is too long for a name, the name is its digest, and the key follows the
value.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from urllib.parse import unquote_to_bytes

from coshelf.engines.files.paths import OWN, Parts

__all__ = ["ESCAPED", "LONG", "MARKER", "TRAILER", "escape", "is_long", "key_in_name", "key_in_trailer", "trailer"]

ESCAPED: Parts = (OWN, "keys")
LONG: Parts = (*ESCAPED, "~long")  # a name that no key has
MARKER: Parts = (OWN, "made")

LONGEST_NAME = 140  # the shortest limit among usual file systems is eCryptfs' 143
TRAILER = 16
"""Bytes after a long key: its length and the closing word."""

_CLOSING = b"coshelf\n"
_DIGEST = 32
_KEPT = b"abcdefghijklmnopqrstuvwxyz0123456789-_"
_ESCAPES = [chr(byte) if byte in _KEPT else f"%{byte:02x}" for byte in range(256)]
_NAME = re.compile("(?:[a-z0-9_-]|%[0-9a-f]{2})+")


def escape(key: bytes) -> Parts:
    """The path of the escaped file of an encoded key."""
    if len(key) <= LONGEST_NAME:
        name = "".join([_ESCAPES[byte] for byte in key])
        if len(name) <= LONGEST_NAME:
            return (*ESCAPED, name)
    return (*LONG, blake2b(key, digest_size=_DIGEST).hexdigest())


def key_in_name(name: str) -> bytes | None:
    """The encoded key of an escaped name; None if :func:`escape` does not make such a name."""
    if not _NAME.fullmatch(name):
        return None
    key = unquote_to_bytes(name)
    return key if escape(key) == (*ESCAPED, name) else None


def is_long(parts: Parts) -> bool:
    """Whether the key follows the value in a file."""
    return parts[:-1] == LONG


def trailer(key: bytes) -> bytes:
    """The bytes after the value of a long key. A program that unpickles the file reads no further than the value."""
    return key + len(key).to_bytes(8, "little") + _CLOSING


def key_in_trailer(data: bytes, size: int) -> int | None:
    """The length of the key after a value, read from the end of a file of ``size`` bytes; None if there is no key."""
    if data[-8:] != _CLOSING or len(data) < TRAILER:
        return None
    length = int.from_bytes(data[-TRAILER:-8], "little")
    return length if length <= size - TRAILER else None
