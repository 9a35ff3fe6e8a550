"""Whether a row of a left delta is one that a commit wrote."""

from __future__ import annotations

from coshelf import records
from coshelf.contract import RESERVED
from coshelf.engines.lmdb.delta.delta import is_deletion
from coshelf.errors import CoshelfError
from coshelf.keys import FIRST, LAST, decode

__all__ = ["is_possible_key", "is_sealed"]


def is_possible_key(key: bytes) -> bool:
    """Whether it is a key of the user, or of a row of ours that belongs to the shelf."""
    if key < FIRST:
        return any(start <= key < stop for start, stop in RESERVED)
    try:
        decode(key)
    except CoshelfError:
        return False
    return key < LAST


def is_sealed(key: bytes, record: bytes) -> bool:
    """Whether a record, or a row that says that its key was deleted, was made for this key."""
    if not is_deletion(record):
        return records.is_intact(key, record)
    return record == records.seal(b"", records.checksum(key, b""), records.version(record))
