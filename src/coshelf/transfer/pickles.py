"""Values that are moved as pickles. They are examined, and never loaded."""

from __future__ import annotations

import pickle
from typing import Any

from coshelf.engines.files.pickle_files import is_whole
from coshelf.keys import shown
from coshelf.transfer.report import Left
from coshelf.transfer.source import SourceEntry

__all__ = ["entry", "pickled"]


def pickled(value: Any) -> bytes:
    """The pickle of a plain value: bytes, text, a number, or a value from JSON."""
    return pickle.dumps(value)


def entry(key: Any, data: object) -> SourceEntry | Left:
    """An entry whose value should be a pickle; a :class:`Left` if it is not."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        return Left(shown(key), f"the value is not a pickle, but of type {type(data).__name__} (--values json?)")
    if not is_whole(bytes(data), 0.0):
        return Left(
            shown(key),
            f"the value, of {len(data)} bytes, is not a complete pickle (--values bytes accepts any bytes)",
        )
    return SourceEntry(key, bytes(data))
