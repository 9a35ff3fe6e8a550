"""What an engine is: ordered bytes to bytes, atomic batches, and honest words about what it can do.

An engine knows nothing of Python objects. It is opened by a function ``open_engine(target, options)`` that its module
offers; third parties register theirs in the entry-point group ``coshelf.engines`` under a URL scheme. The tests in
:mod:`coshelf.testing` say whether it keeps the contract. docs/api.md describes it in prose.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self, runtime_checkable

from coshelf import records
from coshelf.errors import BatchTooLarge, Conflict, Unsupported
from coshelf.keys import FIRST, LAST, decode, shown
from coshelf.values.blobs import Blobs, NewBlob

if TYPE_CHECKING:
    from coshelf.inspection.reports import Compaction, Progress, Report

__all__ = [
    "ABSENT",
    "EVERYTHING_GONE",
    "RESERVED",
    "Absent",
    "Batch",
    "Capabilities",
    "Doorbell",
    "Durability",
    "Engine",
    "Entry",
    "Exclusive",
    "Figures",
    "FileReader",
    "Flag",
    "OpenOptions",
    "PollingBell",
    "Reader",
    "SelfChecking",
    "Snapshot",
    "refuse_wide",
]

_POLL = 0.005

Flag = Literal["r", "w", "c", "n"]
Durability = Literal["interval", "commit"]


class Absent:
    """The type of :data:`ABSENT`."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()
"""In a check: the key must have no entry."""


class Entry:
    """A record and its version. Versions are compared for equality only and are never used again.

    Without a version given, the record is a sealed one, and its version stands in its trailer.
    """

    __slots__ = ("_version", "record")

    def __init__(self, record: bytes, version: int | str | None = None) -> None:
        self.record = record
        self._version = version

    @property
    def version(self) -> int | str:
        """The version; read from the trailer only when asked for, since a plain get never asks."""
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
    """What commits together, all or nothing: first the checks, then the clears, then deletes and puts.

    Attributes:
        puts: key to body, the record without its trailer; the engine adds what its format needs.
        deletes: keys whose entries go; one that is not there is no error.
        checks: key to the version it must still have, or :data:`ABSENT`.
        clears: ranges ``[start, stop)`` that are emptied.
        blobs: those that are new, and named by puts; filled in by an engine that keeps blobs.
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


RESERVED: Final = ((b"\x01", b"\x02"), (b"\x03", FIRST))
"""The ranges of rows of ours that belong to the shelf. Others are the engine's own: docs/format.md."""

EVERYTHING_GONE: Final = Batch(clears=((FIRST, LAST),))
"""What is committed right after opening with flag "n"."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What holds on an engine. What is not granted here raises :class:`coshelf.errors.Unsupported`.

    Attributes:
        ordered: scans come in key order and cost what they return. "sorts": in order, at the cost of sorting.
        snapshots: reads of one instant, for as long as wanted. "copies": by copying what is asked for.
        atomic: what one batch may span and survive: "crash" (all or nothing whatever happens), "process" (all or
            nothing while this process lives), "shard", "none".
        checks: what a batch with checks may hold: "batch" (whatever a batch may), "entry" (one entry, which it writes
            and checks, or checks alone; without checks each entry of a batch is committed on its own).
        largest_batch: bytes in one batch, None for no limit.
        exclusive: who is kept out by a transaction: "processes", "threads" or None (transactions may conflict).
        watch: how changes are noticed: "doorbell" (at once), "poll", None.
        shared: who can use it at the same time: "processes", "threads".
        persistent: entries outlive the process.
        acknowledged: what a returned commit means: "durable" (survives power loss), "machine" (survives the death of
            any process), "process", or an engine's own word.
        consistency: what a reader sees of others' commits: "strict" (all that had returned), "primary" (the same, until
            a failover, which may lose the last of them), "eventual".
        largest_key, largest_value: bytes, None for no limit.
        cheap_count: ``len`` of everything does not walk.
        expiry: entries can expire.
        blobs: large buffers of a value (arrays) come back in place: read-only, not copied, in memory once for all.
        server: what answers, in words: its kind, version and state; None where there is no server.
    """

    ordered: Literal[True, "sorts"] = True
    snapshots: Literal[True, "copies"] | None = True
    atomic: Literal["crash", "process", "shard", "none"] = "crash"
    checks: Literal["batch", "entry"] = "batch"
    largest_batch: int | None = None
    exclusive: Literal["processes", "threads"] | None = None
    watch: Literal["doorbell", "poll"] | None = None
    shared: Literal["processes", "threads"] = "processes"
    persistent: bool = True
    acknowledged: str = "durable"
    consistency: Literal["strict", "primary", "eventual"] = "strict"
    largest_key: int | None = None
    largest_value: int | None = None
    cheap_count: bool = True
    expiry: bool = False
    blobs: bool = False
    server: str | None = None


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """What :func:`coshelf.open` hands to an engine.

    Attributes:
        flag: "r" existing, never written; "w" existing; "c" made if missing; "n" made if missing; the
            caller then commits :data:`EVERYTHING_GONE`.
        mode: permission bits of new files, whatever the umask.
        timeout: seconds that bound every wait for a lock.
        durability: "interval": a commit returns when it is safe from the death of any process, and is durable an
            interval later; "commit": it returns when it is durable. For engines that can tell the two apart.
        flush_interval: seconds.
        trusted: whether the caller trusts whoever wrote what is there, so that it need not be looked at first.
    """

    flag: Flag = "c"
    mode: int = 0o600
    timeout: float = 60.0
    durability: Durability = "interval"
    flush_interval: float = 1.0
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class FileReader:
    """A process that has a file open and has read from it.

    Attributes:
        pid: its process.
        behind: how many flushes there were since the state that it is reading; None if it is not reading just now.
    """

    pid: int
    behind: int | None


