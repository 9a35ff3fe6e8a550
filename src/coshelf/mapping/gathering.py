"""Gathers the entries of an update: keys and values become bytes, many of them in one call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coshelf import native
from coshelf.mapping.namespace import Namespace
from coshelf.values.codec import Codec
from coshelf.values.pickled import PickleCodec

__all__ = ["gather", "is_gathered_in_c"]

_PIECE = 1 << 20  # bytes that one call gathers, without the last entry
_OVERHEAD = 200  # bytes that a dict and two bytes objects take beside what they hold; as in native/batch.c

_Item = tuple[Any, Any]


def is_gathered_in_c(namespace: Namespace, codec: Codec) -> bool:
    """Whether the module in C makes the bytes of entries of plain data."""
    return native.in_use and not namespace.prefix and type(codec) is PickleCodec and codec.is_plain


def gather(puts: dict[bytes, bytes], items: Iterator[_Item], namespace: Namespace, codec: Codec) -> bool:
    """Add keys and bodies to ``puts``, some megabyte of them. Return whether there may be more items.

    If an item cannot be stored, ``puts`` has those before it. Raises the errors of ``encode`` and ``dump``.
    """
    encode, dump = namespace.encode, codec.dump
    if is_gathered_in_c(namespace, codec):

        def store(item: _Item) -> int:
            key, value = item
            encoded = encode(key)
            puts[encoded] = body = dump(key, encoded, value)
            return len(encoded) + len(body) + _OVERHEAD

        return native.gather(puts, items, store, _PIECE)
    size = 0
    for key, value in items:
        encoded = encode(key)
        puts[encoded] = body = dump(key, encoded, value)
        size += len(encoded) + len(body) + _OVERHEAD
        if size >= _PIECE:
            return True
    return False
