"""Tells changes: lists the objects now and then, and compares them with what the list before had.

A position names what a list had. It is known to the handle that made it, for as long as it remembers that list.
"""

from __future__ import annotations

import os
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from coshelf.contract import Change, Changes, Position
from coshelf.engines.objects.client import Client, Listed
from coshelf.engines.objects.listing import Listing
from coshelf.engines.objects.workers import Workers
from coshelf.engines.wakeable import WakeableWait, read_aside
from coshelf.errors import ShelfClosed
from coshelf.keys import FIRST, LAST
from coshelf.system.threads.bridge import awaited, is_bridged
from coshelf.system.threads.cooperation import new_reentrant_lock
from coshelf.system.threads.living import Living
from coshelf.system.waiting.backoff import Backoff
from coshelf.values.expiry import time_of

__all__ = ["ObjectsChanges", "Seen"]

_FIRST_PAUSE = 0.05  # seconds between two lists; each costs money
_LONGEST_PAUSE = 1.0
_LARGEST = 1 << 16  # bytes of an object that is read as soon as it has changed
_REMEMBERED = 8  # states of a handle, and lists of each reader
_WRITTEN = re.compile(r"([0-9a-f]{16})-([0-9]{1,18})")

_Ranges = tuple[tuple[bytes, bytes], ...]
_Tags = dict[bytes, str]


class _Sight:
    """The ETags in some ranges: in the last list, and how to get back from there to those before."""

    def __init__(self, ranges: _Ranges, tags: _Tags) -> None:
        self.name = os.urandom(8).hex()
        self.ranges = ranges
        self.tags = tags
        self.number = 0
        self._before: deque[dict[bytes, str | None]] = deque(maxlen=_REMEMBERED)

    @property
    def position(self) -> str:
        return f"{self.name}-{self.number}"

    def replace(self, tags: _Tags, changed: dict[bytes, str | None]) -> None:
        """Have the tags of a new list, which differ from the last one in some keys."""
        self._before.append({key: self.tags.get(key) for key in changed})
        self.tags = tags
        self.number += 1

    def at(self, number: int, ranges: _Ranges) -> _Tags | None:
        """The tags in ranges after an earlier list; None if they are not known."""
        back = self.number - number
        covers = all(any(low <= start and stop <= high for low, high in self.ranges) for start, stop in ranges)
        if not covers or not 0 <= back <= len(self._before):
            return None
        tags = {key: tag for key, tag in self.tags.items() if _selects(ranges, key)}
        for before in list(self._before)[len(self._before) - back :][::-1]:
            for key, tag in before.items():
                if tag is None:
                    tags.pop(key, None)
                elif _selects(ranges, key):
                    tags[key] = tag
        return tags


def _selects(ranges: _Ranges, key: bytes) -> bool:
    return any(start <= key < stop for start, stop in ranges)


class Seen:
    """What a handle has seen, by the names of positions.

    Args:
        now: the time by which entries expire.
    """

    def __init__(self, client: Client, workers: Workers, listing: Listing, now: Callable[[], int], where: str) -> None:
        self.client = client
        self.workers = workers
        self.listing = listing
        self.time = now
        self.where = where
        self.is_closed = False
        self.readers: Living[ObjectsChanges] = Living()
        self._sights: OrderedDict[str, _Sight] = OrderedDict()
        self._lock = new_reentrant_lock()

    def close(self) -> None:
        """Let all readers of this handle return, and refuse to read on."""
        self.is_closed = True
        for reader in list(self.readers):
            reader.wake()

    def now(self) -> str:
        """The position of what is stored now."""
        ranges = ((FIRST, LAST),)
        return self.remember(_Sight(ranges, {key: listed.tag for key, listed in self.listed(ranges)})).position

    def listed(self, ranges: _Ranges) -> Iterator[tuple[bytes, Listed]]:
        """The objects of the entries in ranges."""
        for start, stop in ranges:
            for page in self.listing.listed(max(start, FIRST), stop):
                yield from page

    def remember(self, sight: _Sight) -> _Sight:
        """Know the positions of a sight from now on, and forget those of the one that was used least lately."""
        with self._lock:
            self._sights[sight.name] = sight
            self._sights.move_to_end(sight.name)
            while len(self._sights) > _REMEMBERED:
                self._sights.popitem(last=False)
        return sight

    def tags_at(self, since: Position, ranges: _Ranges) -> _Tags | None:
        """The tags in ranges at a position; None if they are not known. Raises ValueError."""
        found = _WRITTEN.fullmatch(since) if isinstance(since, str) else None
        if found is None:
            raise ValueError(f"{since!r} is no position of the shelf {self.where}")
        with self._lock:
            sight = self._sights.get(found[1])
            return None if sight is None else sight.at(int(found[2]), ranges)


