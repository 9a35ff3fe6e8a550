"""Tells a whole pickle from one that is being written, one that is cut off, and other content."""

from __future__ import annotations

import pickletools
import time

__all__ = ["YOUNG", "begins_as_pickle", "could_be_pickle", "is_whole"]

# Seconds after its last change in which a broken file may be one that an old process is still writing.
YOUNG = 1.0

_PROTOCOL = 0x80
_FRAMED = 4  # from this protocol on, files are written only by processes that rename, and frames show what is missing
_HIGHEST = 5
_ONE_WRITE = 4096  # bytes that old processes write in one call, whole or not at all
_STOP = b"."


def is_whole(data: bytes, mtime: float) -> bool:
    """Whether a file's content is a complete pickle. It is parsed only if its first and last bytes do not tell."""
    if not data:
        return False
    young = time.time() - mtime < YOUNG
    old_protocol = data[0] != _PROTOCOL or len(data) < 2 or data[1] < _FRAMED
    if data[-1:] == _STOP and not (old_protocol and ((young and len(data) > _ONE_WRITE) or data[0] != _PROTOCOL)):
        return True
    try:
        for _ in pickletools.genops(data):
            pass
    except Exception:  # the parser raises many kinds of errors
        return False
    return True


def begins_as_pickle(start: bytes) -> bool:
    """Whether a file's first bytes are those of a pickle of protocol 2 or later, or there are none."""
    return not start or (start[0] == _PROTOCOL and (len(start) == 1 or start[1] <= _HIGHEST))


def could_be_pickle(data: bytes) -> bool:
    """Whether a file may be replaced or removed as the engine's own: a pickle, whole or broken, or an empty file."""
    return begins_as_pickle(data) or is_whole(data, 0.0)
