"""Keys and values in the forms that other stores keep them in. No pickle runs code: values stay pickles, and of a key's
pickle only what can be a key is read.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import zlib
from typing import Any, NamedTuple, NoReturn

from coshelf.keys import is_key_type, shown
from coshelf.transfer.pickles import entry, pickled
from coshelf.transfer.report import Left
from coshelf.transfer.source import SourceEntry

__all__ = ["KEYS", "VALUES", "decoded_key", "decoded_value", "inflated"]

KEYS = ("text", "pickle-base64")
"""How sqlitedict's keys became text."""

VALUES = ("pickle", "json", "pickle-zlib", "bytes")
"""How values became bytes."""

_LONGEST_KEY = 100_000  # bytes of its pickle
_LARGEST = 1 << 30  # bytes of what was compressed


class Key(NamedTuple):
    """A key that was read."""

    key: Any


class _KeyUnpickler(pickle.Unpickler):
    """Reads texts, numbers and tuples: there is no name that it would look up."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def decoded_key(text: str, how: str | None) -> Key | Left:
    """The key that a text of sqlitedict stands for; by default itself, unless it looks like a pickle in base64."""
    if how == "text":
        return Key(text)
    try:
        key = _unpickled_key(base64.b64decode(text, validate=True))
    except Exception as error:  # whatever a pickle raises
        if how is None:
            return Key(text)
        return Left(shown(text), f"the key is no pickle of a key in base64: {error}")
    if how is None:
        return Left(
            shown(text),
            f"the key looks like {shown(key)} as sqlitedict.encode_key writes it (--keys pickle-base64|text)",
        )
    return Key(key)


def _unpickled_key(data: bytes) -> Any:
    if len(data) > _LONGEST_KEY or data[:1] != b"\x80" or data[-1:] != b".":
        raise ValueError("it is none")
    try:
        key = _KeyUnpickler(io.BytesIO(data)).load()
    except (binascii.Error, EOFError, IndexError) as error:
        raise ValueError(str(error)) from error
    if not is_key_type(key):
        raise ValueError(f"{type(key).__name__} is no type of a key")
    return key


def decoded_value(key: Any, data: object, how: str) -> SourceEntry | Left:
    """An entry, its value from the form that it is in."""
    if how == "bytes" and isinstance(data, (bytes, memoryview)):
        return SourceEntry(key, pickled(bytes(data)))
    try:
        if how == "json" and isinstance(data, (str, bytes)):
            return SourceEntry(key, pickled(json.loads(data)))
        if how == "pickle-zlib" and isinstance(data, bytes):
            return entry(key, inflated(data))
    except (ValueError, RecursionError, zlib.error) as error:
        return Left(shown(key), f"the value is not {how}: {error}")
    return entry(key, data)


def inflated(data: bytes) -> bytes:
    """What zlib has compressed. Raises ValueError and zlib.error if it has not, or if it is beyond all measure."""
    machine = zlib.decompressobj()
    found = machine.decompress(data, _LARGEST)
    if not machine.eof or machine.unused_data:
        raise ValueError("it is not whole, or too large" if not machine.eof else "something follows its end")
    return found
