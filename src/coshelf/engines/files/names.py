"""Where the value of a key lies that has no file of its own path. docs/format.md, "Keys that are no path".

The name holds the key's bytes in small letters, digits and percent escapes, so that no two keys meet on a file system
that folds case or Unicode. A key that is too long for a name has its digest for one, and stands behind the value.
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
"""Bytes behind a long key: its length and the closing word."""

_CLOSING = b"coshelf\n"
_DIGEST = 32
_KEPT = b"abcdefghijklmnopqrstuvwxyz0123456789-_"
_ESCAPES = [chr(byte) if byte in _KEPT else f"%{byte:02x}" for byte in range(256)]
_NAME = re.compile("(?:[a-z0-9_-]|%[0-9a-f]{2})+")


def escape(key: bytes) -> Parts:
    """The path of the file of an encoded key that has no path of its own."""
    if len(key) <= LONGEST_NAME:
        name = "".join([_ESCAPES[byte] for byte in key])
        if len(name) <= LONGEST_NAME:
            return (*ESCAPED, name)
    return (*LONG, blake2b(key, digest_size=_DIGEST).hexdigest())


def key_in_name(name: str) -> bytes | None:
    """The encoded key that an escaped name stands for; None if :func:`escape` makes no such name."""
    if not _NAME.fullmatch(name):
        return None
    key = unquote_to_bytes(name)
    return key if escape(key) == (*ESCAPED, name) else None


def is_long(parts: Parts) -> bool:
    """Whether a file's value has its key behind it."""
    return parts[:-1] == LONG


def trailer(key: bytes) -> bytes:
    """What stands behind the value of a long key. Whoever unpickles the file reads no further than the value."""
    return key + len(key).to_bytes(8, "little") + _CLOSING


def key_in_trailer(data: bytes, size: int) -> int | None:
    """The length of the key behind a value, told by the end of a file of ``size`` bytes; None if there is none."""
    if data[-8:] != _CLOSING or len(data) < TRAILER:
        return None
    length = int.from_bytes(data[-TRAILER:-8], "little")
    return length if length <= size - TRAILER else None
