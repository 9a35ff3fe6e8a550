"""Decodes keys and values of other stores. No pickle runs code: values stay pickles, and a key's pickle is read only as
far as it holds plain keys.
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
"""How sqlitedict's keys were encoded as text."""

VALUES = ("pickle", "json", "pickle-zlib", "bytes")
"""How values were encoded as bytes."""

_LONGEST_KEY = 100_000  # bytes of the key's pickle
_LARGEST = 1 << 30  # bytes after decompression


class Key(NamedTuple):
    """A key that was read."""

    key: Any


class _KeyUnpickler(pickle.Unpickler):
    """Reads text, numbers and tuples. It refuses to look up any name."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def decoded_key(text: str, how: str | None) -> Key | Left:
    """The key for a text of sqlitedict. By default it is the text itself, unless that looks like a pickle in base64."""
    if how == "text":
        return Key(text)
    try:
        key = _unpickled_key(base64.b64decode(text, validate=True))
    except Exception as error:  # a pickle can raise any error
        if how is None:
            return Key(text)
        return Left(shown(text), f"the key is not a pickle of a key in base64: {error}")
    if how is None:
        return Left(
            shown(text),
            f"the key looks like {shown(key)} as sqlitedict.encode_key writes it (--keys pickle-base64|text)",
        )
    return Key(key)


def _unpickled_key(data: bytes) -> Any:
    if len(data) > _LONGEST_KEY or data[:1] != b"\x80" or data[-1:] != b".":
        raise ValueError("it is not a pickle, or too long")
    try:
        key = _KeyUnpickler(io.BytesIO(data)).load()
    except (binascii.Error, EOFError, IndexError) as error:
        raise ValueError(str(error)) from error
    if not is_key_type(key):
        raise ValueError(f"{type(key).__name__} is not a type of keys")
    return key


def decoded_value(key: Any, data: object, how: str) -> SourceEntry | Left:
    """An entry with its value decoded from the named form."""
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
    """Decompress zlib data. Raises ValueError and zlib.error if it is something else, incomplete or too large."""
    machine = zlib.decompressobj()
    found = machine.decompress(data, _LARGEST)
    if not machine.eof or machine.unused_data:
        raise ValueError("it is incomplete, or too large" if not machine.eof else "there is more data after its end")
    return found