@dataclass(slots=True)
class Figures:
    """What an engine knows of its file; None where it does not.

    Attributes:
        file_size: bytes.
        created: when the shelf was made, in seconds since 1970.
        page_size: bytes.
        pages: how many pages the file has.
        free_pages: how many of them are there to be used again: see ``compact()``.
        sequence: the number of the last commit.
        blobs: files of large buffers beside it.
        blob_bytes: of these.
        generation: how often the delta had to be replaced while in use.
        waiting_entries: rows that wait to be flushed.
        waiting_deletions: how many of these are deletions.
        waiting_bytes: of their keys and records.
        readers: processes that have it open, the one that reads the oldest state first.
        oldest_snapshot: seconds that this process has held its oldest snapshot or iteration.
        holder_pid: who holds the exclusive lock.
        holder_since: since when, in seconds since 1970.
        holder_command: its command line, cut.
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


class Reader(ABC):
    """Something that entries can be read from: an engine (its latest state) or a snapshot (one instant)."""

    @abstractmethod
    def get(self, key: bytes) -> Entry | None:
        """The entry of a key, or None."""

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        """The entries of several keys, all of one instant where the engine has snapshots."""
        return [self.get(key) for key in keys]

    @abstractmethod
    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        """The entries with ``start <= key < stop`` in key order, all of one instant; None as entry with ``keys_only``.

        The iterator frees what it holds when it is exhausted, closed or collected.
        """

    def pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[tuple[bytes, bytes]]]:
        """The keys and records of :meth:`scan`, several at a time: where many are wanted, a call for each is the cost.

        Pages are small at first. Closing the reader ends them: nothing more is taken from a page by then.
        """
        for key, entry in self.scan(start, stop, reverse=reverse):
            assert entry is not None
            yield [(key, entry.record)]

    def key_pages(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[list[bytes]]:
        """The keys of :meth:`scan`, several at a time."""
        for key, _ in self.scan(start, stop, reverse=reverse, keys_only=True):
            yield [key]

    @abstractmethod
    def count(self, start: bytes, stop: bytes) -> int:
        """How many entries there are with ``start <= key < stop``."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """A reader of this instant. On a snapshot: another handle on the same instant."""

    def instant(self) -> AbstractContextManager[Reader]:
        """What to read from in several steps: a snapshot, or where there is none, the latest state at each step."""
        return self.snapshot()


class Snapshot(Reader):
    """A reader of one instant, until it is closed."""

    def reserved(self) -> Iterator[tuple[bytes, bytes]]:
        """The rows of ours that belong to the shelf, its settings and so on, with their records: what a copy needs."""
        for start, stop in RESERVED:
            for key, entry in self.scan(start, stop):
                assert entry is not None
                yield key, entry.record

    def last_commit(self) -> int | None:
        """The number of the last commit that it shows; None on an engine whose versions are no such numbers."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Let the instant go. Closing twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Doorbell(ABC):
    """Rings when entries change. Take the sequence number, then look, then wait for another one: nothing is missed."""

    @abstractmethod
    def sequence(self) -> int:
        """A number that differs after each change."""

    @abstractmethod
    def wait(self, sequence: int, timeout: float | None) -> None:
        """Sleep until the sequence number differs, for up to ``timeout`` seconds. May return early, as for a signal."""


class PollingBell(Doorbell):
    """For engines without a bell: who waits looks again every few milliseconds."""

    def sequence(self) -> int:
        return 0

    def wait(self, sequence: int, timeout: float | None) -> None:
        time.sleep(_POLL if timeout is None else min(timeout, _POLL))


class Exclusive:
    """The writer lock, held. Others' commits wait until it is released; reads do not.

    Attributes:
        commit: as :meth:`Engine.commit`, by the holder.
    """

    def __init__(self, commit: Callable[[Batch], int | str]) -> None:
        self.commit = commit


