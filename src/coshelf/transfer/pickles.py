"""Values that move as pickles, looked at and never loaded."""

from __future__ import annotations

import pickle
from typing import Any

from coshelf.engines.files.pickle_files import is_whole
from coshelf.keys import shown
from coshelf.transfer.report import Left
from coshelf.transfer.source import SourceEntry

__all__ = ["entry", "pickled"]


def pickled(value: Any) -> bytes:
    """A value of ours as a pickle: bytes, text, a number, or what JSON has."""
    return pickle.dumps(value)


def entry(key: Any, data: object) -> SourceEntry | Left:
    """An entry whose value is said to be a pickle."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        return Left(shown(key), f"the value is no pickle, but of type {type(data).__name__} (--values json?)")
    if not is_whole(bytes(data), 0.0):
        return Left(
            shown(key),
            f"the value, of {len(data)} bytes, is no whole pickle (--values bytes takes any bytes)",
        )
    return SourceEntry(key, bytes(data))
