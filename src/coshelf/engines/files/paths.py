"""Keys as paths below the root, and paths as keys.

A str that is a plain relative path has the file of that path, as with pickleshare. :mod:`names` has a place for every
other key.
"""

from __future__ import annotations

import os

from coshelf.errors import DamagedRecord, InvalidKey, KeyTooLong
from coshelf.keys import STR, decode, encode, shown

__all__ = ["LONGEST_PART", "OWN", "Parts", "is_part", "key_of", "parts_of", "plain_parts"]

Parts = tuple[str, ...]

OWN = ".coshelf"
"""The engine's own directory below the root. No plain path leads into it, in upper or lower case."""

LONGEST_PART = 255
_LONGEST_PATH = 4095  # bytes: the system's limit for a path, and so for what old processes can open
_FORBIDDEN = ("\0", "\\")
_LEADS_ELSEWHERE = ("", ".", "..")


def plain_parts(key: bytes) -> Parts | None:
    """The parts of the path of an encoded key; None if it is not a plain path."""
    if key[:1] != STR or len(key) > _LONGEST_PATH:
        return None
    try:
        parts = parts_of(key)
    except (InvalidKey, KeyTooLong, DamagedRecord):
        return None
    return None if parts[0].lower() == OWN else parts


def parts_of(key: bytes) -> Parts:
    """The parts of the path of an encoded key. Raises :class:`InvalidKey` and :class:`KeyTooLong`."""
    if key[:1] != STR:
        what = "rows of its own" if key < b"\x10" else shown(decode(key))
        raise InvalidKey(f"pickleshare has no place for {what}: its keys are str, each the path of a file")
    path = decode(key)
    parts = tuple(path.split("/"))
    if any(character in path for character in _FORBIDDEN):
        raise InvalidKey(f"key {shown(path)} holds a NUL or a backslash, which no file of pickleshare has in its name")
    for part in parts:
        if part in _LEADS_ELSEWHERE:
            raise InvalidKey(f"key {shown(path)} is not a plain relative path: it has the part {part!r}")
        length = len(part) if part.isascii() else _length(part, path)
        if length > LONGEST_PART:
            raise KeyTooLong(
                f"key {shown(path)} has a part of {length} bytes: the name of a file has at most {LONGEST_PART}"
            )
    return parts


def _length(part: str, path: str) -> int:
    """The length of a file's name in bytes.

    Raises :class:`InvalidKey` for a str that cannot be encoded, and for one whose bytes decode to another str.
    """
    try:
        name = os.fsencode(part)
    except UnicodeEncodeError as error:
        raise InvalidKey(f"key {shown(path)} cannot be the name of a file: {error.reason}") from error
    if os.fsdecode(name) != part:
        raise InvalidKey(f"key {shown(path)} would be the same file as {os.fsdecode(name)!r}")
    return len(name)


def is_part(name: str) -> bool:
    """Whether a name found in a directory can be part of a key that is a path."""
    return "\\" not in name


def key_of(parts: Parts) -> bytes:
    """The encoded key of a path."""
    return encode("/".join(parts))
