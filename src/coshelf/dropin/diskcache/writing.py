"""The writes of a transaction, before they are committed together."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from typing import Any, Final

from coshelf.contract import Absent, Batch, Engine
from coshelf.errors import DamagedRecord, UnreadableValue
from coshelf.keys import decode
from coshelf.values.codec import Codec

__all__ = ["Writing"]


class _Gone:
    """The type of :data:`_GONE`."""


_GONE: Final = _Gone()
_MISSING: Final = object()

Mark = tuple[int, int, int]


class Writing:
    """Reads and buffered writes over an engine, by the bytes of keys.

    The thread holds the exclusive lock meanwhile, so what it reads stays so; or what it read is checked at the commit.

    Attributes:
        new_files: names of files that were written for values. They are removed if nothing is committed.
        old_files: names of files that no entry names any more after the commit. They are removed then.
        is_stepping: whether a step is under way. A signal handler that interrupts it cannot take part.
    """

    def __init__(self, engine: Engine, codec: Codec) -> None:
        self.engine = engine
        self.codec = codec
        self.new_files: list[str] = []
        self.old_files: list[str] = []
        self.is_stepping = False
        self._values: dict[bytes, Any] = {}
        self._written: list[bytes] = []  # the keys of _values, in order
        self._journal: list[tuple[bytes, Any]] | None = None

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Any:
        """The value of a key; None if the key does not exist."""
        if self._values:
            value = self._values.get(key, _MISSING)
            if value is not _MISSING:
                return None if value is _GONE else value
        record = self.engine.record(key)
        return None if record is None else self._loaded(key, record)

    def holds(self, key: bytes) -> bool:
        """Whether a key exists."""
        value = self._values.get(key, _MISSING)
        return value is not _GONE if value is not _MISSING else self.engine.record(key) is not None

    def keys(self, start: bytes, stop: bytes) -> list[bytes]:
        """The keys with ``start <= key < stop``, in order. No value is loaded."""
        own = {key for key in self._values if start <= key < stop}
        stored = [key for key, _ in self.engine.scan(start, stop, keys_only=True) if key not in own]
        return sorted(stored + [key for key in own if self._values[key] is not _GONE])

    def _loaded(self, key: bytes, record: bytes) -> Any:
        try:
            return self.codec.load(key, key, record)
        except (DamagedRecord, UnreadableValue):
            return self.codec.load(decode(key), key, record)  # the same error, for the key as users know it

    def first(self, start: bytes, stop: bytes) -> tuple[bytes, Any] | None:
        """The first key with ``start <= key < stop``, and its value; None if there is none."""
        return self._end(start, stop, reverse=False)

    def last(self, start: bytes, stop: bytes) -> tuple[bytes, Any] | None:
        """The last key with ``start <= key < stop``, and its value; None if there is none."""
        return self._end(start, stop, reverse=True)

    def _end(self, start: bytes, stop: bytes, *, reverse: bool) -> tuple[bytes, Any] | None:
        found = self.engine.first(start, stop, reverse=reverse)
        low, high = bisect_left(self._written, start), bisect_left(self._written, stop)
        if low == high:
            return None if found is None else (found[0], self._loaded(found[0], found[1].record))
        if found is not None and found[0] in self._values:
            return next(self._scan(start, stop, reverse=reverse), None)  # it is deleted, or has another value
        for at in range(high - 1, low - 1, -1) if reverse else range(low, high):
            key = self._written[at]
            if found is not None and (key < found[0] if reverse else key > found[0]):
                break
            if self._values[key] is not _GONE:
                return key, self._values[key]
        return None if found is None else (found[0], self._loaded(found[0], found[1].record))

    def some(self, start: bytes, stop: bytes, most: int, *, reverse: bool = False) -> list[tuple[bytes, Any]]:
        """Up to ``most`` keys with ``start <= key < stop``, and their values, in order."""
        scan = self._scan(start, stop, reverse=reverse)
        return [item for _, item in zip(range(most), scan, strict=False)]

    def _scan(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, Any]]:
        own = self._written[bisect_left(self._written, start) : bisect_left(self._written, stop)]
        own.sort(reverse=reverse)
        at = 0
        for key, entry in self.engine.scan(start, stop, reverse=reverse):
            while at < len(own) and (own[at] > key if reverse else own[at] < key):
                yield from self._own(own[at])
                at += 1
            if key not in self._values:
                assert entry is not None
                yield key, self._loaded(key, entry.record)
        for key in own[at:]:
            yield from self._own(key)

    def _own(self, key: bytes) -> Iterator[tuple[bytes, Any]]:
        value = self._values.get(key, _GONE)
        if value is not _GONE:
            yield key, value

    # --- writing -----------------------------------------------------------------------------------------------------

    def put(self, key: bytes, value: Any) -> None:
        """Store a value of plain data."""
        values = self._values
        if self._journal is not None:
            self._journal.append((key, values.get(key, _MISSING)))
        if key not in values:
            insort(self._written, key)
        values[key] = value

    def delete(self, key: bytes) -> None:
        """Delete a key, which need not exist."""
        self.put(key, _GONE)

    def mark(self) -> Mark:
        """Where :meth:`go_back` goes back to."""
        if self._journal is None:
            self._journal = []
        return len(self._journal), len(self.new_files), len(self.old_files)

    def go_back(self, mark: Mark) -> list[str]:
        """Undo all that was written since the mark. Returns the names of new files that are not needed any more."""
        assert self._journal is not None
        written, new, old = mark
        for key, value in reversed(self._journal[written:]):
            if value is _MISSING:
                del self._values[key]
                self._written.remove(key)
            else:
                self._values[key] = value
        del self._journal[written:]
        dropped = self.new_files[new:]
        del self.new_files[new:]
        del self.old_files[old:]
        return dropped

    @property
    def has_written(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._values)

    def batch(self) -> Batch | None:
        """All writes as one batch; None if there are none."""
        return self._batch({}) if self._values else None

    def _batch(self, checks: Mapping[bytes, int | str | Absent]) -> Batch:
        dump = self.codec.dump
        puts = {key: dump(key, key, value) for key, value in self._values.items() if value is not _GONE}
        deletes = frozenset(self._values.keys() - puts.keys()) if len(puts) < len(self._values) else frozenset[bytes]()
        return Batch(puts=puts, deletes=deletes, checks=checks)
