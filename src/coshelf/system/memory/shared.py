"""Maps the first bytes of a file as shared memory. If possible, no descriptor stays open for the map."""

from __future__ import annotations

import mmap

__all__ = ["PAGE_SIZE", "shared"]

PAGE_SIZE: int = mmap.PAGESIZE
"""The bytes of a page of memory."""


def shared(descriptor: int, length: int, *, writable: bool) -> memoryview:
    """A view of the first bytes of an open file, unmapped when nothing refers to it any more. Raises OSError."""
    try:
        from coshelf.system.memory.mapping import is_possible, mapped
    except ImportError:  # Python was built without ctypes
        pass
    else:
        if is_possible():
            return mapped(descriptor, length, writable=writable)
    # Python's own maps keep a descriptor before version 3.13.
    return memoryview(mmap.mmap(descriptor, length, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ))
