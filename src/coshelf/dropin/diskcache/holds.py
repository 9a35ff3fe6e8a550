"""What this process holds of the locks of caches. Each hold is a turn in a line of its own, and ends with the process.

A lock that is held is an entry of the cache. So every thread and process can see it, and can release it. Beside it the
cache has *notes*: who holds it. A note names a process and a line; the holder has the turn of this line as long as it
lives. The next process waits in that line, so it is woken by a release and by a death alike.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from coshelf.contract import Place
from coshelf.coordination.locks import Lock
from coshelf.errors import ShelfLocked
from coshelf.mapping.shelf import Shelf
from coshelf.system.processes.forks import at_fork
from coshelf.system.processes.identity import Process, this_process
from coshelf.system.threads.cooperation import new_reentrant_lock

__all__ = ["Ground", "Hold", "Name", "Note"]

Name = tuple[bool, Any]
"""A key of the cache, as ``(raw, key)``."""

_ALL = 1 << 30
_LOOK = 0.1
"""Seconds between two looks at the notes, for what wakes nobody: an entry that is deleted by its key, or a process that
was killed between its release and the waking."""

_REMEMBERED = 1_000
"""Locks for which a thread remembers that its time is over."""


class Note(NamedTuple):
    """Who holds a lock. It is stored, as plain data.

    Attributes:
        token: the name of its line.
        process: its process.
    """

    token: str
    process: tuple[str, int, int, int]


class Hold:
    """A lock that this process holds, or a permit of a semaphore.

    Attributes:
        note: how the cache knows it.
        expires: when it ends by itself, in seconds since 1970; None: never. Its entry may have got more time since.
        thread: the number of the thread that took it.
    """

    __slots__ = ("_keeper", "_place", "expires", "note", "thread")

    def __init__(self, keeper: object, place: Place, note: Note, expires: float | None) -> None:
        self._keeper = keeper  # of the open shelf
        self._place = place
        self.note = note
        self.expires = expires
        self.thread = threading.get_ident()

    def has_expired(self) -> bool:
        """Whether its own time is over."""
        return self.expires is not None and self.expires <= time.time()

    def is_over(self) -> bool:
        """Whether it has ended: by its release, or with its thread."""
        return not self._place.wait(0)

    def end(self) -> None:
        """Wake whoever waits for it. Harmless if repeated."""
        self._place.leave()
        self._keeper = None


class _Guard:
    """Lies in a thread's own storage, and ends the thread's holds when the thread ends."""

    def __init__(self) -> None:
        self.holds: list[Hold] = []

    def __del__(self) -> None:
        for hold in self.holds:
            hold.end()


class _Process:
    """What this process holds. A forked child holds nothing."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """At the beginning of a process."""
        self.lock = new_reentrant_lock()
        self.holds: dict[tuple[str, Name], list[Hold]] = {}
        self.threads = threading.local()
        self.swept: set[str] = set()
        here = this_process()
        self.name = here.boot, here.namespace, here.pid, here.start

    def timed(self) -> dict[tuple[str, Name], Hold]:
        """What this thread took for some time, and did not release."""
        timed: dict[tuple[str, Name], Hold] = self.threads.__dict__.setdefault("timed", {})
        return timed


_process = _Process()
at_fork(after_in_child=_process.begin)


class Ground:
    """The lines of a cache, and what this process holds there.

    Args:
        path: the real path of the cache's directory.
        shelf: the cache's shelf.
        kept_open: makes what keeps the shelf open as long as it lives. So locks stay taken when the cache is closed.
    """

    def __init__(self, path: str, shelf: Shelf[Any, Any], kept_open: Callable[[], object]) -> None:
        self._path = path
        self._shelf = shelf
        self._kept_open = kept_open

    def turn(self, purpose: str, name: Name) -> Lock:
        """A lock of the shelf beside a key of the cache: for waiting in order of arrival, and for computing once."""
        self._join(name, "", _ALL).leave()  # opens the table of lines
        return self._shelf.lock((purpose, *name))

    # --- what this process holds -------------------------------------------------------------------------------------

    def begin(self, name: Name, expire: float | None, *, of_thread: bool) -> Hold:
        """Have the turn of a new line.

        Args:
            name: the key of the lock.
            expire: seconds until it ends by itself.
            of_thread: whether it ends with this thread, and not only with the process.
        """
        token = os.urandom(8).hex()
        expires = None if expire is None else time.time() + expire
        hold = Hold(self._kept_open(), self._join(name, token), Note(token, _process.name), expires)
        if of_thread:
            guard: _Guard | None = getattr(_process.threads, "guard", None)
            if guard is None:
                guard = _process.threads.guard = _Guard()
            guard.holds = [each for each in guard.holds if not each.is_over()]
            guard.holds.append(hold)
        return hold

    def keep(self, name: Name, hold: Hold, notes: Iterable[Note]) -> None:
        """The lock was taken. Holds of it that the cache does not know any more are forgotten."""
        known = {note.token for note in notes}
        with _process.lock:
            mine = [each for each in _process.holds.get((self._path, name), ()) if each.note.token in known]
            _process.holds[self._path, name] = [*mine, hold]
        if hold.expires is not None:
            timed = _process.timed()
            timed[self._path, name] = hold
            if len(timed) > _REMEMBERED:
                timed.pop(next(iter(timed)))

    def overdue(self, name: Name) -> list[Name]:
        """Locks other than one that this process took for some time and did not release, after that time."""
        with _process.lock:
            return [
                other
                for (path, other), holds in _process.holds.items()
                if path == self._path and other != name and any(hold.has_expired() for hold in holds)
            ]

    def begins_here(self) -> bool:
        """Whether this is the first lock that this process takes here."""
        if self._path in _process.swept:
            return False
        _process.swept.add(self._path)
        return True

    def is_late(self, name: Name, notes: list[Note]) -> bool:
        """Whether what this thread took last has expired, and others may have it. It is forgotten then."""
        hold = _process.timed().pop((self._path, name), None)
        return hold is not None and hold.has_expired() and hold.note not in notes

    def holds(self, name: Name) -> list[Hold]:
        """What this process holds of a lock: first that of this thread, the newest first."""
        here = threading.get_ident()
        found = _process.holds.get((self._path, name), [])[::-1]
        return [hold for hold in found if hold.thread == here] + [hold for hold in found if hold.thread != here]

    def end(self, name: Name, notes: Iterable[Note]) -> None:
        """End holds, of whatever process, that the cache does not know any more."""
        with _process.lock:
            mine = {hold.note.token: hold for hold in _process.holds.pop((self._path, name), ())}
            ended = [(note.token, mine.pop(note.token, None)) for note in notes]
            if mine:
                _process.holds[self._path, name] = list(mine.values())
        for token, hold in ended:
            if hold is None:
                self._open(name, token)
            else:
                hold.end()

    def _open(self, name: Name, token: str) -> None:
        """Call whoever waits in a line, though another process has its turn: for a moment all have it at once."""
        self._join(name, token, _ALL).leave()

    def _join(self, name: Name, token: str, most: int = 1) -> Place:
        line = self._shelf.lock(("held", *name, token))
        while True:
            try:
                return line.lines.join(line.line, most, 0, threading.current_thread().name)
            except ShelfLocked:  # another process makes the table: the timeout of a cache is short
                continue

    # --- what others hold --------------------------------------------------------------------------------------------

    def lives(self, name: Name, note: Note) -> bool:
        """Whether the holder lives. A killed process does not, and a thread that has ended does not."""
        if Process(*note.process).is_alive() is False:
            return False
        place = self._join(name, note.token)
        is_free = place.wait(0)
        place.leave()
        return not is_free

    @contextmanager
    def waiting(self, name: Name, notes: list[Note], expires: float | None) -> Iterator[Wait]:
        """For a block that waits until one of some holders gives a lock back, dies, or the lock expires."""
        places = [self._join(name, note.token) for note in notes]
        try:
            yield Wait(places, expires)
        finally:
            for place in places:
                place.leave()


class Wait:
    """A wait for one of some holders."""

    def __init__(self, places: list[Place], expires: float | None) -> None:
        self._places = places
        self._expires = expires
        self._called = threading.Event()
        if len(places) > 1:
            for place in places:
                place.when_called(self._called.set)

    def is_over(self) -> bool:
        """Wait for a short time. Return whether one of the holders has given it back, has died, or has expired."""
        seconds = _LOOK if self._expires is None else min(max(self._expires - time.time(), 0), _LOOK)
        if len(self._places) == 1:
            is_called = self._places[0].wait(seconds)
        else:
            is_called = self._called.wait(seconds)
        return is_called or (self._expires is not None and time.time() >= self._expires)
