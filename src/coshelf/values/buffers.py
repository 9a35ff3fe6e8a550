"""Pickles whose large buffers stay beside them: protocol 5's out-of-band buffers, and what it leaves out of these.

The C pickler passes on the buffers of objects that offer one (numpy, Arrow). This module does the same for bytearrays,
memoryviews, and arrays of numpy that are not contiguous in memory.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
from typing import Any, ClassVar

from coshelf.stored import shaped
from coshelf.values.blobs import LARGE, MOST_BUFFERS

__all__ = ["FIRST_PROTOCOL", "NotPlain", "copied", "dumps", "separate"]

FIRST_PROTOCOL = 5  # that knows buffers


class NotPlain(Exception):
    """A buffer needs more than to be copied into the pickle."""


def copied(buffer: pickle.PickleBuffer) -> bool:
    """What a first attempt gives ``pickle.dumps`` as ``buffer_callback``. Raises :class:`NotPlain`."""
    view = buffer.raw()
    if view.nbytes >= LARGE or (view.readonly and _is_array_s(view)):
        raise NotPlain
    return True


def _is_array_s(view: memoryview) -> bool:
    return type(view.obj).__module__ == "numpy"


def dumps(value: Any, protocol: int) -> bytes:
    """As ``pickle.dumps``, for memoryviews, too. Arrays come back writable, whatever they were."""
    try:
        return pickle.dumps(value, protocol, buffer_callback=copied if protocol >= FIRST_PROTOCOL else None)
    except (NotPlain, TypeError):
        return _with_care(value, protocol, None)


def separate(value: Any, protocol: int, attempt: bytes | Exception | None = None) -> tuple[bytes, list[memoryview]]:
    """The pickle of a value, and the buffers of :data:`LARGE` and more that are not in it.

    ``attempt`` is what ``pickle.dumps`` with :func:`copied` gave, if that was tried: the pickle, or one of
    :class:`NotPlain` and TypeError.
    """
    if type(value) is bytearray and len(value) >= LARGE:
        value = pickle.PickleBuffer(value)
    if attempt is None:
        try:
            attempt = pickle.dumps(value, protocol, buffer_callback=copied)
        except (NotPlain, TypeError) as error:
            return _separate(value, protocol, error)
    return _separate(value, protocol, attempt)


def _separate(value: Any, protocol: int, attempt: bytes | Exception) -> tuple[bytes, list[memoryview]]:
    found: list[memoryview] = []
    payload: bytes | None = attempt if isinstance(attempt, bytes) else None
    if isinstance(attempt, NotPlain):
        payload = _gathered(value, protocol, found)
    if payload is None or (len(payload) >= LARGE and _may_hide_an_array(payload)):
        found.clear()
        payload = _with_care(value, protocol, found)
    return _without_large(payload, found)


def _gathered(value: Any, protocol: int, found: list[memoryview]) -> bytes | None:
    """What :func:`_with_care` returns, but faster. None if a buffer needs that care; a single large array does not."""

    def is_copied(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.readonly and _is_array_s(view):
            raise NotPlain
        return not _takes(view, found)

    try:
        return pickle.dumps(value, protocol, buffer_callback=is_copied)
    except (NotPlain, TypeError):
        return None


def _may_hide_an_array(payload: bytes) -> bool:
    """Whether the pickle has large bytes, which may be those of a large array that is not contiguous."""
    if "numpy" not in sys.modules:
        return False
    from coshelf.values.pickle_surgery import has_large_bytes

    return has_large_bytes(payload)


def _takes(view: memoryview, found: list[memoryview]) -> bool:
    """Add a buffer to those that stay beside the pickle, if it is one of them."""
    if view.nbytes < LARGE or len(found) == MOST_BUFFERS:
        return False
    found.append(view)
    return True


def _without_large(payload: bytes, found: list[memoryview]) -> tuple[bytes, list[memoryview]]:
    if len(payload) < LARGE:
        return payload, found
    from coshelf.values.pickle_surgery import lifted

    return lifted(payload, found)


def _with_care(value: Any, protocol: int, found: list[memoryview] | None) -> bytes:
    """The pickle of a value. Its large buffers are added to ``found``; if ``found`` is None, they are copied."""

    def is_copied(buffer: pickle.PickleBuffer) -> bool:
        return found is None or not _takes(buffer.raw(), found)

    file = io.BytesIO()
    # The pickler must not refer to itself: the garbage collector must not clear views that have exports.
    pickler = _CarefulPickler(file, protocol, buffer_callback=is_copied if protocol >= FIRST_PROTOCOL else None)
    pickler.protocol = protocol
    pickler.dump(value)
    return file.getvalue()


class _CarefulPickler(pickle.Pickler):
    """Pickles memoryviews and arrays in a way of its own."""

    protocol: int

    def reducer_override(self, value: Any) -> Any:
        if type(value) is memoryview:
            return self._reduced_view(value)
        if type(value).__module__ == "numpy" and self.protocol >= FIRST_PROTOCOL:
            return _reduced_array(value)
        return NotImplemented

    def _reduced_view(self, view: memoryview) -> Any:
        flat: Any = view.cast("B") if view.c_contiguous and view.nbytes else bytearray(view.tobytes())
        if self.protocol < FIRST_PROTOCOL:
            flat = bytearray(flat)
        elif view.readonly:
            flat = pickle.PickleBuffer(_writable(flat) if isinstance(flat, memoryview) else flat)
        else:
            flat = pickle.PickleBuffer(flat)
        if view.format == "B" and view.ndim == 1:
            return memoryview, (flat,)
        return shaped, (flat, view.format, view.shape)


def _reduced_array(value: Any) -> Any:
    """How an array of numpy's own class is pickled whose buffer would be left out, or marked as read-only."""
    import numpy as np

    if type(value) is not np.ndarray or value.dtype.hasobject:
        return NotImplemented
    is_in_pieces = not (value.flags.c_contiguous or value.flags.f_contiguous)
    has_no_buffer = value.dtype.kind in "mM"  # numpy gives none of dates
    if is_in_pieces or has_no_buffer:
        if value.nbytes < LARGE:
            return NotImplemented
        value = np.ascontiguousarray(value) if is_in_pieces else value
    elif value.flags.writeable:
        return NotImplemented
    reduced = (value.view(np.int64) if has_no_buffer else value).__reduce_ex__(FIRST_PROTOCOL)
    if len(reduced) != 2 or not isinstance(reduced[1][0], pickle.PickleBuffer):
        return NotImplemented
    function, (buffer, _, *rest) = reduced
    rest = [value.dtype, *rest]
    view = buffer.raw()
    return function, (pickle.PickleBuffer(_writable(view) if view.readonly and view.nbytes else view), *rest)


def _writable(view: memoryview) -> memoryview:
    """The same memory, declared writable, so that the pickle does not say that it is read-only. Nothing writes it."""
    import ctypes

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
