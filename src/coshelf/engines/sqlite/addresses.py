"""The name by which SQLite opens a file."""

from __future__ import annotations

import os
from urllib.parse import quote

__all__ = ["uri_of"]


def uri_of(path: str, mode: str) -> str:
    """The URI of a database file. ``mode`` is "ro" or "rw": SQLite never makes the file.

    Every byte that has a meaning in a URI is encoded, also slashes and backslashes. So SQLite takes the path as it is,
    whatever system it is from: no part of it is a host, a query or a fragment.

    >>> uri_of("/data/a#b.db", "rw")
    'file:%2Fdata%2Fa%23b.db?mode=rw'
    >>> uri_of("C:\\\\data\\\\x.db", "ro")
    'file:C%3A%5Cdata%5Cx.db?mode=ro'
    """
    return f"file:{quote(os.fsencode(path), safe='')}?mode={mode}"
