"""Pickled keys. Equal keys have equal bytes, as far as their pickles can show it."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from typing import Any

__all__ = ["is_stored_raw", "pickled_key"]

_MOST, _LEAST = (1 << 63) - 1, -(1 << 63)


def is_stored_raw(key: Any) -> bool:
    """Whether a key is stored as it is: str, bytes, an int of 64 bits, a float."""
    kind = type(key)
    if kind is int:
        return bool(_LEAST <= key <= _MOST)
    # NaN is not equal to itself. Its pickle is.
    return kind is str or kind is bytes or (kind is float and not math.isnan(key))


def pickled_key(key: Any, protocol: int) -> bytes:
    """The pickle of a key, without a memo.

    A memo would tell one object that occurs twice from two equal objects: ``(a, a)`` and ``(a, b)`` would be two keys.
    An object that holds itself needs the memo.
    """
    try:
        file = io.BytesIO()
        pickler = pickle.Pickler(file, protocol)
        pickler.fast = True
        pickler.dump(key)
    except (ValueError, RecursionError):
        return pickletools.optimize(pickle.dumps(key, protocol))
    return file.getvalue()
