"""Bytes of any size as values of a shelf, so that large ones come back in place."""

from __future__ import annotations

from typing import Any

from coshelf.errors import UnreadableValue
from coshelf.keys import shown
from coshelf.values.blobs import LARGE

__all__ = ["as_value", "view_of"]


def as_value(data: bytes | bytearray | memoryview) -> bytes | memoryview:
    """The value that holds these bytes: ``bytes``, or from 1 MiB on a view, which the lmdb engine stores as a blob.

    >>> as_value(bytearray(b"abc"))
    b'abc'
    """
    view = memoryview(data)
    if view.nbytes < LARGE:
        return bytes(view)
    return view.cast("B")


def view_of(key: Any, value: Any) -> memoryview:
    """The bytes of a value that :func:`as_value` made.

    Raises:
        UnreadableValue: the value is something else, which the program stored itself.

    >>> bytes(view_of("a", b"abc")[1:])
    b'bc'
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return memoryview(value).cast("B")
    raise UnreadableValue(f"the value for key {shown(key)} is of type {type(value).__name__}, and not bytes", key)
