"""The lines of a shelf whose processes are on one machine, as one open shelf uses them.

Whoever joins a line, leaves it or has the turn does that in the table, in one step (``native/lines.c``). Here is what
takes longer: opening the table, watching the processes that are ahead, and what a forked child and a closed shelf do.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

from coshelf.contract import BARRIER, Doorbell, Line, Place, Turns
from coshelf.engines.closed import closed_shelf
from coshelf.engines.turn_table.bells import TableBell, bell_of
from coshelf.engines.turn_table.callers import Callers
from coshelf.engines.turn_table.home import TableHome
from coshelf.engines.turn_table.implementation import lines_of
from coshelf.engines.turn_table.layout import (
    BELLS_AT,
    CALLED_AT,
    LONGEST_NAME,
    PLACES,
    ROW,
    ROWS,
    ROWS_AT,
    SIZE,
    lines_in,
    places_in,
    process_rows_in,
)
from coshelf.engines.turn_table.table_file import open_table
from coshelf.errors import KeyTooLong, ReadOnlyShelf, StorageError
from coshelf.system.memory import futex
from coshelf.system.processes import program
from coshelf.system.processes.deaths import Deaths
from coshelf.system.processes.forks import at_fork
from coshelf.system.processes.identity import Process, this_process
from coshelf.system.threads.cooperation import is_cooperative, new_reentrant_lock
from coshelf.system.threads.living import Living
from coshelf.system.waiting.backoff import Backoff

__all__ = ["TableTurns"]

_PATIENCE_AT_FORK = 1.0  # seconds
_LOOK = 0.02  # seconds between two looks at the processes ahead, where no thread can do that
_FIRST_POLL = 0.0002  # seconds; while greenlets run
_LONGEST_POLL = 0.005
_LONGEST_SLEEP = 1e9
_SLICE = 0.25  # seconds of one sleep: a signal may have come just before it began, or a death is not watched


_Watched = tuple[Process, int | None]
"""A process that is watched, and its row if it is watched by the byte of that."""


class TableTurns(Turns):
    """The lines, for one handle of a shelf. The table is opened by the first call that needs it."""

    ends_with = "process"

    def __init__(self, home: TableHome) -> None:
        self._home = home
        self._lock = new_reentrant_lock()
        self._is_closed = self._is_locked = False
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._table: _OpenTable | None = None
        self._bells_in_use: list[int] = []

    # --- the table ---------------------------------------------------------------------------------------------------

    def _opened(self) -> _OpenTable:
        """The table, open in this process. It is made if it does not exist."""
        if self._pid != os.getpid():
            self.abandon()
        table = self._table
        if table is None or self._is_closed:
            with self._lock:
                if self._is_closed:
                    raise closed_shelf(self._home.where)
                table = self._table
                if table is None:
                    with self._home.kept_open():
                        made = _OpenTable(self._home, self._join_unusually)
                    table = self._table = self._table or made
                    if table is not made:  # a signal handler that interrupted this has opened it, too
                        made.close()
        return table

    def _found(self) -> _OpenTable | None:
        """The table; None if nobody has made one yet, so that there are no lines, and nobody waits."""
        if self._table is None and not self._is_closed and not self._home.exists():
            return None
        return self._opened()

    def join(self, name: bytes, most: int = 1, parties: int = 0, task: str = "") -> Place:
        self._home.refuse_use()
        lines = self._opened().lines
        with self._lock:
            if not self._is_closed:  # from now on without this method
                self.join = cast("Callable[..., Place]", lines.join)  # type: ignore[method-assign]
        return cast("Place", lines.join(name, most, parties, task))

    def _join_unusually(self, name: bytes, most: int = 1, parties: int = 0, task: str = "") -> Any:
        """Join a line in a forked child, for a barrier, or if there seems to be no place."""
        if len(name) > LONGEST_NAME:
            raise KeyTooLong(
                f"the name of a line takes {len(name):,} bytes; {self._home.where} takes names of up to "
                f"{LONGEST_NAME} bytes\n  hint: use a shorter name"
            )
        table = self._opened()
        if most == BARRIER:
            table.reap_line(name)
        try:
            return table.lines.join_now(name, most, parties, task)
        except MemoryError:
            table.reap_all()
        try:
            return table.lines.join_now(name, most, parties, task)
        except MemoryError:
            raise StorageError(
                f"all {PLACES:,} places in the lines of {self._home.where} are taken; this call has not joined a line\n"
                "  hint: see `coshelf locks` for those who wait, and have fewer callers wait at once"
            ) from None

    # --- looking -----------------------------------------------------------------------------------------------------

    def line(self, name: bytes) -> Line:
        return self._shown().get(name) or Line(name, 1, (), ())

    def lines(self) -> Iterator[Line]:
        return iter(self._shown().values())

    def _shown(self) -> dict[bytes, Line]:
        try:
            table = self._found()
        except ReadOnlyShelf:
            return self._read()
        return {} if table is None else table.shown()

    def _read(self) -> dict[bytes, Line]:
        """The lines, for a handle that may only read."""
        try:
            with open(self._home.path, "rb") as file:
                table = file.read()
        except FileNotFoundError:
            return {}
        return lines_in(table) if len(table) == SIZE else {}

    # --- bells -------------------------------------------------------------------------------------------------------

    def bell(self, name: bytes) -> Doorbell:
        self._home.refuse_use()
        self._opened()
        return TableBell(self, name)

    def ring(self, name: bytes) -> None:
        table = self._found()
        if table is not None:
            table.lines.ring(bell_of(name))

    def sequence_of(self, bell: int) -> int:
        """The number in a bell's word."""
        return self._opened().words[BELLS_AT // 4 + 2 * bell]

    def wait_at(self, bell: int, sequence: int, timeout: float | None) -> None:
        """Sleep at a bell while its word has a number."""
        table = self._opened()
        self._bells_in_use.append(bell)
        try:
            with table.attending(bell):
                end = time.monotonic() + (_LONGEST_SLEEP if timeout is None else timeout)
                at = BELLS_AT + 8 * bell
                while not self._is_closed and table.words[at // 4] == sequence and time.monotonic() < end:
                    left = end - time.monotonic()
                    futex.sleep_while(table.file.memory, at, sequence, max(min(left, _SLICE), 0))
        finally:
            with contextlib.suppress(ValueError):
                self._bells_in_use.remove(bell)

    # --- the end, and forks ------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End all places of this handle. Whoever waits in this process returns. Closing twice is fine."""
        with self._lock:
            self._is_closed = True
            table, self._table = self._table, None
            vars(self).pop("join", None)
        if table is not None and self._pid == os.getpid():
            for bell in self._bells_in_use.copy():
                table.lines.ring(bell)
            table.close()

    def pause(self) -> None:
        """Before a fork: end the threads, and wait until no thread is opening the table."""
        self._is_locked = self._lock.acquire(timeout=_PATIENCE_AT_FORK)
        table = self._table
        if table is not None:
            table.callers.pause()

    def resume(self) -> None:
        """After a fork, in the parent."""
        table = self._table
        if table is not None:
            table.callers.resume()
        if self._is_locked:
            self._is_locked = False
            self._lock.release()

    def abandon(self) -> None:
        """In a forked child: forget the parent's table. The next call opens it again."""
        table = self._table
        if table is not None:
            table.file.abandon()
            table.callers.abandon()
        self._is_locked = False
        self._lock = new_reentrant_lock()
        vars(self).pop("join", None)
        self._begin()


class _OpenTable:
    """A table that is open in this process, with a row for this handle.

    Attributes:
        file: the open file.
        lines: what is done in one step.
        words: the table, as words of 32 bits.
    """

    def __init__(self, home: TableHome, join_unusually: Callable[..., Any]) -> None:
        self._where = home.where
        self._here = this_process()
        self.deaths = Deaths("coshelf-turns-deaths")
        self._watched: set[_Watched] = set()
        with open_table(home) as file:
            self.file = file
            self.words = file.memory.cast("I")
            self.lines = lines_of(file.memory, join_unusually, self._watch, self._wait, self._tell, file.steps)
            row = self._take_row()
        self.callers = Callers(file.memory, ROWS_AT + row * ROW.size + CALLED_AT, self.lines)

    def _take_row(self) -> int:
        """Take the first free row. A row whose user has died is free."""
        rows = process_rows_in(self.file.memory)
        here = self._here
        for row in range(ROWS):
            if not self.file.claim(row):
                continue
            if row in rows and not self._has_gone(row):
                self.file.give_up(row)
                continue
            if row in rows:
                self.lines.reap(row, rows[row].number)
            texts = program.host().encode()[: ROW.size], program.program().encode()
            if self.lines.take_row(row, here.pid, here.start, here.namespace, *texts):
                return row
            self.file.give_up(row)
        raise StorageError(
            f"{ROWS:,} handles of {self._where} use locks, queues and the like, and there is no space for another one\n"
            "  hint: use one handle in a process, and fewer processes"
        )

    # --- the processes ahead -----------------------------------------------------------------------------------------

    def _process(self, pid: int, start: int, namespace: int) -> Process:
        return Process(self._here.boot, namespace, pid, start)

    def _lives(self, row: int, process: Process) -> bool | None:
        """Whether the user of a row lives; None if that cannot be told."""
        lives = process.is_alive()
        return self.file.is_claimed(row) if lives is None else lives

    def _has_gone(self, row: int) -> bool:
        """Whether the user of a row has died. The caller has its byte locked, if bytes tell of life."""
        found = process_rows_in(self.file.memory).get(row)
        if found is None:
            return True
        lives = self._process(found.pid, found.start, found.namespace).is_alive()
        return not lives if self.file.tells_life else lives is False

    def _watch(self, place: Any, rows: list[tuple[int, int, int, int, int]]) -> None:
        """Have the places of processes end when these end. They are ahead of a place."""
        for row, number, pid, start, namespace in rows:
            process = self._process(pid, start, namespace)
            is_near = bool(namespace) and namespace == self._here.namespace
            watched = process, None if is_near else row
            if watched not in self._watched:
                watch = self.deaths.watch(
                    process,
                    partial(self._reap_process, watched),
                    is_needed=partial(self._needs, watched),
                    lives=None if is_near else partial(self._lives, row, process),
                )
                if not watch.is_over:  # last: if this is interrupted, the next place has it watched
                    self._watched.add(watched)
            self.lines.watched(row, number)

    def _needs(self, watched: _Watched) -> bool:
        """Whether a process has to be watched still. If another thread needs it meanwhile, it is watched twice."""
        self._watched.discard(watched)  # first: from here on it counts as not watched
        if self.lines.needs():
            self._watched.add(watched)
            return True
        return False

    def _reap_process(self, watched: _Watched) -> None:
        """End the places of a process that has ended."""
        self._watched.discard(watched)
        process, row = watched
        for at, found in process_rows_in(self.file.memory).items():
            is_it = (found.pid, found.start, found.namespace) == (process.pid, process.start, process.namespace)
            if is_it and row in (None, at):
                self.lines.reap(at, found.number)

    def _reap(self, rows: set[int], table: bytes) -> None:
        """End the places of those among some rows whose processes have ended."""
        found = process_rows_in(table)
        for row in rows & found.keys():
            each = found[row]
            if self._lives(row, self._process(each.pid, each.start, each.namespace)) is False:
                self.lines.reap(row, each.number)

    def reap_line(self, name: bytes) -> None:
        """End the places in a line whose processes have ended."""
        table = self.lines.copy()
        self._reap({place.row for place in places_in(table) if place.line == name}, table)

    def reap_all(self) -> None:
        """End all places whose processes have ended."""
        table = self.lines.copy()
        self._reap({place.row for place in places_in(table)}, table)

    def shown(self) -> dict[bytes, Line]:
        """The lines as they are now."""
        self.reap_all()
        return lines_in(self.lines.copy())

    # --- waiting -----------------------------------------------------------------------------------------------------

    def _wait(self, place: Any, timeout: float | None) -> bool:
        """Wait at a place that does not have the turn."""
        end = time.monotonic() + (_LONGEST_SLEEP if timeout is None else timeout)
        if is_cooperative():
            return self._poll(place, end)
        while True:
            left = end - time.monotonic()
            looks = self.deaths.needs_look
            called: bool = place.sleep(min(left, _LOOK if looks else _SLICE))
            if called or place.is_over or left <= 0:
                return called
            self.lines.check()
            if self.deaths.needs_look:
                self.deaths.look()

    def _poll(self, place: Any, end: float) -> bool:
        """Wait while other greenlets run."""
        backoff = Backoff(_FIRST_POLL, _LONGEST_POLL, 1.5)
        while not place.sleep(0):
            left = end - time.monotonic()
            if place.is_over or left <= 0:
                return False
            self.lines.check()
            if self.deaths.needs_look:
                self.deaths.look()
            backoff.sleep(left)
        return True

    def _tell(self, place: Any, call: Callable[[], object]) -> None:
        self.callers.add(place, call)

    @contextlib.contextmanager
    def attending(self, bell: int) -> Iterator[None]:
        """For a block in which the caller waits at a bell."""
        self.lines.attend(bell, True)
        try:
            yield
        finally:
            self.lines.attend(bell, False)

    # --- the end, and forks ------------------------------------------------------------------------------------------

    def close(self) -> None:
        self.lines.close()
        self.callers.close()
        self.deaths.close()
        self.file.close()


_all: Living[TableTurns] = Living()


def _before_fork() -> None:
    for turns in list(_all):
        turns.pause()


def _after_fork_in_parent() -> None:
    for turns in list(_all):
        turns.resume()


def _after_fork_in_child() -> None:
    for turns in list(_all):
        turns.abandon()


at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
