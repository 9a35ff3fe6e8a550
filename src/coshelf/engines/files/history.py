"""The changes of a directory as this process has seen them, since the first time that it was asked for them.

There is no log in the directory, because old pickleshare processes would not write it. So positions are those of one
process: a number that no other process has, and a count of changes.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace

from coshelf.contract import Change, Changes, Position
from coshelf.engines.files.observing import Observer
from coshelf.engines.local_history import Bookmark, LocalHistory
from coshelf.errors import ShelfClosed
from coshelf.system.files.os_errors import translated
from coshelf.system.threads.cooperation import new_reentrant_lock
from coshelf.system.threads.living import Living
from coshelf.system.waiting.bells import Bell

__all__ = ["FilesChanges", "FilesHistory"]


class FilesHistory:
    """The changes that an observer has seen, for all readers of this process.

    Args:
        observer: tells which keys may have changed.
        exists: whether a key has an entry now.
        refuse_gone: raises if the directory is not at its path any more.
        where: the directory, for messages.
    """

    def __init__(
        self, observer: Observer, exists: Callable[[bytes], bool], refuse_gone: Callable[[], None], where: str
    ) -> None:
        self._observer = observer
        self._exists = exists
        self._refuse_gone = refuse_gone
        self._where = where
        self._history = LocalHistory()
        self._history.keep()
        self._epoch = os.urandom(8).hex()
        self._lock = new_reentrant_lock()
        self._readers: Living[FilesChanges] = Living()

    def position(self) -> str:
        """The position right after the last change."""
        with self._lock:
            self._look(now=True)
            self._history.keep()
            return self._written(self._history.position)

    def _written(self, number: int) -> str:
        return f"{self._epoch}.{number}"

    def begin(self, reader: FilesChanges, bookmark: Bookmark, since: Position) -> None:
        """Begin a reader. Raises ValueError if ``since`` cannot be a position."""
        epoch, dot, number = since.partition(".") if isinstance(since, str) else ("", "", "")
        if not (dot and len(epoch) == len(self._epoch) and number.isascii() and number.isdecimal()):
            raise ValueError(f"{since!r:.100} is no position of a shelf on the files engine")
        with self._lock:
            self._look(now=True)
            last = self._history.position
            self._history.begin(bookmark, int(number) if epoch == self._epoch else last)
            if epoch != self._epoch:  # of another process, or of an earlier opening
                bookmark.gap = Change(b"", "gap", last)
            self._readers.add(reader)

    def read(self, bookmark: Bookmark) -> list[Change]:
        """The next changes for a reader."""
        with self._lock:
            self._look(now=False)
            found = self._history.take(bookmark)
        return [replace(change, position=self._written(change.position)) for change in found]  # type: ignore[arg-type]

    def _look(self, *, now: bool) -> None:
        """Note what has changed. What the other readers wait for has been taken by that, so they are woken."""
        if self._history.is_closed:
            raise ShelfClosed("the shelf has been closed")
        with translated("watch", "the shelf", self._where):
            found = self._observer.look(now=now)
            if not found:
                self._refuse_gone()
        if found is None:
            self._history.lose()
        for key in found or ():
            self._note(key)
        if found is None or found:
            for reader in list(self._readers):
                reader.ring()

    def _note(self, key: bytes) -> None:
        number = self._history.position + 1
        if self._history.is_kept:
            self._history.note(number, [Change(key, "set" if self._exists(key) else "deleted", number)])
        else:
            self._history.position = number

    def wait(self, bell: Bell, timeout: float | None) -> None:
        """Return when there may be changes, when the bell was rung, or after ``timeout`` seconds."""
        self._observer.wait(bell, timeout)

    def end(self, bookmark: Bookmark) -> None:
        """End a reader."""
        with self._lock:
            self._history.end(bookmark)

    def close(self) -> None:
        """End all readers."""
        with self._lock:
            if not self._history.is_closed:
                self._history.is_closed = True
                for reader in list(self._readers):
                    reader.ring()
                self._observer.close()


class FilesChanges(Changes):
    """A reader of the changes of a directory."""

    def __init__(self, history: FilesHistory, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> None:
        self._history = history
        self._bookmark = Bookmark(ranges)
        self._is_woken = False
        self._is_closed = False
        self._bell = Bell()
        weakref.finalize(self, self._bell.close).atexit = False  # only when no thread can wait at it any more
        history.begin(self, self._bookmark, since)

    def read(self, timeout: float | None) -> list[Change]:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            if self._is_closed:
                raise ShelfClosed("the reader of changes has been closed")
            found = self._history.read(self._bookmark)
            left = None if end is None else end - time.monotonic()
            if found or self._is_woken or (left is not None and left <= 0):
                self._is_woken = False
                return found
            self._history.wait(self._bell, left)

    def ring(self) -> None:
        """Have it look again."""
        self._bell.ring()

    def wake(self) -> None:
        self._is_woken = True
        self.ring()

    def close(self) -> None:
        self._is_closed = True
        self._history.end(self._bookmark)
        self.ring()
