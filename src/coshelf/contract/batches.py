"""What an engine stores and commits: entries, and batches of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from coshelf import records
from coshelf.errors import Conflict
from coshelf.keys import FIRST, LAST
from coshelf.values.blobs import NewBlob

__all__ = [
    "ABSENT",
    "CLAIMS",
    "DEQUES",
    "EVERYTHING_GONE",
    "HISTORY",
    "PASSING",
    "QUEUES",
    "RESERVED",
    "TURNS",
    "Absent",
    "Batch",
    "Entry",
]


class Absent:
    """The type of :data:`ABSENT`."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()
"""In a check: the key must have no entry."""


class Entry:
    """A record and its version. Versions are compared for equality only, and a version is never used twice.

    If no version is given, the record is sealed, and its version is in its trailer.
    """

    __slots__ = ("_version", "record")

    def __init__(self, record: bytes, version: int | str | None = None) -> None:
        self.record = record
        self._version = version

    @property
    def version(self) -> int | str:
        """The version. It is read from the trailer only when it is needed; a plain get never needs it."""
        return records.version(self.record) if self._version is None else self._version

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Entry):
            return NotImplemented
        return self.record == other.record and self.version == other.version

    def __hash__(self) -> int:
        return hash((self.record, self.version))

    def __repr__(self) -> str:
        return f"Entry({self.record!r}, {self.version!r})"


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes that commit together, all or nothing: first the checks, then the clears, then deletes and puts.

    Attributes:
        puts: key to body, which is the record without its trailer. :meth:`sealed` makes the records.
        deletes: keys whose entries are deleted. A key need not have an entry.
        checks: key to the version it must still have, or :data:`ABSENT`.
        clears: ranges ``[start, stop)`` that are emptied.
        blobs: the new blobs that puts name. An engine that keeps blobs fills it in.
    """

    puts: Mapping[bytes, bytes] = field(default_factory=dict)
    deletes: frozenset[bytes] = frozenset()
    checks: Mapping[bytes, int | str | Absent] = field(default_factory=dict)
    clears: tuple[tuple[bytes, bytes], ...] = ()
    blobs: Sequence[NewBlob] = ()

    def refuse_conflicts(self, version_of: Callable[[bytes], object]) -> None:
        """Raise :class:`~coshelf.errors.Conflict` if a check fails, given the version that each key has now."""
        failed = tuple(key for key, version in self.checks.items() if version_of(key) != version)
        if failed:
            raise Conflict(f"{len(failed)} of {len(self.checks)} entries changed in the meantime", failed)

    def sealed(self, number: int) -> Iterator[tuple[bytes, bytes]]:
        """The key and record of each put. ``number`` is that of the commit, and the version of these entries."""
        return ((key, records.seal(body, records.checksum(key, body), number)) for key, body in self.puts.items())


RESERVED: Final = ((b"\x01", b"\x02"), (b"\x03", b"\x07"), (b"\x08", FIRST))
"""The ranges of coshelf's own rows that belong to the shelf. The engine has other rows for itself: docs/format.md."""

HISTORY: Final = (b"\x05", b"\x06")
"""Of these ranges, the rows of changes that somebody watches."""

CLAIMS: Final = (b"\x06", b"\x07")
"""Of these ranges, the rows of the memoized calls that compute now."""

TURNS: Final = (b"\x09", b"\x0a")
"""Of these ranges, the rows of the lines of turns, on engines without memory that their processes share."""

QUEUES: Final = (b"\x0a", b"\x0b")
"""Of these ranges, the items of queues."""

DEQUES: Final = (b"\x0b", b"\x0c")
"""Of these ranges, the items of deques."""

PASSING: Final = (HISTORY, CLAIMS, TURNS)
"""The ranges that a copy of the shelf does not need: they are about the processes that use it now."""

EVERYTHING_GONE: Final = Batch(clears=((FIRST, LAST),))
"""The batch that is committed right after opening with flag "n"."""