class ObjectsChanges(Changes):
    """A reader of changes. Those that one list shows have one position."""

    def __init__(self, seen: Seen, ranges: Sequence[tuple[bytes, bytes]], since: Position) -> None:
        self._seen = seen
        self._ranges: _Ranges = tuple((max(start, FIRST), stop) for start, stop in ranges if stop > FIRST)
        tags = seen.tags_at(since, self._ranges)
        self._has_gap = tags is None
        self._sight = _Sight(self._ranges, tags or {})
        self._times: dict[bytes, int] = {}  # when entries expire that this reader has seen being stored
        self._wait = WakeableWait()
        self._lock = new_reentrant_lock()  # a signal handler that interrupts a read may close the reader
        self._is_closed = False
        seen.readers.add(self)

    def read(self, timeout: float | None) -> list[Change]:
        if is_bridged():
            return awaited(read_aside(self, timeout))
        end = None if timeout is None else time.monotonic() + timeout
        pauses = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        with self._lock:
            while True:
                self._refuse_closed()
                if changes := self._look():
                    return changes
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return []
                if self._wait.wait((), pauses.pause if left is None else min(left, pauses.pause)) is None:
                    return []
                pauses.lengthen()

    def _refuse_closed(self) -> None:
        if self._is_closed or self._seen.is_closed:
            what = "this reader of the changes of" if self._is_closed else "the shelf"
            raise ShelfClosed(f"{what} {self._seen.where} has been closed")

    def _look(self) -> list[Change]:
        """The differences between what is stored now and the last list."""
        now = dict(self._seen.listed(self._ranges))
        before = self._sight.tags
        tags = {key: listed.tag for key, listed in now.items()}
        if self._has_gap:
            self._sight = self._seen.remember(_Sight(self._ranges, tags))
            self._has_gap = False
            return [Change(b"", "gap", self._sight.position)]
        stored = [key for key, tag in tags.items() if before.get(key) != tag]
        records = dict(zip(stored, self._records([now[key] for key in stored], tags, stored), strict=True))
        changed: dict[bytes, str | None] = {
            key: tags.get(key) for key in (*stored, *(before.keys() - tags.keys())) if tags.get(key) != before.get(key)
        }
        if not changed:
            return []
        self._sight.replace(tags, changed)
        self._seen.remember(self._sight)
        return [self._change(key, tag is not None, records.get(key)) for key, tag in changed.items()]

    def _records(self, objects: list[Listed], tags: _Tags, keys: list[bytes]) -> list[bytes | None]:
        """The records of objects, without large ones. The tags of objects that have changed since are put right."""
        small = [at for at, listed in enumerate(objects) if listed.size <= _LARGEST]
        read = self._seen.workers.all([partial(self._seen.client.get, objects[at].name) for at in small])
        records: list[bytes | None] = [None] * len(objects)
        for at, found in zip(small, read, strict=True):
            if found is None or not found.data:
                del tags[keys[at]]
                continue
            records[at] = found.data
            tags[keys[at]] = found.token.get("e_tag", "")
        return records

    def _change(self, key: bytes, is_stored: bool, record: bytes | None) -> Change:
        position = self._sight.position
        if is_stored:
            expires = None if record is None else time_of(record)
            self._times.pop(key, None)
            if expires is not None:
                self._times[key] = expires
            return Change(key, "set", position, record)
        expires = self._times.pop(key, None)
        is_over = expires is not None and expires <= self._seen.time()
        return Change(key, "expired" if is_over else "deleted", position)

    def wake(self) -> None:
        self._wait.wake()

    def close(self) -> None:
        self._is_closed = True
        self._wait.wake()
        with self._lock:
            self._wait.close()
