"""The lines of turns where processes cannot share a table in memory: rows of a database of their own, beside the shelf.

They are not in the shelf itself, because a transaction keeps that for as long as it likes, and turns are joined and
left meanwhile.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

from coshelf.contract import Doorbell, Engine, Line, OpenOptions, Place, Turns
from coshelf.engines.closed import closed_shelf
from coshelf.engines.leases.bell_file import BellFile
from coshelf.engines.leases.held import HeldLines, MemberFolder
from coshelf.engines.sqlite.sidecars import beside
from coshelf.system.threads.cooperation import new_reentrant_lock

__all__ = ["SqliteLines"]


class SqliteLines(Turns):
    """The lines of a shelf. Their database is made at the first use.

    Args:
        path: of the shelf.
        where: its address, for messages.
        options: those of the shelf.
        open_engine: opens the database of the lines.
        refuse_use: raises if this handle may not use turns.
    """

    ends_with = "process"

    def __init__(
        self,
        path: str,
        where: str,
        options: OpenOptions,
        open_engine: Callable[[str, OpenOptions], Engine],
        refuse_use: Callable[[], object],
    ) -> None:
        self._shelf = path
        self._where = where
        self._options = options
        self._database = beside(path, ".coshelf-lines")
        self._folder = MemberFolder(beside(path, ".coshelf-members"))
        self._bells = BellFile(beside(path, ".coshelf-bells"), lambda: self._is_closed)
        self._open_engine = open_engine
        self._refuse_use = refuse_use
        self._lock: threading.RLock = new_reentrant_lock()
        self._lines: HeldLines | None = None
        self._is_closed = False

    def _opened(self) -> HeldLines:
        """The lines, open in this process. Their database is made if it does not exist."""
        if self._lines is None or self._is_closed:
            with self._lock:
                if self._is_closed:
                    raise closed_shelf(self._where)
                if self._lines is None:
                    self._lines = self._open()
        return self._lines

    def _open(self) -> HeldLines:
        mode = os.stat(self._shelf).st_mode & 0o666
        made = OpenOptions(flag="r" if self._options.flag == "r" else "c", mode=mode, timeout=self._options.timeout)
        return HeldLines(self._open_engine(self._database, made), self._folder)

    def _found(self) -> HeldLines | None:
        """The lines; None if nobody has used any yet."""
        if self._lines is None and not self._is_closed and not os.path.lexists(self._database):
            return None
        return self._opened()

    def join(self, name: bytes, most: int = 1, parties: int = 0, task: str = "") -> Place:
        self._refuse_use()
        return self._opened().join(name, most, parties, task)

    def line(self, name: bytes) -> Line:
        lines = self._found()
        return Line(name, 1, (), ()) if lines is None else lines.line(name)

    def lines(self) -> Iterator[Line]:
        lines = self._found()
        return iter(()) if lines is None else lines.lines()

    def bell(self, name: bytes) -> Doorbell:
        self._refuse_use()
        return self._bells.bell(name)

    def ring(self, name: bytes) -> None:
        self._bells.ring(name)

    def rest(self) -> None:
        """Give all turns back: the process ends."""
        if self._lines is not None:
            self._lines.release()

    def close(self) -> None:
        """End all places of this handle. Closing twice is fine."""
        with self._lock:
            self._is_closed = True
            lines, self._lines = self._lines, None
        if lines is not None:
            lines.close()
            lines.engine.close()
