"""What a file holds: telling a whole pickle from one that is being written, is cut off, or never was one."""

from __future__ import annotations

import pickletools
import time

__all__ = ["YOUNG", "begins_as_pickle", "could_be_pickle", "is_whole"]

# For this long after its last change, a broken file may be one that an old process is in the middle of writing.
YOUNG = 1.0

_PROTOCOL = 0x80
_FRAMED = 4  # from this protocol on, only processes that rename write here, and frames tell what is missing
_HIGHEST = 5
_ONE_WRITE = 4096  # what old processes write in one call, whole or not at all
_STOP = b"."


def is_whole(data: bytes, mtime: float) -> bool:
    """Whether a file's content is a pickle that ends. What is sure to be is not looked through."""
    if not data:
        return False
    young = time.time() - mtime < YOUNG
    old_protocol = data[0] != _PROTOCOL or len(data) < 2 or data[1] < _FRAMED
    if data[-1:] == _STOP and not (old_protocol and ((young and len(data) > _ONE_WRITE) or data[0] != _PROTOCOL)):
        return True
    try:
        for _ in pickletools.genops(data):
            pass
    except Exception:  # whatever the parser stumbles over
        return False
    return True


def begins_as_pickle(start: bytes) -> bool:
    """Whether a file's first bytes are those of a pickle of protocol 2 or later, or there are none."""
    return not start or (start[0] == _PROTOCOL and (len(start) == 1 or start[1] <= _HIGHEST))


def could_be_pickle(data: bytes) -> bool:
    """Whether a file may be replaced or removed as one of ours: a pickle, whole or broken, or nothing at all."""
    return begins_as_pickle(data) or is_whole(data, 0.0)
