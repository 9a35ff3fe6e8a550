"""A watch: the changes of the selected entries, one after the other. docs/coordination.md, "Watching"."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator
from operator import attrgetter
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from coshelf.contract import Change as Told
from coshelf.contract import Changes, Engine, Entry, Position
from coshelf.errors import ShelfClosed
from coshelf.keys import FOREIGN
from coshelf.mapping.change import Change
from coshelf.mapping.expiring import remove_due
from coshelf.mapping.handle import Handle
from coshelf.mapping.resuming import Point, point_of, within
from coshelf.mapping.selection import Selection
from coshelf.screen import plain
from coshelf.system.threads.cooperation import new_reentrant_lock

__all__ = ["Watch"]

K = TypeVar("K")
V = TypeVar("V")

_LONGEST_READ = 1.0  # seconds; limits the wait if a wake is lost
_SHORTEST_READ = 0.02  # seconds; if something has expired, and cannot be removed now
_MERGE_AGAIN = 0.02  # seconds after which a watch for the latest changes looks for newer ones
_MOST_READS = 100  # one after the other, if changes come faster than they are read
_KEY = attrgetter("key")


class Watch(Iterator[Change[K, V]], Generic[K, V]):
    """The changes of some entries of a shelf, in the order of the commits. From :meth:`coshelf.Shelf.watch`.

    It is an iterator and a context manager. One thread at a time may iterate. The end of its block closes it, and so
    does :meth:`close` in any thread. A watch belongs to its process, and not to a forked child.

    If an exception ends a step, such as KeyboardInterrupt, the next one goes on where the last change was told.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> with shelf.watch(prefix="jobs/") as watch:
    ...     shelf["jobs/1"] = "wash"
    ...     change = watch.next(timeout=60)
    ...     change.key, change.value, watch.next(timeout=0)
    ('jobs/1', 'wash', None)
    """

    def __init__(
        self, handle: Handle, selection: Selection, since: Position | None, *, latest: bool, timeout: float | None
    ) -> None:
        self._handle = handle
        self._selection = selection
        self._latest = latest
        self._timeout = timeout
        self._pid = os.getpid()
        self._in_use = new_reentrant_lock()
        self._reads: int | None = None  # the thread that reads
        self._is_closed = False
        self._waiting: dict[object, Change[K, V]] = {}
        self._merged_at = 0.0
        self._partly = Point("")
        self._readers: list[Changes] = []  # at most one
        self._finalizer = weakref.finalize(self, _close, self._readers, self._pid)
        self._finalizer.atexit = False
        self._at: Position = ""  # what came up to here has been taken
        self._version: Position = self._begin(handle.engine, since)
        handle.watches.add(self)

    def _begin(self, engine: Engine, since: Position | None) -> Position:
        if since is not None:
            self._go_to(point_of(since, engine))
            self._reader()
            return self._at if self._partly.commit is None else since
        self._at = engine.position()
        first = self._reader().read(0)
        if first and first[0].kind == "gap":  # commits during this call, of which nobody was told: before the watch
            self._at = first.pop(0).position
        begin = self._at
        self._take(first)
        return begin

    def _go_to(self, point: Point) -> None:
        self._partly, self._at = point, point.after

    def __repr__(self) -> str:
        return f"<{self._title()}>"

    def _repr_html_(self) -> str:
        from coshelf.inspection.notebook import line_as_html

        return line_as_html(self._title())

    def _title(self) -> str:
        from coshelf.mapping.glance import glance_of

        glance = glance_of(self._handle, self._selection)
        end = "closed " if self._is_closed or glance.end else ""
        at = "" if end else f": {len(self._waiting):,} changes read, version {self._version!r}"
        return plain(f"{end}Watch({self._selection.words()}) of {glance.place()}{at}")

    @property
    def version(self) -> Position:
        """Where to go on after the last change that was told, as :attr:`coshelf.Change.version`.

        It also moves on with commits that change none of the selected entries.
        """
        return self._version

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change[K, V]:
        change = self.next(self._timeout)
        if change is None:
            raise StopIteration
        return change

    def next(self, timeout: float | None = None) -> Change[K, V] | None:
        """The next change; None if the watch was closed, or if there is none for ``timeout`` seconds.

        Raises:
            ShelfClosed: the shelf was closed.
        """
        end = None if timeout is None else time.monotonic() + timeout
        if self._pid != os.getpid():
            raise ShelfClosed("the watch belongs to the parent of this process")
        if self._latest and self._waiting and time.monotonic() - self._merged_at > _MERGE_AGAIN:
            self._read(0)
        while not self._waiting and not self._is_closed:
            longest = self._remove_expired()
            left = None if end is None else max(end - time.monotonic(), 0)
            self._read(longest if left is None else min(left, longest))
            if left == 0:
                break
        if self._is_closed:
            self._handle.refuse_closed()
            return None
        if not self._waiting:
            return None
        change = self._waiting.pop(next(iter(self._waiting)))
        self._version = change.version
        return change

    def _remove_expired(self) -> float:
        """Remove what has expired, so that it is told though nobody writes. Return how long to wait for changes."""
        handle, engine = self._handle, self._handle.engine
        granted = engine.capabilities
        if not granted.expiry or not granted.exclusive or engine.hides_expired or handle.flag == "r":
            return _LONGEST_READ
        if engine.owns_exclusive():
            return _LONGEST_READ
        due = remove_due(engine)
        return _LONGEST_READ if due is None else min(max(due, _SHORTEST_READ), _LONGEST_READ)

    def _read(self, timeout: float) -> None:
        """Wait for changes, and take all that are there."""
        with self._in_use:
            if self._is_closed:
                return
            self._reads = threading.get_ident()
            try:
                self._take_all(self._reader(), timeout)
            except BaseException:  # it may have lost what it had read
                _close(self._readers, self._pid)
                self._waiting.clear()
                self._go_to(point_of(self._version, self._handle.engine))
                raise
            finally:
                self._reads = None
                if self._is_closed:
                    _close(self._readers, self._pid)

    def _take_all(self, reader: Changes, timeout: float) -> None:
        found = reader.read(timeout)
        self._take(found)
        for _ in range(_MOST_READS if self._latest else 0):
            if not found or self._is_closed:
                break
            found = reader.read(0)
            self._take(found)
        self._merged_at = time.monotonic()
        if not self._waiting and self._partly.commit is None:
            self._version = self._at

    def _reader(self) -> Changes:
        if not self._readers:
            self._handle.refuse_closed()
            self._readers.append(self._handle.engine.changes(self._selection.ranges, self._at))
        return self._readers[0]

    # --- from the changes of an engine to those that are told --------------------------------------------------------

    def _take(self, changes: list[Told]) -> None:
        at = 0
        while at < len(changes):
            end = at + 1
            while end < len(changes) and changes[end].position == changes[at].position:
                end += 1
            self._take_commit(changes[at:end])
            at = end

    def _take_commit(self, changes: list[Told]) -> None:
        position = changes[0].position
        partly, self._partly = self._partly, Point("")
        told = [
            (key, change)
            for change in sorted(changes, key=_KEY)
            if (key := self._selected(change)) is not FOREIGN
            and not (change.kind != "gap" and partly.commit == position and change.key <= partly.key)
        ]
        for number, (key, change) in enumerate(told, 1):
            is_last = number == len(told)
            version = position if is_last else within(self._at, position, change.key)
            self._put(key, change, version, is_last)
        self._at = position

    def _selected(self, change: Told) -> Any:
        """The key of a change; :data:`FOREIGN` if it is not to be told."""
        if change.kind == "gap":
            return None
        selection = self._selection
        key = selection.namespace.decode(change.key)
        return key if key is not FOREIGN and (selection.glob is None or selection.glob.matches(key)) else FOREIGN

    def _put(self, key: Any, change: Told, version: Position, is_last: bool) -> None:
        entry = None if change.record is None else Entry(change.record)
        name: object = change.key if self._latest and change.kind != "gap" else object()
        self._waiting.pop(name, None)
        self._waiting[name] = Change(cast("K", key), change.key, change.kind, version, is_last, entry, self._handle)

    # --- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the watch, also if another thread waits in it: its iteration ends. Closing twice is fine."""
        self._is_closed = True
        if self._pid != os.getpid():
            return
        for reader in self._readers.copy():
            reader.wake()
        if self._reads == threading.get_ident():
            return  # a signal handler interrupted the read, which closes the reader when it goes on
        with self._in_use:  # as soon as the thread that reads has left
            _close(self._readers, self._pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _close(readers: list[Changes], pid: int) -> None:
    if pid == os.getpid():
        while readers:
            readers.pop().close()
