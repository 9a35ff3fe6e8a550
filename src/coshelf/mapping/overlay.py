"""Writes that are not committed yet, over a reader. A transaction reads through it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import NoneType, TracebackType
from typing import Any, cast

from coshelf import records
from coshelf.contract import ABSENT, Absent, Batch, Entry, Reader, Snapshot
from coshelf.engines.merging import merge
from coshelf.errors import TransactionInProgress
from coshelf.keys import FIRST, LAST, decode, shown
from coshelf.mapping.namespace import Range
from coshelf.mapping.record import UNCOMMITTED
from coshelf.native import instead
from coshelf.values.envelope import Envelope, enclosed
from coshelf.values.expiry import MARK

__all__ = ["Overlay"]

Mark = tuple[dict[bytes, bytes | None], list[Range]]


class Overlay(Reader):
    """A reader that shows buffered puts, deletes and clears over a base, and makes a batch of them.

    With ``watched`` it remembers the version of every entry that was read from the base, so that the batch checks them.
    """

    def __init__(self, base: Reader, *, watched: bool) -> None:
        self._base = base
        self._watched = watched
        self._writes: dict[bytes, bytes | None] = {}
        self._clears: list[Range] = []
        self._guarded: set[bytes] = set()
        self._seen: dict[bytes, int | str | Absent] = {}
        self._first_time: int | None = None  # of the rows of the index in the writes

    # --- writing -----------------------------------------------------------------------------------------------------

    def put(self, key: bytes, body: bytes) -> None:
        if self._guarded:
            self._refuse_guarded((key,))
        self._writes[key] = body

    def put_enclosed(self, puts: dict[bytes, bytes], envelope: Envelope) -> None:
        """Write entries with a time or tags, and their rows of the indexes."""
        self.put_all({key: enclosed(body, envelope) for key, body in puts.items()})
        for key in puts:
            self.note_rows(envelope, key)

    def note_rows(self, envelope: Envelope, key: bytes) -> None:
        """Write the rows of the indexes for an entry with a time or tags."""
        for row in envelope.rows(key):
            self._writes[row] = MARK
        time = envelope.time
        if time is not None:
            self._first_time = time if self._first_time is None else min(time, self._first_time)

    def put_plain(self, key: Any, value: Any) -> bool:
        """Put an entry from its key and value, if the module in C can make its bytes. Return whether it did.

        Only for a shelf of which :func:`coshelf.mapping.gathering.is_gathered_in_c` is true.
        """
        return not self._guarded and _put_plain(self._writes, key, value)

    def put_all(self, puts: dict[bytes, bytes]) -> None:
        if self._guarded:
            self._refuse_guarded(puts)
        self._writes.update(puts)

    def delete(self, key: bytes) -> None:
        if self._guarded:
            self._refuse_guarded((key,))
        self._writes[key] = None

    def clear(self, start: bytes, stop: bytes) -> None:
        if self._guarded:
            self._refuse_guarded([key for key in self._guarded.copy() if start <= key < stop])
        for key in [key for key in list(self._writes) if start <= key < stop]:
            self._writes.pop(key, None)
        self._clears.append((start, stop))

    def mark(self) -> Mark:
        """A copy of the writes, with which :meth:`go_back` undoes all later ones."""
        return self._writes.copy(), self._clears.copy()

    def go_back(self, mark: Mark) -> None:
        """Undo all writes since the mark. Versions that were read stay remembered."""
        # In place: the step that was interrupted by what is undone here may be about to write.
        writes, clears = mark
        added = self._writes.keys() - writes.keys()
        self._writes.update(writes)
        for key in added:
            self._writes.pop(key, None)
        self._clears[:] = clears

    def guarding(self, key: bytes) -> _Guarding:
        """For a block, only :meth:`put_guarded` may write an entry. Raises if the entry is guarded already."""
        if self._guarded:
            self._refuse_guarded((key,))
        return _Guarding(self._guarded, key)

    def guard(self, key: bytes) -> None:
        """From here on, only :meth:`put_guarded` may write an entry."""
        self._guarded.add(key)

    def put_guarded(self, key: bytes, body: bytes) -> None:
        """Write the entry that the caller guards."""
        self._writes[key] = body

    def _refuse_guarded(self, keys: Iterable[bytes]) -> None:
        for key in self._guarded.intersection(keys):
            raise TransactionInProgress(
                f"the entry {shown(decode(key))} is being changed by edit() or modify() in this transaction; a second "
                "change of it would be lost\n"
                "  hint: change the value that edit() returned, or return the new value from the function of modify()"
            )

    def forget(self) -> None:
        """Release all writes. A batch that was made keeps its own."""
        self._writes = {}

    def batch(self, *, of_reads: bool = False) -> Batch | None:
        """All writes as one batch; None if there are none.

        With ``of_reads``, a transaction that only read several entries has a batch, too, with checks only.
        """
        writes = self._writes.copy()
        if not writes and not self._clears:
            return Batch(checks=self._seen) if of_reads and len(self._seen) > 1 else None
        deletes = frozenset[bytes]()
        if NoneType in set(map(type, writes.values())):
            deletes = frozenset(key for key, body in writes.items() if body is None)
            for key in deletes:
                del writes[key]
        return Batch(
            puts=cast("dict[bytes, bytes]", writes),
            deletes=deletes,
            checks=self._seen,
            clears=tuple(self._clears),
        )

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Entry | None:
        if key in self._writes:
            return _uncommitted(key, self._writes[key])
        if self._clears and _is_within(key, self._clears):
            return None
        entry = self._base.get(key)
        return self._see(key, entry) if self._watched else entry

    def record(self, key: bytes) -> bytes | None:
        if self._watched or self._clears or key in self._writes:
            return super().record(key)
        return self._base.record(key)

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        # A copy: later writes are not of this instant.
        bodies = {key: body for key, body in self._writes.copy().items() if start <= key < stop}
        written = sorted(bodies)
        clears = list(self._clears)
        below = self._base.scan(start, stop, reverse=reverse, keys_only=keys_only and not self._watched)
        shown = (
            (key, self._see(key, entry)) for key, entry in below if key not in bodies and not _is_within(key, clears)
        )
        own = (
            (key, _uncommitted(key, bodies[key]))
            for key in (reversed(written) if reverse else written)
            if bodies[key] is not None
        )
        for key, entry in merge(shown, own, reverse):
            yield key, None if keys_only else entry

    def count(self, start: bytes, stop: bytes) -> int:
        if self._clears:
            return sum(1 for _ in self.scan(start, stop, keys_only=True))
        total = self._base.count(start, stop)
        for key, body in self._writes.copy().items():
            if start <= key < stop:
                total += (body is not None) - (self._base.get(key) is not None)
        return total

    def first_expiry(self) -> int | None:
        own, below = self._first_time, self._base.first_expiry()
        return below if own is None else own if below is None else min(own, below)

    def snapshot(self) -> Snapshot:
        """The current state of the overlay, without later writes. Versions that are read from it are remembered."""
        now = Overlay(self._base, watched=self._watched)
        now._writes = self._writes.copy()
        now._clears = self._clears.copy()
        now._seen = self._seen
        now._first_time = self._first_time
        return _OverlaySnapshot(now)

    def glance(self) -> Overlay:
        """The current state of the overlay, for looking at it. What is read from it is not remembered."""
        now = Overlay(self._base, watched=False)
        now._writes = self._writes.copy()
        now._clears = self._clears.copy()
        now._first_time = self._first_time
        return now

    def changes(self) -> int:
        """How many entries are put or deleted. Ranges that are cleared do not count."""
        return sum(FIRST <= key < LAST for key in self._writes.copy())

    def _see(self, key: bytes, entry: Entry | None) -> Entry | None:
        if self._watched:
            self._seen.setdefault(key, ABSENT if entry is None else entry.version)
        return entry


class _Guarding:
    """The block of :meth:`Overlay.guarding`."""

    __slots__ = ("_guarded", "_key")

    def __init__(self, guarded: set[bytes], key: bytes) -> None:
        self._guarded = guarded
        self._key = key

    def __enter__(self) -> None:
        self._guarded.add(self._key)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._guarded.discard(self._key)


class _OverlaySnapshot(Snapshot):
    """An overlay without further writes, as a snapshot, for scans that take several steps."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay

    def get(self, key: bytes) -> Entry | None:
        return self._overlay.get(key)

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        return self._overlay.scan(start, stop, reverse=reverse, keys_only=keys_only)

    def count(self, start: bytes, stop: bytes) -> int:
        return self._overlay.count(start, stop)

    def first_expiry(self) -> int | None:
        return self._overlay.first_expiry()

    def snapshot(self) -> Snapshot:
        return self

    def close(self) -> None:
        """Nothing to do: it holds no resources."""


def _put_plain(_into: dict[bytes, bytes | None], _key: Any, _value: Any, /) -> bool:
    """Put an entry of plain data into a dict, and return True. Only the module in C does so."""
    return False


_put_plain = instead("put_plain", _put_plain)


def _uncommitted(key: bytes, body: bytes | None) -> Entry | None:
    if body is None:
        return None
    return Entry(records.seal(body, records.checksum(key, body), 0), UNCOMMITTED)


def _is_within(key: bytes, ranges: list[Range]) -> bool:
    return any(start <= key < stop for start, stop in ranges)
