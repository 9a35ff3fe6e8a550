"""Maps a file's content as a view. The view keeps no descriptor open, and the map ends with its last user.

Until version 3.13 Python's ``mmap`` keeps a descriptor for each map. With a thousand arrays a process would run out.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import weakref
from typing import Any

__all__ = ["is_possible", "mapped"]

_FAILED = ctypes.c_void_p(-1).value


def is_possible() -> bool:
    """Whether the C library has the calls. Windows has others, and there Python's ``mmap`` is what maps."""
    return _library() is not None


@functools.cache
def _library() -> Any:
    try:
        library = ctypes.CDLL(None, use_errno=True)
        library.mmap, library.munmap  # noqa: B018 (each is looked up)
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no library of this process
        return None
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64),
    ]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library


@functools.lru_cache(maxsize=16)  # a new type takes longer than the map itself, and each opening maps two pages
def _array_of(length: int) -> type[ctypes.Array[ctypes.c_ubyte]]:
    return ctypes.c_ubyte * length


def mapped(descriptor: int, length: int, *, writable: bool = False) -> memoryview:
    """The first bytes of an open file. All processes that map it share its pages in memory. Raises OSError."""
    library = _library()
    protection = mmap.PROT_READ | mmap.PROT_WRITE if writable else mmap.PROT_READ
    address = library.mmap(None, length, protection, mmap.MAP_SHARED, descriptor, 0)
    if address == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    memory = _array_of(length).from_address(address)
    # If a cycle of garbage has views in it, the collector would call this finalizer before those of other objects in
    # the cycle, and those may still read the views. The object refers to nothing, so the collector need not know it.
    ctypes.pythonapi.PyObject_GC_UnTrack(ctypes.py_object(memory))
    # Not at exit: views that are left then may still be used, and the maps end with the process.
    weakref.finalize(memory, library.munmap, address, length).atexit = False
    view = memoryview(memory).cast("B")
    return view if writable else view.toreadonly()
