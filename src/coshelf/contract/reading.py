"""How entries are read, and how a reader waits for changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from coshelf.contract.batches import PASSING, RESERVED, Entry
from coshelf.system.waiting.backoff import Backoff
from coshelf.values.envelope import is_left_behind

__all__ = ["Doorbell", "PollingBell", "Reader", "Snapshot"]

_POLL = 0.005  # seconds


class Reader(ABC):
    """The source of entries: an engine (its latest state) or a snapshot (one instant)."""

    finds_first: bool = False
    """Whether :meth:`first` is quicker than a scan."""

    @abstractmethod
    def get(self, key: bytes) -> Entry | None:
        """The entry of a key, or None."""

    def record(self, key: bytes) -> bytes | None:
        """The record of a key, or None. Most reads need no more, so an engine may have a quicker way for it."""
        entry = self.get(key)
        return None if entry is None else entry.record

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        """The entries of several keys. They show one instant if the engine has snapshots."""
        return [self.get(key) for key in keys]

    @abstractmethod
    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        """The entries with ``start <= key < stop`` in key order, as of one instant. ``keys_only`` gives None as entry.

        The iterator frees what it holds when it is exhausted, closed or collected.
        """

    def pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[tuple[bytes, bytes]]]:
        """The keys and records of :meth:`scan`, several at a time, which saves a call for each entry.

        The first pages are small. No page is read once the reader is closed.
        """
        for key, entry in self.scan(start, stop, reverse=reverse):
            assert entry is not None
            yield [(key, entry.record)]

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        """The keys of :meth:`scan`, several at a time."""
        for key, _ in self.scan(start, stop, reverse=reverse, keys_only=True):
            yield [key]

    def first(self, start: bytes, stop: bytes, *, reverse: bool = False) -> tuple[bytes, Entry] | None:
        """The first entry with ``start <= key < stop`` and its key, or with ``reverse`` the last; None for none."""
        for key, entry in self.scan(start, stop, reverse=reverse):
            assert entry is not None
            return key, entry
        return None

    @abstractmethod
    def count(self, start: bytes, stop: bytes) -> int:
        """The number of entries with ``start <= key < stop``."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """A reader that shows this instant. On a snapshot it is another handle on the same instant."""

    def first_expiry(self) -> int | None:
        """The earliest time in the index of times; None if it is empty. An engine whose entries can expire has it."""
        return None

    def instant(self) -> AbstractContextManager[Reader]:
        """A reader for several steps: a snapshot, or, if there are no snapshots, the latest state at each step."""
        return self.snapshot()


class Snapshot(Reader):
    """A reader that shows one instant until it is closed."""

    def reserved(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and records of coshelf's own rows that belong to the shelf, such as its settings. A copy needs them.

        Rows that an entry has left behind in the index of tags are not among them.
        """
        for start, stop in RESERVED:
            for key, entry in self.scan(start, stop):
                assert entry is not None
                if self._is_needed(key):
                    yield key, entry.record

    def _is_needed(self, row: bytes) -> bool:
        """Whether a copy needs a row of coshelf's own."""
        return not (any(start <= row < stop for start, stop in PASSING) or is_left_behind(row, self.record))

    def last_commit(self) -> int | None:
        """The number of the last commit in this snapshot; None if the engine does not number its commits."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Release the instant. Closing twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Doorbell(ABC):
    """Rings when entries change. To miss no change, take the sequence number, read, then wait for another number."""

    @abstractmethod
    def sequence(self) -> int:
        """A number that differs after each change."""

    @abstractmethod
    def wait(self, sequence: int, timeout: float | None) -> None:
        """Return when the sequence number differs, or after ``timeout`` seconds. May return early, as for a signal."""


class PollingBell(Doorbell):
    """For an engine that does not announce changes: each wait is a pause, after which the caller reads again.

    Args:
        first: seconds of the first pause.
        longest: seconds of the longest pause. If it is not given, all pauses are as long as the first.
        growth: the factor by which each pause is longer than the one before.
    """

    def __init__(self, first: float = _POLL, longest: float | None = None, growth: float = 2.0) -> None:
        self._pauses = Backoff(first, first if longest is None else longest, growth)

    def sequence(self) -> int:
        return 0

    def wait(self, sequence: int, timeout: float | None) -> None:
        self._pauses.sleep(timeout)
