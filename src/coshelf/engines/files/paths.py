"""Keys as paths below the root, and paths as keys.

Only a str that is a plain relative path is a key here, and each path is the path of one key alone.
"""

from __future__ import annotations

import os

from coshelf.errors import InvalidKey, KeyTooLong
from coshelf.keys import STR, decode, encode, shown

__all__ = ["LONGEST_PART", "is_part", "key_of", "parts_of"]

LONGEST_PART = 255
_FORBIDDEN = ("\0", "\\")


def parts_of(key: bytes) -> tuple[str, ...]:
    """The parts of the path of an encoded key. Raises :class:`InvalidKey` and :class:`KeyTooLong`."""
    if key[:1] != STR:
        what = "rows of its own" if key < b"\x10" else shown(decode(key))
        raise InvalidKey(f"the files engine has no place for {what}: its keys are str, each the path of a file")
    path = decode(key)
    parts = tuple(path.split("/"))
    for part in parts:
        if part in ("", ".", ".."):
            raise InvalidKey(f"key {shown(path)} is no plain relative path: it has the part {part!r}")
        if any(character in part for character in _FORBIDDEN):
            raise InvalidKey(f"key {shown(path)} holds a NUL or a backslash, which the files engine cannot store")
        try:
            name = os.fsencode(part)
        except UnicodeEncodeError as error:
            raise InvalidKey(f"key {shown(path)} cannot be the name of a file: {error.reason}") from error
        if os.fsdecode(name) != part:
            raise InvalidKey(f"key {shown(path)} would be the same file as {os.fsdecode(name)!r}")
        if len(name) > LONGEST_PART:
            raise KeyTooLong(
                f"key {shown(path)} has a part of {len(name)} bytes: the name of a file has at most {LONGEST_PART}"
            )
    return parts


def is_part(name: str) -> bool:
    """Whether a name found in the directory can be part of a key."""
    return not any(character in name for character in _FORBIDDEN)


def key_of(parts: tuple[str, ...]) -> bytes:
    """The encoded key of a path."""
    return encode("/".join(parts))
