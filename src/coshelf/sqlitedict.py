"""``sqlitedict`` with the same names and the same files, correct between threads and processes.

Existing files are used in place, through ``sqlite3``, and new ones have the same schema. Processes that still run
sqlitedict may use a file at the same time. docs/coming-from-sqlitedict.md says what differs.

>>> from coshelf.sqlitedict import SqliteDict
>>> import os, tempfile
>>> with tempfile.TemporaryDirectory() as directory:
...     path = os.path.join(directory, "recipes.sqlite")
...     with SqliteDict(path, tablename="soups") as soups:  # leaving the block commits
...         soups["leek"] = {"minutes": 40}
...     dict(SqliteDict(path, tablename="soups", flag="r"))
{'leek': {'minutes': 40}}
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pickle import dumps, loads
from types import TracebackType
from typing import Any, Self

from coshelf.dropin.sqlitedict import files
from coshelf.dropin.sqlitedict.connection import SqliteMultithread, path_of
from coshelf.dropin.sqlitedict.converting import convert
from coshelf.dropin.sqlitedict.encoding import (
    PICKLE_PROTOCOL,
    UnusableKey,
    decode,
    decode_key,
    encode,
    encode_key,
    identity,
)
from coshelf.dropin.sqlitedict.table import Table
from coshelf.trust.database_marks import exposure, new_number, origin

__all__ = [
    "PICKLE_PROTOCOL",
    "SqliteDict",
    "SqliteMultithread",
    "UnusableKey",
    "convert",
    "decode",
    "decode_key",
    "dumps",
    "encode",
    "encode_key",
    "identity",
    "loads",
    "logger",
    "open",
]

__version__ = "2.1.0"
logger = logging.getLogger("sqlitedict")


class SqliteDict(Table):
    """A table of an SQLite file as a dict. Threads may share it, and any number of processes may open the file.

    Without ``autocommit``, changes are seen by others after :meth:`commit`, :meth:`clear` and at the end of a ``with``
    block. Until then, other writers of the file wait. :meth:`close` undoes changes that were not committed, and so does
    a block that raises. A call that fails raises its error at once.

    Args:
        filename: the path. None: a temporary file, which :meth:`close` removes. ":memory:": no file.
        tablename: the table. A file may have several.
        flag: "c": make the file and the table if they are missing. "r": read only. "w": empty the table. "n": delete
            the file first, with all its tables.
        autocommit: commit every change at once.
        journal_mode: SQLite's journal mode of the file: "DELETE", "WAL", "TRUNCATE", "PERSIST", "MEMORY" or "OFF". If
            others use the file in mode WAL, it stays in that mode.
        encode: makes bytes, text or a number of a value. By default, a pickle.
        decode: the reverse. With the default, any object is loaded if this user has made the file and no other user can
            write it, otherwise plain data.
        encode_key: makes a text of a key.
        decode_key: the reverse.
        timeout: seconds that a call waits while others lock the file.
        outer_stack: without effect. Errors always have the stack of the call.
        synchronous: when SQLite waits for the disk: "OFF", "NORMAL", "FULL" or "EXTRA". None: "NORMAL" in journal mode
            WAL, otherwise "OFF", with which a power cut can damage the file.
        trust: whether pickles may be any objects. None: it depends on the file, as ``decode`` says.
        allow: classes and functions that are loaded beside plain data.

    Raises:
        RuntimeError: the flag is unknown, the directory does not exist, or the table does not exist and flag is "r".
        sqlite3.DatabaseError: SQLite cannot open the file.
        ValueError: ``journal_mode``, ``synchronous`` or ``timeout`` is not a possible value.
    """

    VALID_FLAGS = ["c", "r", "w", "n"]  # noqa: RUF012 (a list, as sqlitedict has)

    def __init__(
        self,
        filename: str | bytes | os.PathLike[Any] | None = None,
        tablename: str = "unnamed",
        flag: str = "c",
        autocommit: bool = False,
        journal_mode: str | None = "DELETE",
        encode: Callable[[Any], Any] = encode,
        decode: Callable[[Any], Any] = decode,
        encode_key: Callable[[Any], Any] = identity,
        decode_key: Callable[[Any], Any] = identity,
        timeout: float = 5,
        outer_stack: bool = True,
        *,
        synchronous: str | None = None,
        trust: bool | None = None,
        allow: Iterable[Callable[..., Any]] = (),
    ) -> None:
        self.conn = None
        self.in_temp = filename is None
        self._maker = os.getpid()
        if flag not in SqliteDict.VALID_FLAGS:
            raise RuntimeError(f"Unrecognized flag: {flag}")
        self.flag = flag
        self.tablename = tablename.replace('"', '""')
        self.autocommit = autocommit
        self.journal_mode = journal_mode
        self.encode, self.decode = encode, decode
        self.encode_key, self.decode_key = encode_key, decode_key
        self._given = (encode, decode, encode_key, decode_key)
        self._timeout, self._outer_stack, self._synchronous = timeout, outer_stack, synchronous
        self._trust, self._allow = trust, tuple(allow)
        if filename is None:
            self._refuse_new_table(flag == "r")
            filename = files.make_temporary()
        self.filename = filename
        self._path = path_of(filename)
        logger.debug("opening Sqlite table %r in %r", tablename, filename)
        try:
            self._open(flag)
        except BaseException:
            self.close(do_log=False, force=True)
            raise

    # --- opening -----------------------------------------------------------------------------------------------------

    def _open(self, flag: str) -> None:
        is_new = self._path is None or self.in_temp
        if self._path is not None:
            is_new |= self._find_file(self._path, flag)
        exposed = None if self._path is None or self.in_temp else exposure(self._path)
        self.conn = self._new_conn()
        if flag == "r":
            self._refuse_new_table(self.conn.select_one(_HAS_TABLE, (self.tablename.replace('""', '"'),)) is None)
        else:
            self._make_table(self.conn, is_new=is_new)
        self._guard(self.conn, exposed)
        if flag == "w":
            self.clear()

    def _find_file(self, path: str, flag: str) -> bool:
        """Make or delete the file, as the flag says. Return whether there is an empty one, which is to be marked."""
        directory = os.path.dirname(path)
        if not os.path.exists(directory):
            raise RuntimeError(f"Error! The directory does not exist, {directory}")
        if flag == "n" and os.path.exists(path):
            files.discard(path)
        if not os.path.exists(path):
            self._refuse_new_table(flag == "r")
            files.create(path, self.tablename)
            return False
        return files.is_empty(path)

    def _new_conn(self) -> SqliteMultithread:
        return SqliteMultithread(
            self.filename,
            self.autocommit,
            self.journal_mode,
            self._outer_stack,
            timeout=self._timeout,
            synchronous=self._synchronous,
            mode="ro" if self.flag == "r" else "rw",
            connect=sqlite3.connect,
        )

    def _make_table(self, connection: SqliteMultithread, *, is_new: bool) -> None:
        if self._path is not None and is_new and not self.in_temp:
            number = new_number()
            connection.execute(f"PRAGMA application_id = {number}")
            files.mark(self._path, number)
        connection.execute(files.TABLE.format(self.tablename))
        connection.commit()

    def _refuse_new_table(self, is_refused: bool) -> None:
        if is_refused:
            name = self.tablename.replace('""', '"')
            raise RuntimeError(f'Refusing to create a new table "{name}" in read-only DB mode')

    def _guard(self, connection: SqliteMultithread, exposed: str | None) -> None:
        """Let default functions load plain data only, if another user may have written the file."""
        encode_value, decode_value, _, decode_name = self._given
        if encode_value is not encode and decode_value is not decode and decode_name is not decode_key:
            return
        reason = exposed
        if self._trust is None and self._path is not None and not self.in_temp:
            reason = origin(self._path, _number_of(connection)) or exposed
        if self._trust or (self._trust is None and reason is None):
            return
        from coshelf.dropin.sqlitedict.trusting import GuardedPickles  # with the gate, which few need

        where = f"table {self.tablename!r} of {self._path or self.filename!r}"
        guarded = GuardedPickles(where, None if self._trust is False else reason, self._allow, self._path)
        if encode_value is encode:
            self.encode = guarded.encode
        if decode_value is decode:
            self.decode = guarded.decode
        if decode_name is decode_key:
            self.decode_key = guarded.decode_key

    def __enter__(self) -> Self:
        if self.conn is None:
            if self.in_temp:
                self.filename = self._path = files.make_temporary()
            self._open("r" if self.flag == "r" else "c")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None and self.flag != "r":
            self.commit()
        self.close(force=True)

    # --- committing and closing --------------------------------------------------------------------------------------

    def commit(self, blocking: bool = True) -> None:
        """Commit all changes. If it raises, they stay uncommitted. ``blocking`` is without effect."""
        if self.conn is not None:
            self.conn.commit(blocking)

    sync = commit

    def close(self, do_log: bool = True, force: bool = False) -> None:
        """Close, and undo changes that were not committed. The end of a ``with`` block commits them before.

        Args:
            do_log: whether the logger is told.
            force: whether it is not told that changes were undone.
        """
        if do_log:
            logger.debug("closing %s", self)
        if self.conn is not None:
            if do_log and not force and self.conn.has_changes:
                logger.warning("%s is closed with changes that were not committed; they are undone", self)
            self.conn.close()
            self.conn = None
        if self.in_temp and self._maker == os.getpid() and self._path is not None:
            files.remove_temporary(self._path)

    def terminate(self) -> None:
        """Close, and delete the file with all its tables. An error of deleting is logged."""
        self._refuse_reader("terminate")
        self.close(force=True)
        if self._path is None or not os.path.isfile(self._path):
            return
        logger.info("deleting %s", self.filename)
        try:
            files.discard(self._path)
        except OSError:
            logger.exception("failed to delete %s", self.filename)

    def __del__(self) -> None:
        # The interpreter may be ending, or __init__ may have failed.
        if getattr(self, "conn", None) is not None:
            self.close(do_log=False, force=True)

    @staticmethod
    def get_tablenames(filename: str | bytes | os.PathLike[Any]) -> list[str]:
        """The names of the tables of a file. Raises OSError if the file does not exist."""
        if not os.path.isfile(filename):
            raise OSError(f"file {os.fsdecode(filename)} does not exist")
        with closing(SqliteMultithread(filename, True, None, mode="ro", connect=sqlite3.connect)) as connection:
            return [name for (name,) in connection.rows(_TABLES, (), None)]

    # --- the object --------------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        return f"SqliteDict({self.filename!s})"

    __repr__ = __str__

    def __reduce__(self) -> Any:
        """Another process opens the same file. It does not empty or delete it."""
        if self._path is None or self.in_temp:
            raise TypeError(f"{self} cannot be pickled: its table exists for this process only")
        names = ("encode", "decode", "encode_key", "decode_key")
        arguments = dict(zip(names, self._given, strict=True)) | {
            "filename": self._path,
            "tablename": self.tablename.replace('""', '"'),
            "flag": "r" if self.flag == "r" else "c",
            "autocommit": self.autocommit,
            "journal_mode": self.journal_mode,
            "timeout": self._timeout,
            "outer_stack": self._outer_stack,
            "synchronous": self._synchronous,
            "trust": self._trust,
            "allow": self._allow,
        }
        return _reopened, (type(self), arguments)


_HAS_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"


def _number_of(connection: SqliteMultithread) -> int:
    found = connection.select_one("PRAGMA application_id")
    return 0 if found is None else int(found[0])


def _reopened(kind: type[SqliteDict], arguments: dict[str, Any]) -> SqliteDict:
    opened = kind.__new__(kind)
    SqliteDict.__init__(opened, **arguments)
    return opened


def open(*args: Any, **kwargs: Any) -> SqliteDict:
    """Make a :class:`SqliteDict`, with the same arguments."""
    return SqliteDict(*args, **kwargs)
