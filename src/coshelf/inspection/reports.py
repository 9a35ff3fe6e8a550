"""Reports about a shelf, for people and, through ``as_dict``, for JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coshelf.errors import DamagedRecord
from coshelf.inspection.tables import Table, Tabular, facts, first_rows
from coshelf.keys import FIRST, decode, shown
from coshelf.screen import plain

__all__ = [
    "Compaction",
    "Figures",
    "FileReader",
    "Problem",
    "Progress",
    "Report",
    "SalvageReport",
    "shown_key",
    "user_key",
]


Progress = Callable[[int, int], object]
"""A function that is called from time to time with the amount that is done, and the whole amount."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A difference from what was written.

    Attributes:
        kind: "header", "page", "free list", "count", "record", "key", "long key", "blob" or "stamp"; of a salvage also
            "delta", "lost" and "resurrected?".
        where: the page, the key, or both, as text.
        message: what is wrong there.
    """

    kind: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(slots=True)
class Report(Tabular):
    """What :meth:`coshelf.Shelf.check` and :func:`coshelf.check` found. Printed, and in a notebook, it is a table.

    Attributes:
        name: the path or URL.
        entries: the number of whole entries.
        bytes: the bytes of their keys and records.
        problems: the differences from what was written; empty if nothing is wrong.
    """

    name: str
    entries: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def add(self, kind: str, where: str, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(kind, plain(where), plain(message)))

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return dataclasses.asdict(self) | {"ok": self.ok}

    def _tables(self) -> tuple[Table, ...]:
        count = len(self.problems)
        found = f"{count:,} problem{'s' if count > 1 else ''}" if count else "no damage"
        rows = [
            ("shelf", self.name),
            ("result", found),
            ("whole entries", self.entries),
            ("bytes of these", self.bytes),
        ]
        problems = [(problem.kind, problem.where, problem.message) for problem in self.problems]
        return facts([*rows, *self._more_facts()]), *first_rows(("kind", "where", "problem"), problems)

    def _more_facts(self) -> list[tuple[str, Any]]:
        return []


@dataclass(slots=True)
class SalvageReport(Report):
    """What :func:`coshelf.salvage` recovered, and what it could not.

    Attributes:
        entries: the number of entries that were copied.
        pages: the number of pages of the damaged file.
        unreadable_pages: the number of pages that are damaged.
        lost: entries that are known to have existed and could not be recovered: those that ``problems`` names, and
            those that are missing from the file's own count.
        lost_is_known: whether ``lost`` counts all of them. If the file's own count is lost or damaged, more may be
            lost.
        resurrected: entries from pages that may no longer have been in use. Each may be an older value, or may have
            been deleted. ``problems`` names them.
        from_delta: entries taken from the delta, which a killed process had not flushed.
    """

    pages: int = 0
    unreadable_pages: int = 0
    lost: int = 0
    lost_is_known: bool = True
    resurrected: int = 0
    from_delta: int = 0

    def _more_facts(self) -> list[tuple[str, Any]]:
        return [
            ("pages", self.pages),
            ("unreadable pages", self.unreadable_pages),
            ("lost entries", self.lost if self.lost_is_known else f"{self.lost:,} or more"),
            ("possibly older or deleted", self.resurrected),
            ("not flushed before", self.from_delta),
        ]


@dataclass(frozen=True, slots=True)
class Compaction(Tabular):
    """What :meth:`coshelf.Shelf.compact` did.

    Attributes:
        before: bytes of the old file.
        after: bytes of the new file.
    """

    before: int
    after: int

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return dataclasses.asdict(self)

    def _tables(self) -> tuple[Table, ...]:
        return (facts([("bytes before", self.before), ("bytes now", self.after)]),)


@dataclass(frozen=True, slots=True)
class FileReader:
    """A process that has a file open and has read from it.

    Attributes:
        pid: its process.
        behind: how many flushes there were since the state that it is reading; None if it is not reading now.
    """

    pid: int
    behind: int | None


@dataclass(slots=True)
class Figures:
    """What an engine knows of its file. None means that it does not know.

    Attributes:
        file_size: bytes.
        created: when the shelf was made, in seconds since 1970.
        page_size: bytes.
        pages: how many pages the file has.
        free_pages: how many of them are free, and will be used again: see ``compact()``.
        sequence: the number of the last commit.
        blobs: the number of files with large buffers.
        blob_bytes: the bytes of these files.
        generation: how often the delta had to be replaced while in use.
        waiting_entries: rows of the delta that wait for a flush.
        waiting_deletions: how many of these are deletions.
        waiting_bytes: the bytes of their keys and records.
        readers: processes that have the file open. The one that reads the oldest state is the first.
        oldest_snapshot: seconds that this process has held its oldest snapshot or iteration.
        holder_pid: the process that holds the exclusive lock.
        holder_since: when it took the lock, in seconds since 1970.
        holder_command: its command line, cut.
        counted_bytes: of a shelf with limits: the bytes that its flushed entries count towards ``max_bytes``.
        evictions: how many entries have gone because of the limits.
        hits: reads that found an entry, since the first process opened the shelf.
        misses: reads that found none.
    """

    file_size: int
    created: float | None = None
    page_size: int | None = None
    pages: int | None = None
    free_pages: int | None = None
    sequence: int | None = None
    blobs: int | None = None
    blob_bytes: int | None = None
    generation: int | None = None
    waiting_entries: int | None = None
    waiting_deletions: int | None = None
    waiting_bytes: int | None = None
    readers: list[FileReader] | None = None
    oldest_snapshot: float | None = None
    holder_pid: int | None = None
    holder_since: float | None = None
    holder_command: str | None = None
    counted_bytes: int | None = None
    evictions: int | None = None
    hits: int | None = None
    misses: int | None = None


def user_key(key: bytes) -> Any:
    """The Python key of an encoded key; the encoded key itself if it cannot be decoded."""
    try:
        return decode(key) if key >= FIRST else key
    except DamagedRecord:
        return key


def shown_key(key: bytes) -> str:
    """A key for a message."""
    return shown(user_key(key))
