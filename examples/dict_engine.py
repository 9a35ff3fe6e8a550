"""An engine in some sixty lines: entries in a dict of this process. docs/writing-an-engine.md explains it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from coshelf import ShelfClosed
from coshelf.contract import ABSENT, Batch, Capabilities, Engine, Entry, OpenOptions, Reader, Snapshot


def open_engine(target: Any, options: OpenOptions) -> Engine:
    """What the entry point names: the engine for ``dict:NAME``."""
    return DictEngine(target, options)


class _OfDict(Reader):
    """Reads, written once for the engine and its snapshots."""

    def __init__(self, entries: dict[bytes, bytes]) -> None:
        self._records: dict[bytes, bytes] | None = entries

    def _now(self) -> dict[bytes, bytes]:
        if self._records is None:
            raise ShelfClosed("this has been closed")
        return self._records

    def get(self, key: bytes) -> Entry | None:
        record = self._now().get(key)
        return None if record is None else Entry(record)

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        now = self._now()  # one instant: a commit puts another dict in its place
        return [Entry(now[key]) if key in now else None for key in keys]

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        # Copied at the call, not when the first entry is asked for.
        found = sorted(item for item in self._now().copy().items() if start <= item[0] < stop)
        return ((key, None if keys_only else Entry(record)) for key, record in (found[::-1] if reverse else found))

    def count(self, start: bytes, stop: bytes) -> int:
        return sum(start <= key < stop for key in self._now().copy())

    def snapshot(self) -> Snapshot:
        return _Instant(self._now().copy())

    def close(self) -> None:
        self._records = None


class _Instant(_OfDict, Snapshot):
    """A copy that never changes."""


class DictEngine(_OfDict, Engine):
    """Entries in a dict, each with its record: body, number of the commit, checksum."""

    name = "dict"
    capabilities = Capabilities(
        ordered="sorts", snapshots="copies", atomic="process", watch="poll", shared="threads", persistent=False,
        acknowledged="process", cheap_count=False,
    )  # fmt: skip

    def __init__(self, where: str, options: OpenOptions) -> None:
        super().__init__({})
        self.where, self._options = where, options
        self._lock, self._number = threading.Lock(), 0

    def _apply(self, batch: Batch) -> int:
        with self._lock:
            changed = self._now().copy()  # all or nothing: it replaces the old one at the end
            batch.refuse_conflicts(lambda key: Entry(changed[key]).version if key in changed else ABSENT)
            for start, stop in batch.clears:
                changed = {key: record for key, record in changed.items() if not start <= key < stop}
            for key in batch.deletes:
                changed.pop(key, None)
            number = self._number + 1
            changed.update(batch.sealed(number))
            self._records, self._number = changed, number
        return number

    def sync(self) -> None:
        """Nothing to do: a dict is as durable as it gets."""
