"""A drop-in for :mod:`dbm`: ``open``, ``error`` and ``whichdb``, over a shelf that every process shares.

``open`` makes a coshelf file of exactly that name, with bytes as keys and values. :func:`coshelf.open` shows the same
entries. A database that another dbm module made is opened by that module. As with every dbm, files have mode 0666 less
the umask, and a database that is opened is trusted.

>>> import coshelf.dbm, os, tempfile
>>> with tempfile.TemporaryDirectory() as directory:
...     with coshelf.dbm.open(os.path.join(directory, "cache"), "c") as database:
...         database[b"key"] = b"value"
...         database["key"], database.keys(), coshelf.dbm.whichdb(os.path.join(directory, "cache"))
(b'value', [b'key'], 'coshelf.dbm')
"""

from __future__ import annotations

import dbm
import errno
import os
import stat
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from coshelf.dropin.bytes_face import BytesFace
from coshelf.engines.beginnings import kind_at
from coshelf.engines.old_shelves import SUFFIXES, found_beside
from coshelf.errors import NotAShelf, ShelfNotFound
from coshelf.opening import open_with_codec
from coshelf.system.files.taking_place import discard
from coshelf.system.rights import umask
from coshelf.values.front_doors import PICKLES, FrontDoor

if TYPE_CHECKING:
    from coshelf.contract import Flag
    from coshelf.mapping.shelf import Shelf

__all__ = ["Database", "error", "open", "open_face", "whichdb"]

Filename = str | bytes | os.PathLike[str] | os.PathLike[bytes]


class _DbmError(OSError):
    """The error of the functions in this module."""


_DbmError.__name__ = _DbmError.__qualname__ = "error"


class _NoDatabase(ShelfNotFound, _DbmError):
    """A database of that name does not exist."""


class _UnknownDatabase(NotAShelf, _DbmError):
    """The file was not made by a known module."""


error = (_DbmError, OSError)
"""The errors of dbm functions, for ``except``, as in the original: this module's class, and OSError."""

_their_whichdb = dbm.whichdb  # kept, because a program may replace it by coshelf's
_PATIENCE = 5.0  # seconds to wait until a file that is to be replaced is unlocked


class Database(BytesFace):
    """A mapping from bytes to bytes, which :func:`open` returns. A str is used as its UTF-8 bytes."""

    def __init__(self, shelf: Shelf[Any, bytes]) -> None:
        super().__init__(shelf, b"", _bytes_key, bytes)

    @property
    def _shelf(self) -> Shelf[Any, bytes]:
        if self._opened.closed:
            raise _DbmError("DBM object has already been closed")
        return self._opened

    def firstkey(self) -> bytes | None:
        """The first key, as of a ``dbm.gnu`` object. None if the database is empty."""
        return next(iter(self), None)

    def nextkey(self, key: bytes) -> bytes | None:
        """The key after this one, in the order of the bytes. None at the end."""
        wanted = _bytes_key(key)
        following = self._shelf.keys(prefix=b"", start=wanted)
        return next((found for found in following if found != wanted), None)


def open(file: Filename, flag: str = "r", mode: int = 0o666) -> Any:
    """Open a database of bytes, as ``dbm.open``.

    Args:
        file: its path. A coshelf file has exactly this name.
        flag: "r" existing, only read; "w" existing; "c" made if missing; "n" always new. A second letter, as
            ``dbm.gnu`` takes one, has no effect: the database is always fast, synced and locked.
        mode: permission bits of a new file, less the umask.

    Raises:
        error: it does not exist, cannot be opened, or its kind is unknown.
        ValueError: the flag is unknown.

    Returns a :class:`Database`. For a file that another dbm module made, it returns an object of that module.
    """
    return open_face(file, flag, mode, PICKLES, Database)


def open_face(
    file: Filename, flag: str, mode: int, how: FrontDoor, face: Callable[[Shelf[Any, bytes]], BytesFace]
) -> Any:
    """A face of the shelf of that name. For a file that another dbm module made, an object of that module."""
    if not isinstance(flag, str):
        raise TypeError(f"flag must be a str, not {type(flag).__name__}")
    wanted = flag[:1]
    if wanted not in ("r", "w", "c", "n") or set(flag[1:]) - set("fsu"):
        raise ValueError(f"unknown flag {flag!r}: it must be 'r', 'w', 'c' or 'n'")
    path = os.path.abspath(os.fsdecode(file))  # an absolute path is never taken for a URL
    kind = whichdb(path)
    if wanted in ("c", "n"):
        mode &= ~umask.current()
    if wanted == "n":
        if kind != "coshelf.dbm":
            had = discard(path, lambda: not _is_ours(path), _PATIENCE)
            mode = mode if had is None else had
    elif kind == "":
        raise _UnknownDatabase(f"db type could not be determined: {path}")
    elif kind is not None and kind != "coshelf.dbm":
        return _open_old(path, flag, mode, kind)
    elif kind is None and wanted in ("r", "w") and not os.path.lexists(path):
        raise _NoDatabase(errno.ENOENT, "db file doesn't exist; use 'c' or 'n' flag to create a new db", path)
    chosen: Flag = wanted  # type: ignore[assignment]
    return face(open_with_codec(path, chosen, how, mode=mode))


def _open_old(path: str, flag: Any, mode: int, kind: str) -> Any:
    try:
        if _their_whichdb(path) is None:  # the module of this kind is missing
            raise _UnknownDatabase(f"db type is {kind}, but the module is not available: {path}")
        return dbm.open(path, flag, mode)
    except dbm.error[0] as failure:  # which is not an OSError
        raise _UnknownDatabase(f"{failure}: {path}") from failure


def whichdb(filename: Filename) -> str | None:
    """The module that made a database, as ``dbm.whichdb``: ``"coshelf.dbm"`` for a coshelf file.

    None if no readable database exists there. An empty str if the module is unknown.
    """
    path = os.fsdecode(filename)
    if _is_ours(path):
        return "coshelf.dbm"
    if kind_at(path) == "sqlite" and not any(os.path.lexists(path + suffix) for suffix in SUFFIXES):
        # The original would open and close the file. Then this process has lost the locks that SQLite has on it.
        return "dbm.sqlite3" if sys.version_info >= (3, 13) else ""
    kind = "" if _waits(path) else _their_whichdb(path)
    # A coshelf file may have been made between the two tests. It is never seen incomplete.
    if kind == "" and _is_ours(path):
        return "coshelf.dbm"
    if kind is None and not os.path.lexists(path) and (old := found_beside(path)) is not None:
        return old.kind  # this Python does not have the module
    return kind


def _waits(path: str) -> bool:
    """Whether the original ``whichdb`` could wait for ever: it opens files of any type, such as a FIFO."""
    for suffix in ("", *SUFFIXES):
        try:
            mode = os.stat(path + suffix).st_mode
        except (OSError, ValueError):  # opening it reports the error
            continue
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            return True
    return False


def _is_ours(path: str) -> bool:
    return kind_at(path) in ("lmdb", "sqlite shelf")


def _bytes_key(key: Any) -> bytes:
    if isinstance(key, str):
        return key.encode()
    if not isinstance(key, (bytes, bytearray)):
        raise TypeError(f"a key must be bytes or a string, not {type(key).__name__}")
    return bytes(key)
