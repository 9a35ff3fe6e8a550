"""What every kind of delta does: it holds the commits since the last flush, and shows them to all processes.

Its commits survive the death of any process, and a flush writes them to the base. Its rows are the user's keys with
their records. The number in a record says whether it is current. A record with an empty body says that the key was
deleted. There are two kinds: :mod:`table`, a small LMDB file, and :mod:`log`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from coshelf import records
from coshelf.contract import ABSENT, Batch
from coshelf.engines.lmdb.watching.told import Commit

if TYPE_CHECKING:
    from collections.abc import Iterable

    import lmdb

    from coshelf.engines.lmdb.delta.state import DeltaIdentity
    from coshelf.engines.lmdb.lmdb_file import BaseFile
    from coshelf.values.blobs import NewBlob

__all__ = [
    "SMALL",
    "Behind",
    "Delta",
    "DeltaCommits",
    "DeltaFull",
    "DeltaHost",
    "Moved",
    "NoDelta",
    "NotRead",
    "Places",
    "Taken",
    "is_deletion",
    "version_of",
]

SMALL = 64 * 1024  # bytes: the largest body that takes the short path


class DeltaFull(Exception):
    """There is no space in the delta.

    Attributes:
        for_good: True if the map is used up, so that another delta is needed; False if the disk is full.
    """

    def __init__(self, *, for_good: bool) -> None:
        super().__init__()
        self.for_good = for_good


class NoDelta(Exception):
    """The delta is not made yet, and cannot be: there is no space, or this user may not make files."""


class Moved(Exception):
    """Another delta has taken the place of this one."""


class Behind(Exception):
    """So much waits that the caller has to flush before it commits."""


class Taken(NamedTuple):
    """What a flush writes to the base.

    Attributes:
        last: the number up to which the base will have every commit.
        rows: the rows that the base lacks, in order.
        settle: called when these rows are written, before the state page changes. Raises ``Overtaken``.
    """

    last: int
    rows: list[tuple[bytes, bytes]]
    settle: Callable[[], None]


Places = tuple[int, int, int, int]
"""Up to where the commits of a delta were read, so that they are not read again."""

NotRead: Places = (0, 0, 0, 0)


class DeltaCommits(NamedTuple):
    """Commits that a delta has, in their order.

    Attributes:
        commits: those that were asked for, as far as they changed entries.
        complete: the number from which on they are complete, up to the last one of ``commits``, or to all that there
            are. Commits up to this number may be missing.
        places: for the next reading.
    """

    commits: list[Commit]
    complete: int
    places: Places


class DeltaHost(Protocol):
    """What a delta needs of the open files that it belongs to."""

    path: str

    @property
    def base(self) -> BaseFile: ...

    def is_held_by_others(self) -> bool:
        """Whether another thread or process holds the exclusive lock, or died with it."""
        ...

    def is_held_by_this_thread(self) -> bool:
        """Whether this thread holds the exclusive lock."""
        ...

    def naming(self, blobs: Iterable[NewBlob]) -> AbstractContextManager[None]:
        """For a block that commits a batch with these blobs."""
        ...

    def flushed_by(self, transaction: lmdb.Transaction[bytes]) -> int:
        """The number up to which the base has every commit, as a transaction of the base sees it."""
        ...


class Delta(ABC):
    """The delta of a shelf, open in one process.

    Attributes:
        identity: which file it is.
        path: the name of its file.
        descriptor: a descriptor of its file.
        is_due: after a commit: whether a flush is due.
        keeps_changes_in_rows: whether commits tell what they change in rows of the history, while somebody watches.
            Otherwise the delta has all records of its commits anyway.
    """

    keeps_changes_in_rows: bool
    identity: DeltaIdentity
    path: str
    descriptor: int
    is_due: bool

    @abstractmethod
    def is_in_place(self) -> bool:
        """Whether its name still leads to this file."""

    def end_stores(self) -> None:  # noqa: B027 (a delta whose every commit is made in Python has nothing to do)
        """Leave each commit from here on to Python, which asks whether the shelf is open."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def abandon(self) -> object:
        """In a forked child: give up the inherited files. Returns what must be kept for ever."""

    @abstractmethod
    def last_number(self) -> int:
        """The number of the last commit."""

    # --- committing --------------------------------------------------------------------------------------------------

    @abstractmethod
    def put_one(self, key: bytes, body: bytes, partial: int, holding: bool = False) -> int | None:
        """Commit one small entry by the short path, as most commits do. Return its number, which the bell has by then.

        Commits nothing and returns None if the short path is not possible. An empty body deletes the entry.
        ``partial`` is the checksum so far. ``holding``: this thread has the exclusive lock. The caller wakes the
        threads that wait at the bell.
        """

    @abstractmethod
    def commit(
        self, batch: Batch, partial: dict[bytes, int], host: DeltaHost, *, holding: bool, helped: bool
    ) -> int | None:
        """Commit a batch without clears, and return its number. ``partial`` holds the checksums of the bodies so far.

        Commits nothing and returns None if another thread or process holds the exclusive lock, which ``holding`` says
        that this thread holds. Raises :class:`Moved`, :class:`DeltaFull`, and, unless ``helped``, :class:`Behind`.
        """

    @abstractmethod
    def numbering(self) -> AbstractContextManager[int]:
        """For a block: use up a number for a commit that goes straight to the base. No other commit has this number.

        Raises :class:`DeltaFull`.
        """

    @abstractmethod
    def barrier(self) -> None:
        """Wait for the commits that are under way."""

    @abstractmethod
    def is_quiet(self) -> bool:
        """Whether no commit is under way. The flag of the exclusive lock is visible to all processors."""

    # --- reading -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def get(self, key: bytes) -> bytes | None:
        """The record that the delta has for a key, current or not."""

    @abstractmethod
    def rows(self, start: bytes, stop: bytes) -> list[tuple[bytes, bytes]]:
        """All keys in ``[start, stop)`` with their records, in order, current or not. They are of one instant."""

    @abstractmethod
    def has_more(self, start: bytes, stop: bytes, limit: int) -> bool:
        """Whether more than ``limit`` rows lie in ``[start, stop)``, about."""

    @abstractmethod
    def everything(self) -> list[tuple[bytes, bytes]]:
        """All rows in order."""

    # --- changes -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def commits(self, after: int, places: Places = NotRead, most: int = 1 << 62) -> DeltaCommits:
        """The commits with numbers above ``after``, in about ``most`` bytes. ``places`` are those of the last call."""

    @abstractmethod
    def told_after(self) -> int:
        """The number after which all commits tell what they change. The caller holds the locks of a flush."""

    @abstractmethod
    def last_commit(self) -> int:
        """The number of the last commit to the delta that has changed an entry, or of a later one that readers see.

        Somebody watches. A commit that goes straight to the base does not count.
        """

    # --- flushing ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def taking(self, flushed: int) -> AbstractContextManager[Taken]:
        """For a block that writes to the base what it lacks: the commits after the number ``flushed``.

        The caller holds the base's write lock.
        """

    @abstractmethod
    def remove(self, flushed: int, nonce: bytes, host: DeltaHost) -> None:
        """Remove the rows that the base has: with this nonce, it has the commits up to ``flushed``."""

    @abstractmethod
    def retiring(self) -> AbstractContextManager[int]:
        """For a block that puts another delta in the place of this one: keep all commits out. Gives the last number."""


def is_deletion(record: bytes) -> bool:
    """Whether a record of the delta says that its key was deleted."""
    return len(record) == records.TRAILER


def version_of(found: bytes | None, in_base: bytes | None, flushed: int) -> object:
    """The version of an entry, or ABSENT, from its records in the delta and in the base."""
    record = in_base
    if found is not None and records.version(found) > flushed:
        if is_deletion(found):
            return ABSENT
        record = found
    return ABSENT if record is None else records.version(record)
