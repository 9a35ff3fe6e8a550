"""How keys and values become what SQLite stores, as sqlitedict writes them."""

from __future__ import annotations

import math
import pickle
import sqlite3
from base64 import b64decode, b64encode
from typing import Any

from coshelf.errors import InvalidKey
from coshelf.keys import shown

__all__ = ["PICKLE_PROTOCOL", "UnusableKey", "decode", "decode_key", "encode", "encode_key", "identity", "refuse_key"]

PICKLE_PROTOCOL = pickle.HIGHEST_PROTOCOL
_SIMPLE = (str, int, bytes, bytearray, memoryview)


class UnusableKey(InvalidKey, sqlite3.ProgrammingError):
    """The object cannot be a key of a table. It is a ``ProgrammingError``, which sqlitedict raises at a later call."""


def encode(obj: Any) -> memoryview:
    """The pickle of an object, in the form in which SQLite takes bytes.

    >>> decode(encode({"a": 1}))
    {'a': 1}
    """
    return sqlite3.Binary(pickle.dumps(obj, protocol=PICKLE_PROTOCOL))


def decode(obj: Any) -> Any:
    """The object of a pickle. A pickle can run code, so call this for bytes of your own only.

    A ``SqliteDict`` that was opened with this function does more: it loads plain data only if its file is not your own.
    """
    return pickle.loads(bytes(obj))


def encode_key(key: Any) -> str:
    """The pickle of a key, as text in base64. Use it as ``encode_key=``, together with :func:`decode_key`.

    >>> decode_key(encode_key((0, 1, "x")))
    (0, 1, 'x')
    """
    return b64encode(pickle.dumps(key, protocol=PICKLE_PROTOCOL)).decode("ascii")


def decode_key(key: str) -> Any:
    """The key for a text of :func:`encode_key`. A pickle can run code, as for :func:`decode`."""
    return pickle.loads(b64decode(key.encode("ascii")))


def identity(obj: Any) -> Any:
    """The object itself: keys that need no encoding."""
    return obj


def refuse_key(key: Any, encoded: Any, *, writing: bool) -> None:
    """Raise :class:`UnusableKey` if SQLite cannot store the encoded key, or would not find it again."""
    if isinstance(encoded, _SIMPLE):
        return
    if encoded is None or (isinstance(encoded, float) and math.isnan(encoded)):
        if writing:  # a missing key, for a reader
            raise UnusableKey(f"{shown(key)} cannot be a key: SQLite stores it as NULL, which equals nothing")
    elif not isinstance(encoded, float) and not _is_adapted(encoded):
        raise UnusableKey(
            f"{shown(key)}, of type {type(encoded).__name__}, cannot be a key of a table; a key is a str\n"
            "  hint: give encode_key=coshelf.sqlitedict.encode_key and decode_key=coshelf.sqlitedict.decode_key"
        )


def _is_adapted(encoded: Any) -> bool:
    """Whether the program has told ``sqlite3`` how to store objects of this type."""
    return hasattr(encoded, "__conform__") or (type(encoded), sqlite3.PrepareProtocol) in sqlite3.adapters
