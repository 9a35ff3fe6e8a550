"""The connections of a process to a database file. One thread at a time uses each. A forked child makes new ones.

SQLite records a process's locks in memory, and a forked child inherits the record without the locks. So a fork waits
until the calls in progress have ended, and idle connections are closed before it. If a connection is in use for longer,
by a snapshot, the child may not use the file at all.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from coshelf.contract import OpenOptions
from coshelf.engines.beginnings import note_use
from coshelf.engines.closed import closed_shelf
from coshelf.engines.sqlite.addresses import uri_of
from coshelf.engines.sqlite.failures import translated
from coshelf.errors import OpenUnderAnotherName, StorageError
from coshelf.system.files.paths import is_one_name
from coshelf.system.processes.forks import at_fork
from coshelf.system.threads.cooperation import new_reentrant_lock
from coshelf.system.threads.living import Living

__all__ = ["Connections"]

_MOST_IDLE = 8
_FORK_PATIENCE = 1.0  # seconds

_all: Living[Connections] = Living()
_held_at_fork: list[Connections] = []
# Connections of the parent of this process. They are never closed here, because that could remove their log.
_of_parents: list[object] = []


class Connections:
    """The idle connections to one file, and the number of those in use."""

    def __init__(self, path: str, file: os.stat_result, options: OpenOptions) -> None:
        self.path = path
        self._file = file
        self.timeout = options.timeout
        self.reads_only = options.flag == "r"
        self._idle: list[sqlite3.Connection] = []
        self._most_idle = _MOST_IDLE
        self._in_use = 0
        self._kept: set[sqlite3.Connection] = set()
        self._closed = False
        self._forked_in_use = False
        self._renew_locks()
        _all.add(self)
        note_use(self)

    def refuse_other_names(self) -> None:
        """Raise if this process has the file open by another name: SQLite finds a log by the name of the database."""
        for other in list(_all):
            if other is not self and other.has_open(self._file) and not is_one_name(other.path, self.path):
                raise OpenUnderAnotherName(
                    f"{self.path} is open in this process as {other.path}: use one name for one shelf"
                )

    def has_open(self, file: os.stat_result) -> bool:
        """Whether SQLite may have this file open for these connections."""
        return (not self._closed or self._in_use > 0) and os.path.samestat(self._file, file)

    def _renew_locks(self) -> None:
        self._lock = new_reentrant_lock()  # a signal handler or finalizer may interrupt a call
        self._changed = threading.Condition(self._lock)

    def _open(self) -> sqlite3.Connection:
        mode = "ro" if self.reads_only else "rw"
        uri = uri_of(self.path, mode)
        with translated(self.path, "open", self.timeout):
            connection = sqlite3.connect(
                uri, timeout=self.timeout, uri=True, isolation_level=None, check_same_thread=False, cached_statements=32
            )
            try:
                # SQLite must not run functions that triggers and views in the file name.
                connection.execute("PRAGMA trusted_schema = OFF").close()
                connection.execute("PRAGMA cell_size_check = ON").close()
                connection.execute("PRAGMA synchronous = NORMAL").close()
            except BaseException:
                connection.close()
                raise
        return connection

    def take(self, *, keep: bool = False) -> sqlite3.Connection:
        """A connection for the caller alone. With ``keep``, it is used for longer than a call: no fork waits for it."""
        with self._lock:
            if self._closed:
                raise closed_shelf(self.path)
            if self._forked_in_use:
                raise StorageError(
                    f"{self.path} was being read or written by SQLite when this process was forked, and cannot be "
                    "used here\n  hint: end snapshots and iterations before forking, or start processes by spawn"
                )
            connection = self._idle.pop() if self._idle else None
            self._in_use += 1
        try:
            if connection is None:
                connection = self._open()
        except BaseException:
            with self._lock:
                self._in_use -= 1
                self._changed.notify_all()
            raise
        if keep:
            with self._lock:
                self._kept.add(connection)
        return connection

    def give_back(self, connection: sqlite3.Connection) -> None:
        """End the use of a connection, in any state."""
        is_usable = True
        if connection.in_transaction:
            try:
                connection.rollback()
            except sqlite3.Error:
                is_usable = False
        with self._lock:
            self._in_use -= 1
            self._kept.discard(connection)
            stays = is_usable and not self._closed and len(self._idle) < self._most_idle
            if stays:
                self._idle.append(connection)
            self._changed.notify_all()
        if not stays:
            with suppress(sqlite3.Error):
                connection.close()

    @contextmanager
    def lent(self) -> Iterator[sqlite3.Connection]:
        connection = self.take()
        try:
            yield connection
        finally:
            self.give_back(connection)

    def close(self) -> None:
        """Close the idle connections. Those in use are closed when they are given back."""
        with self._lock:
            self._closed = True
        self._close_idle()

    def rest(self) -> None:
        """Keep no idle connections from now on: SQLite removes the log when the last connection is closed."""
        self._most_idle = 0
        self._close_idle()

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            with suppress(sqlite3.Error):
                connection.close()

    # --- forks -------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        self._changed.acquire()
        self._changed.wait_for(lambda: self._in_use == len(self._kept), _FORK_PATIENCE)
        self._close_idle()

    def after_fork_in_parent(self) -> None:
        self._changed.release()

    def after_fork_in_child(self) -> None:
        self._forked_in_use |= self._in_use > 0
        _of_parents.append(self._kept)
        self._kept, self._in_use = set(), 0
        self._renew_locks()


def _before() -> None:
    for connections in list(_all):
        connections.before_fork()
        _held_at_fork.append(connections)


def _after_in_parent() -> None:
    while _held_at_fork:
        _held_at_fork.pop().after_fork_in_parent()


def _after_in_child() -> None:
    while _held_at_fork:
        _held_at_fork.pop().after_fork_in_child()


at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
