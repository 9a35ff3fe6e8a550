"""What an engine promises, and the options with which it is opened."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from coshelf.values import expiry, tags

__all__ = ["Capabilities", "Durability", "Flag", "OpenOptions"]

Flag = Literal["r", "w", "c", "n"]
Durability = Literal["interval", "commit"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine promises. Use of anything else raises :class:`coshelf.errors.Unsupported`.

    Attributes:
        ordered: scans come in key order and cost what they return. "sorts": in order, at the cost of sorting.
        snapshots: reads of one instant, until the snapshot is closed. "copies": a snapshot copies what is asked for.
        atomic: what one batch may span and survive: "crash" (all or nothing whatever happens), "process" (all or
            nothing while this process lives), "shard", "none".
        checks: what a batch with checks may hold: "batch" (whatever a batch may), "entry" (one entry, which it writes
            and checks, or checks alone; without checks each entry of a batch is committed on its own).
        largest_batch: bytes in one batch, None for no limit.
        exclusive: whose writes a transaction keeps out: "processes", "threads" or None (transactions may conflict).
        watch: how a waiting reader notices changes: "doorbell" (at once), "poll", None.
        shared: what can use the shelf at the same time: "processes", "threads".
        persistent: entries outlive the process.
        acknowledged: what a returned commit means: "durable" (survives power loss), "machine" (survives the death of
            any process), "process", or an engine's own word.
        consistency: which commits of others a reader sees: "strict" (all that had returned), "primary" (the same, but a
            failover may lose the last of them), "eventual".
        largest_key, largest_value: bytes, None for no limit.
        cheap_count: ``len`` of the whole shelf does not visit each entry.
        expiry: entries can expire.
        tags: entries can have tags. Their index is in rows of coshelf's own, in the same batches as the entries.
        bounded: a shelf can have limits: ``max_bytes`` and ``max_entries``.
        turns: locks, semaphores, barriers, and waiting for queues: "processes" (between all processes, and free at once
            when a holder ends), "threads" (between the threads of this process), "lease" (between all machines; a
            holder that does not answer any more loses its turn when its lease ends), None.
        changes: what :meth:`coshelf.Shelf.watch` tells: "all" commits, "latest" (several changes of one entry may be
            told as one), None.
        blobs: large buffers of a value (arrays) come back in place: read-only, not copied, and once in memory for all
            processes.
        server: kind, version and state of the server, in words; None if there is no server.
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
    tags: bool = False
    bounded: bool = False
    turns: Literal["processes", "threads", "lease"] | None = None
    changes: Literal["all", "latest"] | None = None
    blobs: bool = False
    server: str | None = None

    @property
    def indexes(self) -> tuple[tuple[bytes, bytes], ...]:
        """The ranges of the rows that are an index of the entries. They go when all entries go."""
        return (*((expiry.INDEX,) if self.expiry else ()), *((tags.INDEX,) if self.tags else ()))


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """What :func:`coshelf.open` hands to an engine.

    Attributes:
        flag: "r" existing, never written; "w" existing; "c" made if missing; "n" made if missing, and the
            caller then commits :data:`EVERYTHING_GONE`.
        mode: permission bits of new files, independent of the umask.
        timeout: the longest wait for a lock, in seconds.
        durability: "interval": a commit returns when it is safe from the death of any process, and is durable an
            interval later. "commit": a commit returns when it is durable. For engines that have both.
        flush_interval: seconds.
        trusted: whether the caller trusts everything that is stored, so that the engine need not verify it first.
    """

    flag: Flag = "c"
    mode: int = 0o600
    timeout: float = 60.0
    durability: Durability = "interval"
    flush_interval: float = 1.0
    trusted: bool = False

    def for_reopening(self) -> OpenOptions:
        """The options that open the same shelf in another process. The shelf exists then, so "c" and "n" become "w"."""
        return dataclasses.replace(self, flag="r" if self.flag == "r" else "w")
