"""Other views of the memory of an object."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

__all__ = ["declared_writable"]


def declared_writable(view: memoryview) -> memoryview:
    """The same memory, declared writable. The caller must not write to it, and the object must not be empty.

    If Python was built without ctypes, it is a copy.
    """
    try:
        import ctypes
    except ImportError:
        return memoryview(bytearray(view)).cast("B")
    exported = _exported_type()()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(exported), 0)
    address = exported.address
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(exported))
    alias: Any = (ctypes.c_ubyte * view.nbytes).from_address(address)
    alias.kept = view
    return memoryview(alias).cast("B")


@functools.cache
def _exported_type() -> Any:
    """Python's own ``Py_buffer``, of which only the address is used."""
    import ctypes

    class Exported(ctypes.Structure):
        _fields_: ClassVar = [("address", ctypes.c_void_p), ("owner", ctypes.c_void_p), ("rest", ctypes.c_ubyte * 128)]

    return Exported
