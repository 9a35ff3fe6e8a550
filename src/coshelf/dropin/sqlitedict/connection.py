"""One connection to an SQLite file, which threads share. Each call does its work before it returns."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any
from urllib.parse import quote

from coshelf.dropin.sqlitedict import files, forks
from coshelf.system.threads.cooperation import new_reentrant_lock
from coshelf.system.waiting.timeouts import usable_timeout

__all__ = ["JOURNAL_MODES", "SYNCHRONOUS", "SqliteMultithread", "has_uncommitted", "path_of"]

JOURNAL_MODES = ("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL", "OFF")
SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
_LONGEST_TIMEOUT = 2_000_000  # seconds; SQLite counts milliseconds in 31 bits
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NO_PARAMETERS: tuple[Any, ...] = ()

_log = logging.getLogger("sqlitedict.SqliteMultithread")
_inherited_in_use: set[tuple[int, int]] = set()
"""Device and inode of files that the parent of this process was changing when it forked."""


def path_of(filename: str | bytes | os.PathLike[Any]) -> str | None:
    """The absolute path of a database, or None if it is not a file: ``:memory:``, or the empty name."""
    name = os.fsdecode(filename)
    return None if name in (":memory:", "") else os.path.realpath(name)


class SqliteMultithread:
    """A connection that any number of threads use, one call at a time. Errors are raised by the call that they concern.

    Args:
        filename: the path, or ":memory:".
        autocommit: whether each statement is committed at once. Otherwise a first change begins a transaction, and
            other processes wait for its end to write.
        journal_mode: one of SQLite's journal modes. None keeps the one of the file.
        outer_stack: without effect, since errors have the stack of the call.
        timeout: seconds that a call waits for other connections that lock the file.
        synchronous: when SQLite waits for the disk. None: NORMAL in journal mode WAL, otherwise OFF.
        mode: "rwc", "rw" or "ro": whether a file is made, and whether it may be changed.
        connect: ``sqlite3.connect``.

    Raises:
        sqlite3.OperationalError: the file cannot be opened.
        ValueError: the timeout is negative, or the journal mode or ``synchronous`` is unknown.
    """

    def __init__(
        self,
        filename: str | bytes | os.PathLike[Any],
        autocommit: bool,
        journal_mode: str | None,
        outer_stack: bool = True,
        *,
        timeout: float = 5,
        synchronous: str | None = None,
        mode: str = "rwc",
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> None:
        self.filename = filename
        self.autocommit = autocommit
        self.journal_mode = _one_of("journal_mode", journal_mode, JOURNAL_MODES)
        self.synchronous = _one_of("synchronous", synchronous, SYNCHRONOUS)
        self.timeout = min(usable_timeout(timeout), _LONGEST_TIMEOUT)
        self.path = path_of(filename)
        self._mode = mode
        self._connect = connect
        self._lock = new_reentrant_lock()
        self._depth = 0  # of the blocks of together()
        self._is_closed = False
        self._refusal: str | None = None
        self._is_held_for_fork = False
        self._connection: sqlite3.Connection | None = self._opened()
        forks.watch(self)

    # --- opening -----------------------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        if self.path is not None and _identity(self.path) in _inherited_in_use:
            self._refusal = _forked(self.path)
            raise sqlite3.OperationalError(self._refusal)
        target = ":memory:" if self.path is None else _address(self.path, self._mode)
        try:
            connection = self._connect(
                target,
                timeout=self.timeout,
                uri=self.path is not None,
                isolation_level=None if self.autocommit else "IMMEDIATE",
                check_same_thread=False,
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            self._tell(error)
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # SQLite must not run functions that triggers and views in the file name.
        connection.execute("PRAGMA trusted_schema = OFF").close()
        connection.execute("PRAGMA cell_size_check = ON").close()
        if self.path is not None:  # before anything is changed
            files.refuse_shelf(self.path, connection.execute("PRAGMA application_id").fetchone()[0])
        if self._mode == "ro":
            connection.execute("PRAGMA query_only = ON").close()
            connection.execute("SELECT count(*) FROM sqlite_master").close()
            return
        found = self._with_journal_mode(connection)
        wanted = self.synchronous or ("NORMAL" if found == "wal" else "OFF")
        connection.execute(f"PRAGMA synchronous = {wanted}").close()

    def _with_journal_mode(self, connection: sqlite3.Connection) -> Any:
        """Set the mode, and return the one that the file has then."""
        try:
            if self.journal_mode is not None:
                # Without a journal, undoing half a step would damage the file.
                mode = "MEMORY" if self.journal_mode == "OFF" else self.journal_mode
                return connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            # Other connections use the file in another mode. All connections can write in that mode.
            _log.debug("%s keeps its journal mode: %s", self.path, error)
        return connection.execute("PRAGMA journal_mode").fetchone()[0]

    def _ready(self) -> sqlite3.Connection:
        if self._connection is None:
            if self._refusal is not None:
                raise sqlite3.OperationalError(self._refusal)
            if self._is_closed:
                raise sqlite3.ProgrammingError(f"the connection to {self.filename!r} has been closed")
            self._connection = self._opened()
        return self._connection

    # --- statements --------------------------------------------------------------------------------------------------

    def execute(self, req: str, arg: Sequence[Any] | None = None, res: object = None) -> None:
        """Run a statement. Without autocommit, a first change begins a transaction. ``res`` is without effect."""
        self.changed(req, arg or _NO_PARAMETERS)

    def changed(self, req: str, arg: Sequence[Any] = _NO_PARAMETERS) -> int:
        """Run a statement, and return how many rows it has changed."""
        with self._lock:
            connection = self._ready()
            was_idle = not connection.in_transaction
            try:
                cursor = connection.execute(req, arg)
                number = cursor.rowcount
                cursor.close()
            except BaseException as error:
                self._failed(connection, was_idle, error)
                raise
            if number == 0:
                self._release(connection, was_idle)
            return number

    def executemany(self, req: str, items: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each of the items: for all of them, or after an error for none."""
        with self.together() as connection:
            connection.executemany(req, items).close()

    def select(self, req: str, arg: Sequence[Any] | None = None) -> Iterator[tuple[Any, ...]]:
        """The rows of a query. It runs when the first row is asked for, and all rows are read then."""
        yield from self.rows(req, arg or _NO_PARAMETERS, None)

    def rows(self, req: str, arg: Sequence[Any], most: int | None) -> list[tuple[Any, ...]]:
        """The first rows of a query, or all. No statement stays open, so nobody waits for the caller."""
        with self._lock:
            connection = self._ready()
            was_idle = not connection.in_transaction
            try:
                cursor = connection.cursor()
                cursor.execute(req, arg)
                found = list(islice(cursor, most))
                cursor.close()
            except BaseException as error:
                self._failed(connection, was_idle, error)
                raise
            return found

    def select_one(self, req: str, arg: Sequence[Any] | None = None) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        with self._lock:
            connection = self._ready()
            was_idle = not connection.in_transaction
            try:
                cursor = connection.execute(req, arg or _NO_PARAMETERS)
                found: tuple[Any, ...] | None = cursor.fetchone()
                cursor.close()
            except BaseException as error:
                self._failed(connection, was_idle, error)
                raise
            return found

    @contextmanager
    def together(self) -> Iterator[sqlite3.Connection]:
        """Several statements in one step: all of them, or after an exception none. No other process writes meanwhile.

        The block is part of the transaction that is open. If none is open, it is a transaction of its own, which is
        committed with autocommit, and stays open without.
        """
        with self._lock:
            connection = self._ready()
            was_idle = not connection.in_transaction
            before = connection.total_changes
            has_begun = False
            try:
                connection.execute("BEGIN IMMEDIATE" if was_idle else "SAVEPOINT coshelf")
                has_begun = True
                self._depth += 1
                try:
                    yield connection
                finally:
                    self._depth -= 1
                if not was_idle:
                    connection.execute("RELEASE coshelf")
                elif self.autocommit or connection.total_changes == before:
                    connection.execute("COMMIT")
            except BaseException as error:
                if was_idle:
                    self._release(connection, was_idle)
                elif has_begun and connection.in_transaction:  # otherwise SQLite has undone everything
                    connection.execute("ROLLBACK TO coshelf")
                    connection.execute("RELEASE coshelf")
                self._tell(error)
                raise

    def _failed(self, connection: sqlite3.Connection, was_idle: bool, error: BaseException) -> None:
        self._release(connection, was_idle)
        self._tell(error)

    @staticmethod
    def _release(connection: sqlite3.Connection, was_idle: bool) -> None:
        """End the transaction that a statement or block began, and undo it."""
        if was_idle and connection.in_transaction:
            connection.rollback()

    # --- the end -----------------------------------------------------------------------------------------------------

    def commit(self, blocking: bool = True) -> None:
        """Commit what has changed. If it raises, the changes stay uncommitted, and can be committed later."""
        with self._lock:
            if self._refusal is not None or self._is_closed:
                self._ready()  # raises
            if self._connection is None or self._depth:
                return  # nothing has changed, or the block that is running commits
            try:
                self._connection.commit()
            except sqlite3.Error as error:
                self._tell(error)
                raise

    def close(self, force: bool = False) -> None:
        """Close the connection. Changes that were not committed are undone. ``force`` is without effect."""
        with self._lock:
            self._is_closed = True
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    @property
    def has_changes(self) -> bool:
        """Whether there are changes that were not committed."""
        connection = self._connection
        return connection is not None and connection.in_transaction

    def _tell(self, error: BaseException) -> None:
        """Say in a note what an error of SQLite means."""
        if not isinstance(error, sqlite3.Error) or hasattr(error, "__notes__"):
            return
        if _is_busy(error):
            error.add_note(
                f"another process or object is changing or reading {self.path}; waited {self.timeout:g} s\n"
                "hint: its commit() ends its changes; timeout= says how long a call waits"
            )
        elif getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            error.add_note(f"{self.path} {files.LEFT}")

    # --- forks -------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        self._is_held_for_fork = self._lock.acquire(timeout=forks.PATIENCE)
        connection = self._connection
        is_idle = self._is_held_for_fork and not self._depth
        if self.path is not None and is_idle and connection is not None and not connection.in_transaction:
            self._connection = None
            connection.close()

    def after_fork_in_parent(self) -> None:
        if self._is_held_for_fork:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        is_whole = self._is_held_for_fork and not self._depth
        self._lock = new_reentrant_lock()
        if self._connection is None or (self.path is None and is_whole):
            return  # opened when it is needed; a database in memory was copied
        forks.keep_for_ever(self._connection)
        self._connection, self._depth = None, 0
        self._refusal = _forked(self.path or ":memory:")
        identity = None if self.path is None else _identity(self.path)
        if identity is not None:
            _inherited_in_use.add(identity)


def has_uncommitted(path: str) -> bool:
    """Whether an object of this process has uncommitted changes in a file."""
    return any(
        isinstance(each, SqliteMultithread) and each.path == path and each.has_changes for each in forks.watched()
    )


def _forked(path: str) -> str:
    return (
        f"{path} had uncommitted changes, or was in use, when this process was forked, and cannot be used here\n"
        "  hint: commit() before forking, or start processes by spawn"
    )


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _address(path: str, mode: str) -> str:
    # Only a connection that may write repairs what a killed writer left, and removes the files beside the database.
    opened = "rw" if mode == "ro" and os.access(path, os.W_OK) else mode
    return f"file:{quote(os.fsencode(path))}?mode={opened}"


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY


def _one_of(name: str, given: str | None, possible: tuple[str, ...]) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or given.upper() not in possible:
        raise ValueError(f"{name} is one of {', '.join(possible)}, not {given!r}")
    return given.upper()
