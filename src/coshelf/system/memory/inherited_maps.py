"""Replaces maps of files in a forked child by zeros. A map keeps the open file alive, and with it the parent's locks.

Linux lists the maps of a process in ``/proc``. Where there is no such list, no map is replaced.
"""

from __future__ import annotations

import functools
import mmap
import os
from collections.abc import Mapping
from typing import Any

__all__ = ["can_replace", "replace"]

_MAPS = "/proc/self/maps"
_FIXED, _NO_RESERVE = 0x10, 0x4000  # asm-generic/mman.h; MIPS, Alpha and PA-RISC have other numbers


@functools.cache
def can_replace() -> bool:
    """Whether maps can be replaced on this machine. Loads what is needed for it, which a child might not be able to."""
    try:
        _library()
    except (ImportError, OSError, AttributeError, TypeError):  # Python was built without ctypes, or there is no mmap
        return False
    return os.uname().machine in ("x86_64", "aarch64", "riscv64", "s390x", "ppc64le") and os.path.exists(_MAPS)


@functools.cache
def _library() -> Any:
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64),
    ]
    return library


def replace(paths: Mapping[str, bool]) -> None:
    """Replace the maps of files by zeros. The value of each path: whether the zeros can be written. Others stay."""
    reading, writing = mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE
    rights: dict[bytes, int] = {}
    for path, is_writable in paths.items():
        name = os.fsencode(path).replace(b"\n", b"\\012")
        rights[name] = rights[name + b" (deleted)"] = writing if is_writable else reading
    with open(_MAPS, "rb") as maps:
        found = [line.rstrip(b"\n").split(maxsplit=5) for line in maps]
    for fields in found:  # range, rights, offset, device, inode, name
        if len(fields) == 6 and fields[5] in rights:
            start, end = (int(number, 16) for number in fields[0].split(b"-"))
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _FIXED | _NO_RESERVE
            _library().mmap(start, end - start, rights[fields[5]], flags, -1, 0)