class Engine(Reader):
    """Where bytes live."""

    name: str
    capabilities: Capabilities
    where: str
    """Path or URL, for messages; never with a secret in it."""
    store_id: bytes = b""
    """What tells this store from every other one; empty where nothing does."""
    blobs: Blobs | None = None
    """Where large buffers lie; None where they are part of their records."""
    keeps_settings: bool = True
    """Whether it takes rows of ours beside the entries, and records that are no bare pickles."""

    @abstractmethod
    def commit(self, batch: Batch) -> int | str:
        """Apply a batch, all or nothing, and return the version that its puts have.

        Raises :class:`~coshelf.errors.Conflict` with the encoded ``keys`` of failed checks;
        :class:`~coshelf.errors.ShelfLocked` when a transaction elsewhere lasts longer than the timeout;
        :class:`~coshelf.errors.OutcomeUnknown` when the reply was lost.
        """

    def instant(self) -> AbstractContextManager[Reader]:
        return nullcontext(self) if self.capabilities.snapshots is None else self.snapshot()

    def put(self, key: bytes, body: bytes) -> int | str:
        """Commit one put, which is what most commits are: an engine may have a quicker way for it.

        Raises what :meth:`commit` does, and refuses, too, inside :meth:`exclusive` of this thread and with flag "r".
        """
        return self.commit(Batch(puts={key: body}))

    def gather(self) -> MutableMapping[bytes, bytes]:
        """What to collect the puts of a batch in that may be large. An engine may keep part of it out of memory."""
        return {}

    def exclusive(self, timeout: float | None = None) -> AbstractContextManager[Exclusive]:
        """Keep other writers out, waiting ``timeout`` seconds for it (None: as opened).

        Only called where ``capabilities.exclusive`` says there is such a lock.
        """
        raise NotImplementedError

    def owns_exclusive(self) -> bool:
        """Whether this thread is inside :meth:`exclusive` on this engine, through any handle."""
        return False

    def distrust(self) -> str | None:
        """Why what is stored here could be somebody else's, in words; None if this user made it and nobody else writes.

        What could be is unpickled as plain data only, unless the user says otherwise.
        """
        return f"the {self.name} engine does not know who wrote it"

    def exposure(self) -> str | None:
        """Why somebody else could write what is stored here, in words; None if nobody can, or nothing tells."""
        return None

    def guard(self) -> None:
        """From now on, read nothing that somebody else could have put there since: raise UntrustedValue.

        Asked of an engine that has no reason for distrust, and may hold entries whose owners differ.
        """

    def trust(self) -> None:
        """Note that this user trusts what is stored here, or raise :class:`~coshelf.errors.Unsupported`."""
        raise Unsupported(f"the {self.name} engine has no place to note that {self.where} is trusted")

    def revoke(self) -> bool:
        """Take such a note away; return whether there was one."""
        return False

    def doorbell(self, key: bytes) -> Doorbell:
        """A bell that rings at the latest when the entry of a key changes; many an engine's ring at each change."""
        return PollingBell()

    @abstractmethod
    def sync(self) -> None:
        """Make everything committed so far as durable as the engine can."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the engine holds. Closing twice is fine."""

    def rest(self) -> None:
        """The interpreter ends: make everything durable, and give back what others would miss.

        The engine can still be used afterwards, by functions of :mod:`atexit` and by ``__del__``. No thread can be
        started then, and commits are as durable as they get when they return. By default :meth:`sync`.
        """
        self.sync()

    def figures(self) -> Figures | None:
        """What is known of the file that the entries lie in; None where there is no such file."""
        return None

    def compact(self) -> Compaction:
        """Give back the room that is not needed. Not inside :meth:`exclusive` of this thread."""
        raise Unsupported(f"compact(): the {self.name} engine has no file that could be made smaller ({self.where})")

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        """What opens the same entries in another process. Raises TypeError where there is no such thing."""
        raise TypeError(f"a shelf on the {self.name} engine cannot be pickled: its entries live in this process")


@runtime_checkable
class SelfChecking(Protocol):
    """An engine that has more to check than its records, or that knows a better way to read all of them."""

    def check(self, progress: Progress | None) -> Report:
        """Look at everything that is stored, and say what is not as it was written."""
        ...


def refuse_wide(batch: Batch, engine: Engine, *, whole: bool = False) -> None:
    """Raise for a batch whose checks, or with ``whole`` whose writes, span more than the engine commits together."""
    if engine.capabilities.checks == "batch" or not (batch.checks or whole):
        return
    written = batch.puts.keys() | batch.deletes
    if not written and not batch.clears:
        return
    if len(written) > 1 or batch.clears:
        count = "a range of" if batch.clears else str(len(written))
        raise BatchTooLarge(
            f"the {engine.name} engine cannot commit {count} entries together ({engine.where}): each is on its own\n"
            "  hint: keep together what changes together, under one key; update() and clear() go entry by entry"
        )
    others = sorted(batch.checks.keys() - written)
    if others:
        key = shown(decode(others[0])) if others[0] >= FIRST else repr(others[0])
        raise Unsupported(
            f"the {engine.name} engine cannot make sure that {key}, which was read, stays as it is while another entry "
            f"is written ({engine.where})\n  hint: keep together what changes together, under one key"
        )
