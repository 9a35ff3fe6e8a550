"""Shared by engines without other processes: the changes of the last commits, for the threads that watch."""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from coshelf.contract import Change, Changes, Position
from coshelf.engines.local_lock import LocalBell, LocalLock
from coshelf.errors import ShelfClosed
from coshelf.keys import FIRST
from coshelf.system import clock
from coshelf.values.expiry import is_over

__all__ = ["Bookmark", "LocalChanges", "LocalHistory"]

_TAIL = 8 << 20  # bytes of changes that are kept for a watcher that comes back
_BESIDE = 200  # bytes that a change takes in addition to key and record
_AT_ONCE = 1_000  # changes that one read returns, if the commits are small


class Bookmark:
    """Where a reader is.

    Attributes:
        ranges: the ranges of the keys that it reads.
        at: the number of the first commit that it has not read.
        gap: the gap that it has to return first.
    """

    def __init__(self, ranges: Sequence[tuple[bytes, bytes]]) -> None:
        self.ranges = tuple(ranges)
        self.at = 0
        self.gap: Change | None = None

    def wants(self, key: bytes) -> bool:
        """Whether a key is in the ranges."""
        return any(start <= key < stop for start, stop in self.ranges)


class LocalHistory:
    """What commits did, from the first reader on. It is read and extended under a lock.

    What an open reader has not read is kept. After the last reader has closed, commits are still noted until they take
    as much memory as the tail. Then everything is dropped, and commits do no more work.

    Attributes:
        position: the number of the last commit.
        is_kept: whether commits have to be noted.
        is_closed: whether the engine has been closed.
    """

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.is_kept = False
        self.is_closed = False
        self._since = position
        self._commits: deque[list[Change]] = deque()
        self._dropped = 0
        self._size = 0
        self._unwatched = 0
        self._readers: tuple[weakref.ref[Bookmark], ...] = ()  # replaced, as a signal handler may interrupt a loop

    # --- commits -----------------------------------------------------------------------------------------------------

    def add(self, position: int, gone: Mapping[bytes, bytes], stored: Iterable[tuple[bytes, bytes]]) -> None:
        """Note a commit. ``gone`` has the old records of the entries that it removed."""
        now = clock.now()
        changes = [
            Change(key, "expired" if is_over(key, record, now) else "deleted", position)
            for key, record in gone.items()
            if key >= FIRST
        ]
        changes += [Change(key, "set", position, record) for key, record in stored if key >= FIRST]
        self.note(position, changes)

    def note(self, position: int, changes: list[Change]) -> None:
        """Note the changes of a commit."""
        self.position = position
        if changes:
            self._commits.append(changes)
            size = _size_of(changes)
            self._size += size
            self._unwatched = 0 if self._open_readers() else self._unwatched + size
            self._trim()

    def lose(self) -> None:
        """Some commits are not known. Every reader gets a gap."""
        self.position += 1
        self._drop_all()

    def _open_readers(self) -> list[Bookmark]:
        return [reader for reference in self._readers if (reader := reference()) is not None]

    def _trim(self) -> None:
        if self._unwatched > _TAIL:
            self._drop_all()
            self.is_kept = False
        if self._size <= _TAIL:
            return
        needed = min((reader.at for reader in self._open_readers()), default=self._dropped + len(self._commits))
        while self._size > _TAIL and self._dropped < needed:
            changes = self._commits.popleft()
            self._dropped += 1
            self._size -= _size_of(changes)
            self._since = _position_of(changes)

    def _drop_all(self) -> None:
        self._dropped += len(self._commits) + 1  # one more, so that those that have read everything get a gap, too
        self._commits.clear()
        self._size = self._unwatched = 0
        self._since = self.position

    # --- readers -----------------------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Note commits from now on."""
        if not self.is_kept:
            self.is_kept, self._since = True, self.position
        self._unwatched = 0

    def begin(self, reader: Bookmark, since: Position) -> None:
        """Keep from now on what a reader has not read. Raises ValueError if ``since`` is no position."""
        if type(since) is not int or not 0 <= since <= self.position:
            raise ValueError(f"{since!r} is no position of this shelf: they go up to {self.position}")
        self.keep()
        if since < self._since:
            reader.gap = Change(b"", "gap", self._since)
        at = len(self._commits)
        while at and _position_of(self._commits[at - 1]) > since:
            at -= 1
        reader.at = self._dropped + at
        self._readers = (*map(weakref.ref, self._open_readers()), weakref.ref(reader))

    def take(self, reader: Bookmark) -> list[Change]:
        """The next changes for a reader. They are whole commits."""
        found: list[Change] = []
        at = reader.at - self._dropped
        if at < 0:
            reader.gap, at = Change(b"", "gap", self._since), 0
        if reader.gap is not None:
            found.append(reader.gap)
            reader.gap = None
        while at < len(self._commits) and len(found) < _AT_ONCE:
            found += [change for change in self._commits[at] if reader.wants(change.key)]
            at += 1
        reader.at = self._dropped + at
        return found

    def end(self, reader: Bookmark) -> None:
        """Keep nothing for a reader any more."""
        self._readers = tuple(weakref.ref(each) for each in self._open_readers() if each is not reader)


class LocalChanges(Changes):
    """A reader of the changes of an engine whose entries live in this process."""

    def __init__(
        self,
        history: LocalHistory,
        lock: LocalLock,
        bell: LocalBell,
        ranges: Sequence[tuple[bytes, bytes]],
        since: Position,
    ) -> None:
        self._history = history
        self._lock = lock
        self._bell = bell
        self._is_woken = False
        self._is_closed = False
        self._bookmark = Bookmark(ranges)
        lock.reading(history.begin, self._bookmark, since)

    def read(self, timeout: float | None) -> list[Change]:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            if self._is_closed or self._history.is_closed:
                raise ShelfClosed("the reader of changes has been closed, or its shelf")
            sequence = self._bell.sequence()
            found = self._lock.reading(self._history.take, self._bookmark)
            left = None if end is None else end - time.monotonic()
            if found or self._is_woken or (left is not None and left <= 0):
                self._is_woken = False
                return found
            self._bell.wait(sequence, left)

    def wake(self) -> None:
        self._is_woken = True
        self._bell.ring()

    def close(self) -> None:
        self._is_closed = True
        with self._lock.moment:
            self._history.end(self._bookmark)
        self._bell.ring()


def _size_of(changes: list[Change]) -> int:
    return sum(_BESIDE + len(change.key) + len(change.record or b"") for change in changes)


def _position_of(changes: list[Change]) -> int:
    position = changes[0].position
    assert isinstance(position, int)
    return position
