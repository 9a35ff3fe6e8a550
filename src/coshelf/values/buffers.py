"""Pickles whose large buffers stay beside them, as the out-of-band buffers of protocol 5.

The C pickler passes on the buffers of objects that offer one (numpy, Arrow). This module also passes on bytearrays,
memoryviews, and arrays of numpy that are not contiguous in memory.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
from collections.abc import Callable
from typing import Any

from coshelf.native import faster
from coshelf.stored import shaped
from coshelf.system.memory.buffers import declared_writable
from coshelf.values.blobs import LARGE, MOST_BUFFERS

__all__ = ["FIRST_PROTOCOL", "LARGE", "NotPlain", "copied", "dumps", "first_attempt", "separate"]

FIRST_PROTOCOL = 5  # of pickle that has out-of-band buffers


class NotPlain(Exception):
    """A buffer for which copying it into the pickle is not enough."""


def copied(buffer: pickle.PickleBuffer) -> bool:
    """The ``buffer_callback`` of the first attempt: copies a buffer into the pickle, or raises :class:`NotPlain`."""
    view = buffer.raw()
    if view.nbytes >= LARGE or (view.readonly and _is_array_s(view)):
        raise NotPlain
    return True


def _is_array_s(view: memoryview) -> bool:
    return type(view.obj).__module__ == "numpy"


first_attempt: Callable[[Any], bytes] = faster(
    "dumps", functools.partial(pickle.dumps, protocol=FIRST_PROTOCOL, buffer_callback=copied)
)
"""The pickle of a value without large buffers, as most values are. Raises what :func:`copied` and pickling raise."""


def dumps(value: Any, protocol: int) -> bytes:
    """Like ``pickle.dumps``, and for memoryviews, too. All arrays come back writable."""
    try:
        return first_attempt(value) if protocol == FIRST_PROTOCOL else pickle.dumps(value, protocol)
    except (NotPlain, TypeError):
        return _with_care(value, protocol, None)


def separate(value: Any, attempt: bytes | Exception | None = None) -> tuple[bytes, list[memoryview]]:
    """The pickle of a value, and the buffers of :data:`LARGE` and more that are not in it.

    ``attempt`` is the result of :data:`first_attempt`, if that was tried: the pickle, or the :class:`NotPlain` or
    TypeError that it raised.
    """
    if type(value) is bytearray and len(value) >= LARGE:
        value = pickle.PickleBuffer(value)
    if attempt is None:
        try:
            attempt = first_attempt(value)
        except (NotPlain, TypeError) as error:
            return _separate(value, error)
    return _separate(value, attempt)


def _separate(value: Any, attempt: bytes | Exception) -> tuple[bytes, list[memoryview]]:
    found: list[memoryview] = []
    payload: bytes | None = attempt if isinstance(attempt, bytes) else None
    if isinstance(attempt, NotPlain):
        payload = _gathered(value, found)
    if payload is None or (len(payload) >= LARGE and _may_hide_an_array(payload)):
        found.clear()
        payload = _with_care(value, FIRST_PROTOCOL, found)
    return _without_large(payload, found)


def _gathered(value: Any, found: list[memoryview]) -> bytes | None:
    """The result of :func:`_with_care`, but faster. None if a buffer needs that function; one large array does not."""

    def is_copied(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.readonly and _is_array_s(view):
            raise NotPlain
        return not _takes(view, found)

    try:
        return pickle.dumps(value, FIRST_PROTOCOL, buffer_callback=is_copied)
    except (NotPlain, TypeError):
        return None


def _may_hide_an_array(payload: bytes) -> bool:
    """Whether the pickle has large bytes, which may be those of a large array that is not contiguous."""
    if "numpy" not in sys.modules:
        return False
    from coshelf.values.pickle_surgery import has_large_bytes

    return has_large_bytes(payload)


def _takes(view: memoryview, found: list[memoryview]) -> bool:
    """Add a buffer to those beside the pickle, if it is large and a blob can take it. Returns whether it was added."""
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
    # The pickler must not refer to itself: then the garbage collector could clear views that have exports.
    pickler = _CarefulPickler(file, protocol, buffer_callback=is_copied if protocol >= FIRST_PROTOCOL else None)
    pickler.protocol = protocol
    pickler.dump(value)
    return file.getvalue()


class _CarefulPickler(pickle.Pickler):
    """Pickles memoryviews and arrays of numpy so that their buffers are passed on, and are not marked as read-only."""

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
            flat = pickle.PickleBuffer(declared_writable(flat) if isinstance(flat, memoryview) else flat)
        else:
            flat = pickle.PickleBuffer(flat)
        if view.format == "B" and view.ndim == 1:
            return memoryview, (flat,)
        return shaped, (flat, view.format, view.shape)


def _reduced_array(value: Any) -> Any:
    """The reduced form of a numpy array whose buffer would not be passed on, or would be marked as read-only."""
    import numpy as np

    if type(value) is not np.ndarray or value.dtype.hasobject:
        return NotImplemented
    is_in_pieces = not (value.flags.c_contiguous or value.flags.f_contiguous)
    has_no_buffer = value.dtype.kind in "mM"  # numpy offers no buffer of dates
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
    return function, (pickle.PickleBuffer(declared_writable(view) if view.readonly and view.nbytes else view), *rest)
