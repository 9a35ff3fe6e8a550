"""The classes of ``native/lines_object.c`` in Python, for processes without the module in C."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from coshelf.contract import BARRIER, Place
from coshelf.engines.turn_table.layout import (
    BELLS,
    BELLS_AT,
    HEADER,
    LONGEST_NAME,
    LONGEST_TASK,
    MAGIC,
    MUTEX_AT,
    PLACE,
    PLACES_AT,
    ROW,
    ROWS_AT,
    ProcessRow,
)
from coshelf.engines.turn_table.mutex import SharedMutex, make_mutex, mutex_kind
from coshelf.engines.turn_table.python_table import CALLED, OVER, WAITING, PythonTable, Request, word_at
from coshelf.engines.turn_table.step_lock import StepLock
from coshelf.system.memory import futex

__all__ = ["PythonLines", "make_lines"]

_LONGEST_SLEEP = 0.25  # seconds: a signal may have come just before it began
_TOKEN = 128 // 8


def make_lines(memory: memoryview, boot: bytes, token: int) -> None:
    """Make an empty table in zeros. ``token`` is less than that of its first turn."""
    make_mutex(memory, MUTEX_AT)
    memory.cast("Q")[_TOKEN] = token
    memory[: HEADER.size] = HEADER.pack(MAGIC, *mutex_kind(), boot)


class PythonPlace(Place):
    """A place in a line."""

    __slots__ = ("_index", "_is_waiting", "_lines", "_number", "_token")

    def __init__(self, lines: PythonLines) -> None:
        self._lines = lines
        self._index = self._number = -1
        self._token: int | None = None
        self._is_waiting = False
        lines.waiting.append(None)
        self._is_waiting = True

    def note(self, index: int, number: int) -> None:
        """Note the place that was taken. It is left when this object is collected."""
        self._number = number
        self._index = index

    def _word(self) -> int:
        lines = self._lines
        if self._index < 0 or not lines.is_usable():
            return OVER
        word = lines.table.word(self._index)
        return word if lines.table.number(self._index) == self._number else OVER

    @property
    def token(self) -> int | None:  # type: ignore[override]
        if self._token is None and self._word() == CALLED:
            token = self._lines.table.token(self._index)
            if self._word() == CALLED:
                self._token = token
                self._end_wait()
        return self._token

    @property
    def is_over(self) -> bool:
        return self._word() == OVER

    @property
    def key(self) -> tuple[int, int]:
        return self._index, self._number

    def _end_wait(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            with contextlib.suppress(IndexError):
                self._lines.waiting.pop()

    def wait(self, timeout: float | None) -> bool:
        if self._word() == CALLED:
            self._end_wait()
            return True
        return bool(self._lines.hooks.wait(self, timeout))

    def when_called(self, call: Callable[[], object]) -> None:
        self._lines.hooks.tell(self, call)

    def sleep(self, limit: float) -> bool:
        """Sleep until the place has the turn or is over. Return whether it has the turn."""
        end = time.monotonic() + limit
        memory = self._lines.table.memory
        while (word := self._word()) == WAITING and (left := end - time.monotonic()) > 0:
            futex.sleep_while(memory, word_at(self._index), WAITING, min(left, _LONGEST_SLEEP))
        if word != WAITING:
            self._end_wait()
        return word == CALLED

    def tell(self) -> bool:
        """Have the word of the row change, too, when the place is called. Return whether that is still to come."""
        lines = self._lines
        return self._word() == WAITING and lines.mutex.do(partial(lines.table.tell_row, self._index, self._number))

    def leave(self) -> None:
        self._end_wait()
        if self._word() != OVER:
            lines = self._lines
            lines.mutex.do_or_later(partial(lines.table.leave, self._index, self._number))

    def __del__(self) -> None:
        if hasattr(self, "_is_waiting"):  # an interrupt may have ended __init__
            self.leave()


class _Hooks:
    """The functions that go on where a step ends."""

    def __init__(
        self,
        unusual: Callable[..., Any],
        watch: Callable[[Any, list[tuple[int, int, int, int, int]]], object],
        wait: Callable[[Any, float | None], bool],
        tell: Callable[[Any, Callable[[], object]], object],
    ) -> None:
        self.unusual = unusual
        self.watch = watch
        self.wait = wait
        self.tell = tell


class PythonLines:
    """The lines of a table, for one open shelf. The arguments are those of :func:`coshelf.native.lines`, and ``steps``.

    Attributes:
        waiting: has an element for each place that waits.
    """

    def __init__(
        self,
        memory: memoryview,
        unusual: Callable[..., Any],
        watch: Callable[[Any, list[tuple[int, int, int, int, int]]], object],
        wait: Callable[[Any, float | None], bool],
        tell: Callable[[Any, Callable[[], object]], object],
        steps: StepLock | None,
    ) -> None:
        self.table = PythonTable(memory)
        self.mutex = SharedMutex(memory, MUTEX_AT, self.table.repair, steps)
        self.hooks = _Hooks(unusual, watch, wait, tell)
        self.waiting: list[None] = []
        self._pid = os.getpid()
        self._row = self._number = -1
        self._watched: dict[int, int] = {}
        self._is_closed = True  # until it has a row

    def is_usable(self) -> bool:
        """Whether it is open, in this process."""
        return not self._is_closed and self._pid == os.getpid()

    def join(self, name: bytes, most: int = 1, parties: int = 0, task: str = "") -> Any:
        if self.is_usable() and len(name) <= LONGEST_NAME and most != BARRIER:
            with contextlib.suppress(MemoryError):
                return self.join_now(name, most, parties, task)
        return self.hooks.unusual(name, most, parties, task)

    def join_now(self, name: bytes, most: int, parties: int, task: str) -> PythonPlace:
        for number in (most, parties):
            if not 0 <= number < 1 << 32:
                raise OverflowError("the number of turns of a line is less than 2^32")
        request = Request(name, most, parties, task.encode()[:LONGEST_TASK], self._row)
        place = PythonPlace(self)
        ahead = self.mutex.do(partial(self._join, place, request))
        fresh = [(row, number) for row, number in ahead.items() if self._watched.get(row) != number]
        if fresh:
            self.hooks.watch(place, [self._process(row, number) for row, number in fresh])
        return place

    def _join(self, place: PythonPlace, request: Request) -> dict[int, int]:
        taken = self.table.join(request)
        if taken is None:
            raise MemoryError
        place.note(*taken)
        self.table.enter(taken[0], request)
        return self.table.ahead(taken[0])

    def _process(self, row: int, number: int) -> tuple[int, int, int, int, int]:
        found = ProcessRow._make(ROW.unpack_from(self.table.memory, ROWS_AT + row * ROW.size))
        return row, number, found.pid, found.start, found.namespace

    def take_row(self, row: int, pid: int, start: int, namespace: int, host: bytes, program: bytes) -> bool:
        taken = self.mutex.do(partial(self.table.take_row, row, pid, start, namespace, host, program))
        if taken:
            self._row, self._number, self._is_closed = row, self.table.row_number(row), False
        return taken

    def _leave_all(self, row: int, number: int) -> bool:
        is_it = self.table.row_number(row) == number and self.table.row_is_used(row)
        if is_it:
            self.table.leave_all(row)
        return is_it

    def reap(self, row: int, number: int) -> bool:
        return self.mutex.do(partial(self._leave_all, row, number))

    def watched(self, row: int, number: int) -> None:
        self._watched[row] = number

    def needs(self) -> bool:
        if not self.waiting:
            self._watched.clear()
        return bool(self.waiting)  # asked again: a place may have come to wait meanwhile

    def waits(self, index: int, number: int) -> bool:
        return self.is_usable() and self.table.word(index) == WAITING and self.table.number(index) == number

    def check(self) -> None:
        """Do what a process that died in the middle of a step has left undone."""
        self.mutex.do_or_later(lambda: None)

    def copy(self) -> bytes:
        return self.mutex.do(self._copy)

    def _copy(self) -> bytes:
        return bytes(self.table.memory[: PLACES_AT + self.table.used * PLACE.size])

    def ring(self, bell: int) -> None:
        # Random: the module in C adds to the word without the mutex, and no change may undo another one.
        at = BELLS_AT // 4 + 2 * (bell % BELLS)
        self.table.words[at] = random.getrandbits(32)
        if self.table.words[at + 1]:
            futex.wake_all(self.table.memory, 4 * at)

    def attend(self, bell: int, comes: bool) -> None:
        self.mutex.do_or_later(partial(self._attend, BELLS_AT // 4 + 2 * (bell % BELLS) + 1, 1 if comes else -1))

    def _attend(self, at: int, change: int) -> None:
        self.table.words[at] = max(self.table.words[at] + change, 0)

    def close(self) -> None:
        if self.is_usable():
            self.mutex.do_or_later(partial(self._leave_all, self._row, self._number))
            self._is_closed = True
