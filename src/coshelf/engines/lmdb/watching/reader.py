"""Reads changes: those that the base has, and after them those that wait in the delta."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import lmdb

from coshelf import records
from coshelf.contract import Change, Changes, Position
from coshelf.engines.lmdb import long_keys
from coshelf.engines.lmdb.blobs.folder import blob_path, folder_of
from coshelf.engines.lmdb.delta.delta import DeltaCommits, NotRead, Places
from coshelf.engines.lmdb.failures import translate
from coshelf.engines.lmdb.watching.history import Marker, history_between, marker_in
from coshelf.engines.lmdb.watching.positions import place_of, position_of
from coshelf.engines.lmdb.watching.told import KINDS, SET, Commit
from coshelf.errors import ShelfClosed
from coshelf.keys import FIRST, LAST
from coshelf.system.threads.cooperation import this_thread
from coshelf.values.blobs import reference_in

if TYPE_CHECKING:
    from coshelf.engines.lmdb.environment import Environment
    from coshelf.engines.lmdb.watching.watch_state import WatchState

__all__ = ["LmdbChanges", "position_now"]

_AT_ONCE = 1 << 20  # bytes that one read returns, about
_PAUSE = 0.0005  # seconds between attempts to wake a reader


class _State(NamedTuple):
    """Where a reader is.

    Attributes:
        era, number: the position of the last commit that was read.
        places: up to where the delta was read.
        gap: the position up to which changes are not known, if that is to be told next.
    """

    era: int
    number: int
    places: Places
    gap: int | None

    def skipped(self, number: int, marker: Marker | None) -> _State:
        """After a gap: right after a commit, or before the first change of which the base has all after it."""
        if marker is not None:
            return self._replace(number=marker.start, gap=position_of(marker.eras[0][0], marker.start))
        return self._replace(number=number, gap=position_of(self.era, number))


def position_now(environment: Environment) -> int:
    """The position right after the last commit. From now on changes are kept for a while. The caller is inside."""
    watch = environment.page.watch
    if watch.renew() and environment.is_delta_made:
        environment.current_delta().barrier()  # commits that did not see the word are done
    last = environment.current_delta().last_commit() if environment.is_delta_made else 0
    return position_of(watch.era, max(last, environment.read_row(environment.base).sequence))


class LmdbChanges(Changes):
    """A reader of the changes of a shelf."""

    def __init__(
        self,
        environment: Environment,
        ranges: Sequence[tuple[bytes, bytes]],
        since: Position,
        is_closed: Callable[[], bool],
    ) -> None:
        self._environment = environment
        self._ranges = tuple((max(start, FIRST), min(stop, LAST)) for start, stop in ranges)
        self._is_closed = is_closed
        self._is_ended = False
        self._is_woken = False
        self._waits_in: int | None = None
        self._state = _State(*place_of(since), NotRead, None)
        with environment.inside():
            now = place_of(position_now(environment))
            if self._state.era == now.era and self.number > now.number:
                raise ValueError(f"{since!r} is no position of this shelf: the last commit was before it")
            environment.watchers.join(self)

    @property
    def number(self) -> int:
        """The number of the last commit that was read."""
        return self._state.number

    # --- reading -----------------------------------------------------------------------------------------------------

    def read(self, timeout: float | None) -> list[Change]:
        end = None if timeout is None else time.monotonic() + timeout
        environment = self._environment
        while True:
            with environment.inside():
                self._refuse_closed()
                environment.watchers.join(self)
                sequence = environment.page.sequence()
                found = self._take()
                environment.watchers.note()
                left = None if end is None else end - time.monotonic()
                if found or self._is_woken or (left is not None and left <= 0):
                    self._is_woken = False
                    return found
                self._wait(sequence, left)

    def _refuse_closed(self) -> None:
        if self._is_ended or self._is_closed():
            raise ShelfClosed(f"the reader of changes of {self._environment.path} has been closed, or its shelf")

    def _wait(self, sequence: int, timeout: float | None) -> None:
        self._waits_in = this_thread()
        try:
            if not self._is_woken and not self._is_closed():
                self._environment.page.wait(sequence, timeout)
        finally:
            self._waits_in = None

    def _take(self) -> list[Change]:
        """What is there now. The reader is where it was if this raises."""
        environment = self._environment
        try:
            place = self._place_in(environment.page.watch)
            waiting = self._waiting(place)
            with environment.base.begin() as transaction:
                found, place = self._merged(transaction, waiting, place)
        except lmdb.Error as error:
            raise translate(error, environment.path, "read") from error
        self._state = place
        return found

    def _place_in(self, watch: WatchState) -> _State:
        """Where the reader is in this era. Numbers of the one before are known if the base knows the position."""
        place = self._state
        if place.era == watch.era:
            return place
        with self._environment.base.begin() as transaction:
            flushed = self._environment.flushed_by(transaction)
            marker = _valid(marker_in(transaction), flushed)
            if marker is not None and marker.knows(place.era, place.number):
                return _State(watch.era, place.number, NotRead, None)
            return _State(watch.era, place.number, NotRead, None).skipped(flushed, marker)

    def _waiting(self, place: _State) -> DeltaCommits:
        """The commits that the delta has. They are read before the base: what a flush takes out is there by then."""
        environment = self._environment
        state = environment.delta_state
        if state is None or state.is_clean() or not environment.is_delta_made:
            return DeltaCommits([], 0, place.places)
        return environment.current_delta().commits(place.number, place.places, _AT_ONCE)

    def _merged(
        self, transaction: lmdb.Transaction[bytes], waiting: DeltaCommits, place: _State
    ) -> tuple[list[Change], _State]:
        flushed = self._environment.flushed_by(transaction)
        commits: list[Commit] = []
        marker: Marker | None = None
        is_all = True
        if flushed > place.number:
            marker = _valid(marker_in(transaction), flushed)
            if marker is None or marker.start > place.number:
                place = place.skipped(flushed, marker)
            try:
                commits, is_all = history_between(transaction, place.number, flushed, _AT_ONCE)
            except ValueError:  # damaged rows
                place = place.skipped(flushed, None)
            place = place._replace(number=flushed if is_all else commits[-1].number)
        if is_all:
            if waiting.complete > place.number:
                place = place.skipped(waiting.complete, None)
            commits += [commit for commit in waiting.commits if commit.number > place.number]
            last = commits[-1].number if commits else 0
            place = place._replace(number=max(place.number, last), places=waiting.places)
        else:
            place = place._replace(places=NotRead)
        gap = [] if place.gap is None else [Change(b"", "gap", place.gap)]
        return gap + self._told(transaction, commits, marker, place.era), place._replace(gap=None)

    # --- telling -----------------------------------------------------------------------------------------------------

    def _told(
        self, transaction: lmdb.Transaction[bytes], commits: list[Commit], marker: Marker | None, now: int
    ) -> list[Change]:
        found: list[Change] = []
        for number, changes in commits:
            era = now if marker is None or number > marker.last else marker.era_of(number)
            position = position_of(era, number)
            for kind, key, record in changes:
                if any(start <= key < stop for start, stop in self._ranges):
                    stored = self._record(transaction, key, record, number) if kind == SET else None
                    found.append(Change(key, KINDS[kind], position, stored))
        return found

    def _record(self, transaction: lmdb.Transaction[bytes], key: bytes, record: bytes, number: int) -> bytes | None:
        """The record of a change. Large ones are those of their entries, unless these have been stored again."""
        if not record:
            found = transaction.get(long_keys.physical(key))
            if found is None or records.version(found) != number:
                return None
            record = found
        blob = reference_in(record)
        return (
            record if blob is None or os.path.lexists(blob_path(folder_of(self._environment.path), blob.id)) else None
        )

    # --- the end -----------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        self._is_woken = True
        # The reader may be about to sleep. A handler in the thread of the reader has interrupted its sleep already.
        while (waits_in := self._waits_in) is not None and waits_in != this_thread():
            self._environment.wake()
            time.sleep(_PAUSE)

    def close(self) -> None:
        if self._is_ended:
            return
        self._is_ended = True
        self.wake()
        if self._environment.is_open:
            try:
                with self._environment.inside():
                    self._environment.watchers.part(self)
            except ShelfClosed:
                pass  # it has given up all places


def _valid(marker: Marker | None, flushed: int) -> Marker | None:
    """The marker, unless the base has had commits whose changes it does not have."""
    return marker if marker is not None and marker.last == flushed else None
