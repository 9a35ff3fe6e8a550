"""The names of lines: the kind of what is guarded, and its name, which is a key."""

from __future__ import annotations

from typing import Final

from coshelf.errors import DamagedRecord
from coshelf.keys import decode, shown

__all__ = ["BARRIERS", "LOCKS", "QUEUES", "SEMAPHORES", "kind_of", "line_name", "shown_line"]

LOCKS: Final = b"L"
SEMAPHORES: Final = b"S"
BARRIERS: Final = b"B"
QUEUES: Final = b"Q"

_KINDS: Final = {LOCKS: "lock", SEMAPHORES: "semaphore", BARRIERS: "barrier", QUEUES: "queue"}
_LONGEST: Final = 200  # bytes of a name; what is longer ends in a digest
_DIGEST: Final = 16


def line_name(kind: bytes, key: bytes) -> bytes:
    """The name of the line of an encoded key. Lines of different kinds are apart."""
    if len(key) <= _LONGEST:
        return kind + key
    from hashlib import blake2b  # here: it takes as long to import as all of this package

    return kind + key[: _LONGEST - _DIGEST] + b"\xff" + blake2b(key, digest_size=_DIGEST).digest()


def kind_of(name: bytes) -> str:
    """What a line is for, in a word."""
    return _KINDS.get(name[:1], "line")


def shown_line(name: bytes) -> str:
    """The name of what a line is for, as a Python literal. The end of a long one is missing."""
    key, end = name[1:], ""
    if len(key) > _LONGEST:
        key, end = key[: _LONGEST - _DIGEST], "..."
    try:
        return shown(decode(key)) + end
    except DamagedRecord:  # the cut is within a character or a number, or the line is not of this library
        return repr(key) + end
