"""A reader without the entries that have expired. docs/design.md, "Expiry"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from coshelf.contract import Batch, Entry, Reader, Snapshot
from coshelf.values.envelope import rows_of
from coshelf.values.expiry import EXPIRING, is_of_user, is_over, row_of, until

__all__ = ["Living", "LivingSnapshot", "gone_in", "living", "living_record", "removal"]

T = TypeVar("T")

_AT_ONCE = 256  # entries that are read together; their values may be large


def living(key: bytes, reader: Reader, now: Callable[[], int]) -> Entry | None:
    """The entry of a key; None if it does not exist or has expired.

    If it seems to have expired, it is read again, after the clock: it may have got a later time between the two.
    """
    entry = reader.get(key)
    if entry is None or entry.record[:2] != EXPIRING or not is_over(key, entry.record, at := now()):
        return entry
    entry = reader.get(key)
    return None if entry is None or is_over(key, entry.record, at) else entry


def living_record(key: bytes, reader: Reader, now: Callable[[], int]) -> bytes | None:
    """The record of the entry. As :func:`living`."""
    record = reader.record(key)
    if record is None or record[:2] != EXPIRING or not is_over(key, record, at := now()):
        return record
    record = reader.record(key)
    return None if record is None or is_over(key, record, at) else record


def gone_in(reader: Reader, now: int) -> frozenset[bytes]:
    """The keys of the entries that have expired and are not removed yet. The reader should show one instant."""
    found: set[bytes] = set()
    for some in _due(reader, now):
        found.update(key for key, entry in some if entry is not None and is_over(key, entry.record, now))
    return frozenset(found)


def removal(reader: Reader, now: int, most: int) -> tuple[Batch, int] | None:
    """A batch that removes expired entries, and rows of the index whose time has come; and how many entries.

    The batch checks nothing: the caller holds the exclusive lock. It removes up to ``most`` rows. None: no row is due.
    """
    rows = [row for row, _ in islice(reader.scan(*until(now), keys_only=True), most)]
    if not rows:
        return None
    keys = list(dict.fromkeys(key for row in rows if is_of_user(key := row_of(row)[1])))
    entries, gone = 0, set(rows)
    for at in range(0, len(keys), _AT_ONCE):
        some = keys[at : at + _AT_ONCE]
        for key, entry in zip(some, reader.get_many(some), strict=True):
            if entry is not None and is_over(key, entry.record, now):
                entries += 1
                gone.add(key)
                gone.update(rows_of(key, entry.record))
    return Batch(deletes=frozenset(gone)), entries


def _due(reader: Reader, now: int) -> Iterator[list[tuple[bytes, Entry | None]]]:
    rows = reader.scan(*until(now), keys_only=True)
    while found := [row_of(row)[1] for row, _ in islice(rows, _AT_ONCE)]:
        some = [key for key in found if is_of_user(key)]
        yield list(zip(some, reader.get_many(some), strict=True))


class Living(Reader):
    """The entries of a reader that have not expired, at an instant of the clock that is not before that of the reader.

    Records tell by themselves whether they have expired. For keys alone, the index tells. If it is empty, or has no
    time that has come, the reader's own methods do all the work.
    """

    def __init__(self, reader: Reader, now: Callable[[], int]) -> None:
        self._reader = reader
        self._now = now

    def get(self, key: bytes) -> Entry | None:
        return living(key, self._reader, self._now)

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        first = self.first_expiry()
        found = self._reader.get_many(keys)
        if first is None:
            return found
        now = self._now()
        if any(entry is not None and is_over(key, entry.record, now) for key, entry in zip(keys, found, strict=True)):
            found = self._reader.get_many(keys)  # as in living()
        return [
            None if entry is None or is_over(key, entry.record, now) else entry
            for key, entry in zip(keys, found, strict=True)
        ]

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        def scan(reader: Reader) -> Iterator[tuple[bytes, Entry | None]]:
            return reader.scan(start, stop, reverse=reverse, keys_only=keys_only)

        return self._scanned(scan, lambda found, gone: (row for row in found if row[0] not in gone))

    def pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[tuple[bytes, bytes]]]:
        def scan(reader: Reader) -> Iterator[list[tuple[bytes, bytes]]]:
            return reader.pages(start, stop, reverse=reverse)

        return self._scanned(scan, lambda found, gone: ([row for row in page if row[0] not in gone] for page in found))

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        def scan(reader: Reader) -> Iterator[list[bytes]]:
            return reader.key_pages(start, stop, reverse=reverse)

        return self._scanned(scan, lambda found, gone: ([key for key in page if key not in gone] for page in found))

    def count(self, start: bytes, stop: bytes) -> int:
        if self.first_expiry() is None:
            return self._reader.count(start, stop)
        with self._reader.instant() as instant:
            gone = self._gone_in(instant)
            return instant.count(start, stop) - sum(start <= key < stop for key in gone)

    def first_expiry(self) -> int | None:
        return self._reader.first_expiry()

    def snapshot(self) -> Snapshot:
        return LivingSnapshot(self._reader.snapshot(), self._now)

    @contextmanager
    def instant(self) -> Iterator[Reader]:
        first = self.first_expiry()
        with self._reader.instant() as instant:
            if first is None or first > self._now():
                yield instant
            else:
                yield self if instant is self._reader else LivingSnapshot(instant, self._now)

    def _scanned(
        self, scan: Callable[[Reader], Iterator[T]], without: Callable[[Iterator[T], frozenset[bytes]], Iterator[T]]
    ) -> Iterator[T]:
        first = self.first_expiry()
        found = scan(self._reader)
        # The clock is read after the scan has begun: nothing that the index had before has been removed by then.
        if first is None or first > self._now():
            return found
        filtered = self._of_instant(scan, without)
        next(filtered)  # the instant is that of this call
        return filtered  # type: ignore[return-value]

    def _of_instant(
        self, scan: Callable[[Reader], Iterator[T]], without: Callable[[Iterator[T], frozenset[bytes]], Iterator[T]]
    ) -> Iterator[T | None]:
        with self._reader.instant() as instant:
            gone = self._gone_in(instant)
            found = scan(instant)
            yield None
            yield from without(found, gone) if gone else found

    def _gone_in(self, instant: Reader) -> frozenset[bytes]:
        return gone_in(instant, self._now())


class LivingSnapshot(Living, Snapshot):
    """The same for a snapshot. What has expired is looked up once, at the instant of the first call that needs it."""

    _gone: frozenset[bytes] | None = None
    _first: tuple[int | None] | None = None

    def __init__(self, reader: Reader, now: Callable[[], int]) -> None:
        at = now()
        super().__init__(reader, lambda: at)
        self.now = self._now

    def first_expiry(self) -> int | None:
        if self._first is None:
            self._first = (self._reader.first_expiry(),)
        return self._first[0]

    def _gone_in(self, instant: Reader) -> frozenset[bytes]:
        if self._gone is None:
            self._gone = super()._gone_in(instant)
        return self._gone

    def close(self) -> None:
        if isinstance(self._reader, Snapshot):
            self._reader.close()
