"""The part of the state page about watching: whether somebody watches, up to where each process has read, and the era.

docs/format.md, "The state page", has the layout.
"""

from __future__ import annotations

import struct
import time
from typing import NamedTuple

from coshelf.system.processes.identity import Process, this_process

__all__ = ["PLACES", "WATCHED", "WatchState", "Watching", "new_era"]

TAIL = 60.0  # seconds for which changes are kept after the last watcher has gone
PLACES = 120  # processes that can watch at the same time

_AT = 512
_KEPT = 516
_ERA = 520
_UNTIL = 528
_FIRST_TOLD = 536
_TABLE = 1024
_PLACE = struct.Struct("=IIQQ")  # pid, zero, start, number of the last commit that was read
_PLACE_OF_NUMBER = 16
_END = _TABLE + PLACES * _PLACE.size
_NUMBER = struct.Struct("=Q")
_TIME = struct.Struct("=d")
_WORD = struct.Struct("=I")

WATCHED = _AT // 4
"""The index of the word of the page that says whether somebody watches. Committing one entry looks at it."""


def new_era() -> int:
    """The era of a state page that is made now: microseconds since 1970."""
    return time.time_ns() // 1_000


class Watching(NamedTuple):
    """Who watches.

    Attributes:
        is_on: whether changes are kept.
        least: the number up to which all watchers have read; None if none is there.
    """

    is_on: bool
    least: int | None


class WatchState:
    """One process's view. Numbers are written in one step each, because other processes read them meanwhile."""

    def __init__(self, page: memoryview | bytearray) -> None:
        self._page = page

    def _put(self, at: int, packed: bytes) -> None:
        self._page[at : at + len(packed)] = packed

    # --- whether somebody watches ------------------------------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        """Whether somebody watches, or did so until lately."""
        return bool(_WORD.unpack_from(self._page, _AT)[0])

    @property
    def is_kept(self) -> bool:
        """Whether the base has rows of changes."""
        return bool(_WORD.unpack_from(self._page, _KEPT)[0])

    @is_kept.setter
    def is_kept(self, whether: bool) -> None:
        if self.is_kept != whether:
            self._put(_KEPT, _WORD.pack(whether))

    @property
    def until(self) -> float:
        """Until when changes are kept even if nobody watches, by the machine's monotonic clock."""
        return float(_TIME.unpack_from(self._page, _UNTIL)[0])

    def renew(self, tail: float = TAIL) -> bool:
        """Have changes kept from now on. Return whether they were not kept before."""
        self._put(_UNTIL, _TIME.pack(max(time.monotonic() + tail, self.until)))
        if self.is_on:
            return False
        self._put(_AT, _WORD.pack(1))
        return True

    def look(self, *, may_end: bool) -> Watching:
        """Who watches now. Dead processes do not count. For the holder of the base's write lock.

        With ``may_end`` this ends the keeping of changes if nobody watches any more. Then the caller holds the delta's
        write lock, too, if the delta is a table: from here on commits do not tell what they change.
        """
        if not self.is_on:
            return Watching(False, None)
        numbers = self._living()
        if numbers:
            self.renew()
            return Watching(True, min(numbers))
        until = self.until
        if time.monotonic() < until or not may_end:
            return Watching(True, None)
        self._put(_AT, _WORD.pack(0))
        self._put(_FIRST_TOLD, _NUMBER.pack(0))
        if self.until != until:  # somebody began to watch in between
            self._put(_AT, _WORD.pack(1))
            return Watching(True, None)
        return Watching(False, None)

    def _living(self) -> list[int]:
        found, here = [], this_process()
        for place in range(PLACES):
            pid, _, start, number = self._place(place)
            if not pid:
                continue
            if (pid, start) != (here.pid, here.start) and here._replace(pid=pid, start=start).is_alive() is False:
                self._free(place)
                self.renew()  # what it has not read is kept for a while, as if it had closed
                continue
            found.append(number)
        return found

    # --- tables ------------------------------------------------------------------------------------------------------

    @property
    def first_told(self) -> int:
        """In a table, the number from which on all commits have their changes in the table, too; 0 if none has."""
        return int(_NUMBER.unpack_from(self._page, _FIRST_TOLD)[0])

    @first_told.setter
    def first_told(self, number: int) -> None:
        self._put(_FIRST_TOLD, _NUMBER.pack(number))

    # --- processes that watch ----------------------------------------------------------------------------------------

    def _place(self, place: int) -> tuple[int, int, int, int]:
        found: tuple[int, int, int, int] = _PLACE.unpack_from(self._page, _TABLE + place * _PLACE.size)
        return found

    def _free(self, place: int) -> None:
        self._put(_TABLE + place * _PLACE.size, _WORD.pack(0))

    def take_place(self, me: Process, number: int) -> int | None:
        """A place for this process, which has read up to a number; None if all are taken. Others must be kept out."""
        for place in range(PLACES):
            if self._place(place)[0] == me.pid:  # its own, or that of a dead process
                self._free(place)
        for place in range(PLACES):
            pid, _, start, _ = self._place(place)
            if not pid or me._replace(pid=pid, start=start).is_alive() is False:
                at = _TABLE + place * _PLACE.size
                packed = _PLACE.pack(me.pid, 0, me.start, number)
                self._put(at, _WORD.pack(0))
                self._put(at + _WORD.size, packed[_WORD.size :])
                self._put(at, packed[: _WORD.size])
                return place
        return None

    def note(self, place: int, number: int) -> None:
        """Note up to which number this process has read. The place is its own."""
        self._put(_TABLE + place * _PLACE.size + _PLACE_OF_NUMBER, _NUMBER.pack(number))

    def leave(self, place: int) -> None:
        """Give a place up. What was not read is kept for a while."""
        self.renew()
        self._free(place)

    # --- the era, and pages ------------------------------------------------------------------------------------------

    @property
    def era(self) -> int:
        """The era of the numbers of commits."""
        return int(_NUMBER.unpack_from(self._page, _ERA)[0])

    def begin_after(self, era: int, seconds: float) -> None:
        """Alone with a page: have its era not come before another one, and keep changes for some seconds.

        A page that dead processes left has that era itself. A new one has a later one, unless the clock was put back.
        """
        if self.era < era:
            self._put(_ERA, _NUMBER.pack(era + 1))
        self.is_kept = True
        if seconds > 0:
            self.renew(min(seconds, TAIL))

    def forget_processes(self) -> None:
        """Alone with a page that dead processes left: keep what they have not read for a while."""
        for place in range(PLACES):
            self._free(place)
        if self.is_on:
            self._put(_UNTIL, _TIME.pack(time.monotonic() + TAIL))

    def copy(self) -> bytes:
        """What is to be known in the page of a file that takes the place of this one."""
        return bytes(self._page[_TABLE:_END]) if self.is_on else b""

    def take_over(self, copied: bytes) -> None:
        """Go on with what :meth:`copy` has returned."""
        if copied:
            self._put(_TABLE, copied)
            self.renew()

    @staticmethod
    def new(page: bytearray) -> None:
        """Fill in this part of a new page."""
        page[_ERA : _ERA + _NUMBER.size] = _NUMBER.pack(new_era())
