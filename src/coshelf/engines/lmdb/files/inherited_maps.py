"""Replaces, in a forked child, the maps of LMDB files that it inherited from its parent.

A map keeps the open file description of its file alive, and with it the parent's locks. These would stay after the
parent's end. A child never uses the parent's environments. But their memory must stay valid: an inherited transaction
may still be ended, and that reads its data and writes into its lock file. So zeros take the place of the maps.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
from collections.abc import Collection
from typing import Any

__all__ = ["can_replace_maps", "replace_maps"]

_MAPS = "/proc/self/maps"
_FIXED, _NO_RESERVE = 0x10, 0x4000  # Linux's, on all machines of CPython except MIPS, Alpha and PA-RISC


@functools.cache
def can_replace_maps() -> bool:
    """Whether maps can be replaced on this machine. Loads what is needed for it, which a child might not be able to."""
    _library()
    return os.uname().machine in ("x86_64", "aarch64", "riscv64", "s390x", "ppc64le") and os.path.exists(_MAPS)


@functools.cache
def _library() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64),
    ]
    return library


def replace_maps(paths: Collection[tuple[str, str]]) -> None:
    """Replace the maps of these files by zeros. ``paths`` has data and lock file of each. A map that resists stays."""
    reading, writing = mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE
    rights: dict[bytes, int] = {}
    for data, lock in paths:
        for path, right in ((data, reading), (lock, writing)):  # data read-only: it may be larger than memory
            name = os.fsencode(path).replace(b"\n", b"\\012")
            rights[name] = rights[name + b" (deleted)"] = right
    with open(_MAPS, "rb") as maps:
        found = [line.rstrip(b"\n").split(maxsplit=5) for line in maps]
    for fields in found:  # range, rights, offset, device, inode, name
        if len(fields) == 6 and fields[5] in rights:
            start, end = (int(number, 16) for number in fields[0].split(b"-"))
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _FIXED | _NO_RESERVE
            _library().mmap(start, end - start, rights[fields[5]], flags, -1, 0)
