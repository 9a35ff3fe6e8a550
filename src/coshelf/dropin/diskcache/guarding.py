"""What the locks of :mod:`coshelf.diskcache.recipes` have in common: taking, waiting in order, and who holds."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any

from coshelf.diskcache.core import Cache
from coshelf.diskcache.fanout import FanoutCache
from coshelf.dropin.diskcache.expiring import expired
from coshelf.dropin.diskcache.holds import Ground, Hold, Name, Note
from coshelf.dropin.diskcache.layout import EXPIRE_TIME, HOLDERS
from coshelf.dropin.diskcache.rows import Rows
from coshelf.dropin.diskcache.store import Store
from coshelf.errors import TransactionInProgress
from coshelf.system.threads.participants import current_party

__all__ = ["Guarded", "ground_of", "is_inside", "name_of"]

_MOST = 10_000  # locks whose notes are looked at


def _single(cache: Cache | FanoutCache) -> Cache:
    return cache._cache if isinstance(cache, FanoutCache) else cache


def _store_of(cache: Cache | FanoutCache) -> Store:
    return _single(cache)._store


def ground_of(cache: Cache | FanoutCache, path: str | None = None) -> Ground:
    """The lines of a cache. ``path`` is the real path of its directory, if that is known."""
    single = _single(cache)
    return Ground(path or os.path.realpath(single.directory), single._store.shelf, single._kept_open)


def name_of(cache: Cache | FanoutCache, key: Any) -> Name:
    """What a key of the cache is called among locks."""
    stored, raw = cache.disk.put(key)
    return bool(raw), stored


def is_inside(cache: Cache | FanoutCache) -> bool:
    """Whether this thread is in a transaction of the cache."""
    inside = _store_of(cache).inside
    return bool(inside) and current_party() in inside


class Guarded(ABC):
    """A lock or semaphore whose state is an entry of a cache.

    Args:
        cache: a Cache or FanoutCache.
        key: the key of the entry.
        expire: seconds after which what is taken is free again. None: as long as its holder lives.
        tag: the tag of the entry.
    """

    _is_of_thread = False
    """Whether what is taken ends with its thread."""

    def __init__(self, cache: Cache | FanoutCache, key: Any, expire: float | None = None, tag: Any = None) -> None:
        self._cache = cache
        self._key = key
        self._expire = expire
        self._tag = tag
        self._path = os.path.realpath(cache.directory)

    @abstractmethod
    def _admit(self, noted: list[Note], living: list[Note]) -> list[Note] | None:
        """Store that one more holder has it, and return the notes that stay valid. None if it is not free."""

    def acquire(self) -> None:
        """Wait until it is free, and take it. Waiting costs no processor time, and goes in order of arrival.

        Raises:
            TransactionInProgress: it is not free, and this thread is in a transaction of the cache, so that no other
                process could give it back.
        """
        name, ground = self._name(), self._ground()
        if is_inside(self._cache):
            if self._take(ground, name) is not None:
                raise TransactionInProgress(
                    f"{self._key!r} is not free, and nobody can give it back during this thread's transaction of "
                    f"{self._cache.directory}\n  hint: take it first, and begin the transaction then"
                )
            return
        with ground.turn("next", name):
            while True:
                living = self._take(ground, name)
                if living is None:
                    return
                self._wait(ground, name, living)

    def _take(self, ground: Ground, name: Name) -> list[Note] | None:
        """Take it if it is free, and return None; or else return the notes of those that have it."""
        hold = ground.begin(name, self._expire, of_thread=self._is_of_thread)
        try:
            with self._cache.transact(retry=True):
                noted = self._noted(name)
                living = [note for note in noted if ground.lives(name, note)]
                gone = self._forget_gone(ground, name)
                others = self._admit(noted, living)
                if others is not None:
                    self._note(name, [*others, hold.note])
        except BaseException:
            hold.end()
            raise
        for other, notes in gone:
            self._ended(ground, other, notes)
        if others is None:
            hold.end()
            return living
        ground.keep(name, hold, others)
        return None

    def _wait(self, ground: Ground, name: Name, living: list[Note]) -> None:
        """Wait until it may be free. If its holder is not known, it may be so after a while."""
        raw, stored = name
        row = _store_of(self._cache).find(stored, raw)
        if row is None:
            return
        with ground.waiting(name, living, row[EXPIRE_TIME]) as wait:
            while not wait.is_over():
                if not living or self._key not in self._cache or self._noted(name) != living:
                    return

    # --- who holds ---------------------------------------------------------------------------------------------------

    def _name(self) -> Name:
        return name_of(self._cache, self._key)

    def _ground(self) -> Ground:
        return ground_of(self._cache, self._path)

    def _forget_gone(self, ground: Ground, name: Name) -> list[tuple[Name, list[Note]]]:
        """Remove notes of other locks whose entries have expired or were deleted, so that they do not gather.

        A process does so for what it holds itself. For others it does so once. Returns the notes that were removed.
        """
        store, gone = _store_of(self._cache), []
        names = ground.overdue(name)
        if ground.begins_here():
            rows = store.reader()
            names += [HOLDERS.decode(key) for start, stop in HOLDERS.ranges for key, _ in rows.some(start, stop, _MOST)]
        for other in names:
            raw, stored = other
            row = store.find(stored, raw)
            if other != name and (row is None or expired(row, time.time())):
                gone.append((other, [*self._noted(other), *(hold.note for hold in ground.holds(other))]))
                self._note(other, [])
        return gone

    def _noted(self, name: Name) -> list[Note]:
        found = _store_of(self._cache).get(HOLDERS.encode(name))
        return [] if found is None else [Note(*each) for each in found]

    def _note(self, name: Name, notes: list[Note]) -> None:
        plain = [tuple(note) for note in notes]

        def write(rows: Rows) -> None:
            if plain:
                rows.put(HOLDERS.encode(name), plain)
            else:
                rows.delete(HOLDERS.encode(name))

        _store_of(self._cache).step(write, retry=True)

    def _ended(self, ground: Ground, name: Name, notes: list[Note]) -> None:
        """After a release: wake whoever waits. A transaction may still be undone; those that wait look at its end."""
        if not is_inside(self._cache):
            ground.end(name, notes)

    @staticmethod
    def _valid(holds: list[Hold], noted: list[Note]) -> list[Hold]:
        """Those of some holds that the cache knows."""
        tokens = {note.token for note in noted}
        return [hold for hold in holds if hold.note.token in tokens]

    # --- with --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def release(self) -> None:
        """Give it back."""

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
