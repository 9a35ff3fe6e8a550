"""Keys as names of objects, in the same order: base32 with the alphabet that sorts, in lower case, without padding.

A name is divided into parts, because some servers keep objects in directories, whose names have at most 255 bytes. All
parts but the last end in "_", so that no object has the name of a directory.
"""

from __future__ import annotations

import base64
import re

__all__ = ["before", "key_of", "longest_key", "name_of"]

_PART = 250
_MORE = "_/"
_LARGEST_NAME = 1024  # bytes, with the bucket's prefix
_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_LETTERS = re.compile(f"[{_ALPHABET}]*")
_HIGH = "z"  # sorts after all characters of names
_LONGEST_BOUND = 700


def name_of(key: bytes) -> str:
    """The name of the object for a key.

    >>> name_of(b"0hello"), name_of(b"") == "", name_of(b"a") < name_of(b"a0") < name_of(b"b")
    ('61k6ar3cds', True, True)
    """
    return _in_parts(base64.b32hexencode(key).decode().rstrip("=").lower())


def _in_parts(letters: str) -> str:
    if len(letters) <= _PART:
        return letters
    return _MORE.join(letters[at : at + _PART] for at in range(0, len(letters), _PART))


def key_of(name: str) -> bytes | None:
    """The key whose object has this name; None if no key has it."""
    letters = name if len(name) <= _PART else name.replace(_MORE, "")
    if not _LETTERS.fullmatch(letters) or _in_parts(letters) != name:
        return None
    # int() with base 32 uses the same digits, and is twenty times as fast as the base64 module.
    number, extra = int(letters or "0", 32), len(letters) * 5 % 8
    if extra >= 5 or number & ((1 << extra) - 1):
        return None
    return (number >> extra).to_bytes(len(letters) * 5 // 8, "big")


def before(name: str) -> str:
    """A text that sorts before a name, with few or no names between them. A list begins after it.

    It is never the name of a directory: a server with directories would skip the objects in it.

    >>> before("60k6"), before("60"), before("")
    ('60k5z', '6', '')
    """
    name = name[:_LONGEST_BOUND].rstrip("_/")
    if not name:
        return ""
    rest, last = name[:-1], _ALPHABET.index(name[-1])
    if last:
        return rest + _ALPHABET[last - 1] + _HIGH
    return rest.rstrip("_/")


def longest_key(prefix: str) -> int:
    """Bytes of the longest key whose object has a name that servers accept.

    >>> longest_key("")
    635
    """
    room = _LARGEST_NAME - len(prefix)
    return (room - len(_MORE) * (room // _PART)) * 5 // 8
