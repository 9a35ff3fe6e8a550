"""Turns SQLite's errors into coshelf's."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager

from coshelf.errors import (
    CoshelfError,
    DamagedShelf,
    NotAShelf,
    ShelfLocked,
    ShelfPermissionError,
    StorageError,
    StorageFull,
    ValueTooLarge,
)

__all__ = ["translated"]

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_FORBIDDEN = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


class _Translation:
    """A context manager. It is a class because a generator takes a microsecond more."""

    __slots__ = ("_doing", "_path", "_timeout")

    def __init__(self, path: str, doing: str, timeout: float) -> None:
        self._path, self._doing, self._timeout = path, doing, timeout

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise translate(error, self._path, self._doing, self._timeout) from error
        if isinstance(error, OverflowError):
            raise ValueTooLarge(f"cannot {self._doing} {self._path}: {error}") from error
        if isinstance(error, UnicodeDecodeError):  # the text of SQLite's own error has bytes of the file
            raise DamagedShelf(f"{self._path} is damaged: its schema has bytes that are not UTF-8") from error


def translated(path: str, doing: str, timeout: float) -> AbstractContextManager[None]:
    """Turn an error of SQLite in the block into coshelf's, with path and operation."""
    return _Translation(path, doing, timeout)


def translate(error: sqlite3.Error, path: str, doing: str, timeout: float) -> CoshelfError:
    """coshelf's error for an error of SQLite."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the higher bits are details
    if code in _BUSY:
        return ShelfLocked(
            f"shelf is locked: {path}\n  by a program that writes it without coshelf; waited {timeout:g} s"
        )
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(f"cannot {doing} {path}: no space left on the device; nothing of this commit was stored")
    if code == sqlite3.SQLITE_NOTADB and doing == "open":
        return NotAShelf(f"{path} is not a shelf of the sqlite engine; it has not been changed")
    if code in _DAMAGE:
        return DamagedShelf(f"{path} is damaged: {error}")
    if code in _FORBIDDEN:
        return ShelfPermissionError(f"this user may not {doing} the shelf {path}, or the files beside it: {error}")
    if code == sqlite3.SQLITE_TOOBIG or isinstance(error, sqlite3.DataError):
        return ValueTooLarge(f"cannot {doing} {path}: {error}")
    return StorageError(f"cannot {doing} {path}: {error}")
