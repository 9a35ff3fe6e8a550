"""The rows of checkpoints: how a thread lies in a shelf, and what is kept when checkpoints go.

==========================================  ==================================================================
key                                         value
==========================================  ==================================================================
``("checkpoint", thread, namespace, id)``   a :class:`Row`, as a tuple
``("ancestor", thread, namespace, id)``     the same of a checkpoint that has gone, for the state of a later one
``("blob", thread, ns, channel, version)``  the value of a channel, as type and bytes
``("write", thread, ns, id, task, index)``  path, channel, value and run of a :class:`Write`
``("run", run, thread, namespace, id)``     None: which checkpoints a run has made
==========================================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = [
    "Instant",
    "Key",
    "Row",
    "Typed",
    "Write",
    "blobs_of",
    "copy_thread",
    "history_of",
    "instant",
    "keep_only",
    "keys_of",
    "newest",
    "row_of",
    "runs_of",
    "writes_of",
]

Typed = tuple[str, bytes]
"""What a serializer makes of an object: the type, and the bytes."""
Key = tuple[str, str, str]
"""A checkpoint: thread, namespace and id."""
Instant = Any
"""What is read from: a snapshot, a transaction, or a shelf on an engine without snapshots."""

_KINDS = ("checkpoint", "ancestor", "blob", "write")


class Row(NamedTuple):
    """What is stored of a checkpoint.

    Attributes:
        parent: the id of the checkpoint before it, or None.
        checkpoint: the checkpoint itself, without channels. None for an ancestor.
        metadata: its metadata. None for an ancestor.
        versions: the version of each channel.
        deltas: the channels whose values may have to be made from the writes of ancestors.
        run: the run that made it, or None.
    """

    parent: str | None
    checkpoint: Typed | None
    metadata: Typed | None
    versions: dict[str, Any]
    deltas: tuple[str, ...] = ()
    run: str | None = None


class Write(NamedTuple):
    """What a task has written to a channel. Its place in the order of writes comes first."""

    path: str
    task: str
    number: int
    channel: str
    value: Typed
    run: str | None


@contextmanager
def instant(shelf: Shelf[Any, Any]) -> Iterator[Instant]:
    """One instant of a shelf, or the shelf itself where the engine has no snapshots, or would copy everything."""
    if shelf.capabilities.snapshots is not True:
        yield shelf
        return
    with shelf.snapshot() as then:
        yield then


def newest(entries: Instant, thread: str, namespace: str) -> str | None:
    """The id of the latest checkpoint."""
    last = next(iter(entries.keys(prefix=("checkpoint", thread, namespace), reverse=True)), None)
    return None if last is None else str(last[3])


def row_of(entries: Instant, key: Key, *, gone: bool = False) -> Row | None:
    """The row of a checkpoint; with ``gone``, also that of a checkpoint that has gone and is an ancestor."""
    stored = entries.get(("checkpoint", *key))
    if stored is None and gone:
        stored = entries.get(("ancestor", *key))
    return None if stored is None else Row(*stored)


def keys_of(
    entries: Instant, thread: str | None = None, namespace: str | None = None, before: str | None = None
) -> list[Key]:
    """The checkpoints of a thread, or of all, the newest first. ``before``: only those with a smaller id."""
    where = (
        ("checkpoint",)
        if thread is None
        else ("checkpoint", thread)
        if namespace is None
        else ("checkpoint", thread, namespace)
    )
    found = [key[1:] for key in entries.keys(prefix=where)]
    if namespace is not None and thread is None:
        found = [key for key in found if key[1] == namespace]
    if before is not None:
        found = [key for key in found if key[2] < before]
    return sorted(found, key=lambda key: key[2], reverse=True)


def blobs_of(entries: Instant, key: Key, versions: Mapping[str, Any]) -> dict[str, Typed]:
    """The values of channels at these versions. A channel that was empty then is missing."""
    thread, namespace, _ = key
    wanted = {("blob", thread, namespace, channel, version): channel for channel, version in versions.items()}
    return {wanted[blob]: value for blob, value in entries.get_many(wanted).items()}


def writes_of(entries: Instant, key: Key) -> list[Write]:
    """The writes that are stored with a checkpoint, in the order in which a run applies them."""
    found = [
        Write(path, row[4], row[5], channel, value, run)
        for row, (path, channel, value, run) in entries.items(prefix=("write", *key))
    ]
    return sorted(found, key=lambda write: write[:3])


def history_of(entries: Instant, key: Key, channels: Iterable[str]) -> dict[str, tuple[Typed | None, list[Write]]]:
    """For each channel, its value at the nearest ancestor that has one, and the writes from there on, in order."""
    found: dict[str, list[Write]] = {channel: [] for channel in channels}
    seeds: dict[str, Typed] = {}
    thread, namespace, _ = key
    row = row_of(entries, key)
    parent = None if row is None else row.parent
    while parent is not None and len(seeds) < len(found):
        at = (thread, namespace, parent)
        row = row_of(entries, at, gone=True)
        if row is None:
            break
        missing = found.keys() - seeds
        for write in reversed(writes_of(entries, at)):
            if write.channel in missing:
                found[write.channel].append(write)
        seeds |= blobs_of(entries, at, {name: row.versions[name] for name in missing if name in row.versions})
        parent = row.parent
    return {channel: (seeds.get(channel), writes[::-1]) for channel, writes in found.items()}


def keep_only(
    transaction: Transaction[Any, Any], thread: str, namespace: str, kept: set[str], gone: Collection[str] = ()
) -> None:
    """Remove all checkpoints of a namespace but these, and what the runs in ``gone`` have written to these.

    What the state of a kept checkpoint is made of stays: the writes of its ancestors to delta channels, and the values
    that these begin with.
    """
    where = (thread, namespace)
    rows = {
        key[3]: Row(*row)
        for kind in ("checkpoint", "ancestor")
        for key, row in list(transaction.items(prefix=(kind, *where)))
    }
    blobs = {key[3:]: key for key in transaction.keys(prefix=("blob", *where))}
    used, needed = _used(rows, set(blobs), kept)
    for each, row in rows.items():
        if each in kept:
            continue
        transaction.pop(("checkpoint", *where, each), None)
        transaction.pop(("ancestor", *where, each), None)
        if row.run is not None:
            transaction.pop(("run", row.run, *where, each), None)
        if each in needed:
            versions = {name: row.versions[name] for name in sorted(needed[each]) if name in row.versions}
            transaction["ancestor", *where, each] = tuple(Row(row.parent, None, None, versions))
    for key, (_, channel, _, run) in list(transaction.items(prefix=("write", *where))):
        if (key[3] not in kept or run in gone) and channel not in needed.get(key[3], ()):
            del transaction[key]
    for blob, key in blobs.items():
        if blob not in used:
            del transaction[key]


def _used(rows: Mapping[str, Row], blobs: set[Any], kept: set[str]) -> tuple[set[tuple[str, Any]], dict[str, set[str]]]:
    """The blobs that kept checkpoints use, and for each ancestor the channels whose writes they use."""
    used: set[tuple[str, Any]] = set()
    needed: dict[str, set[str]] = {}
    for each in kept & rows.keys():
        row = rows[each]
        used.update(row.versions.items())
        missing = {name for name in row.deltas if name in row.versions and (name, row.versions[name]) not in blobs}
        while missing and (parent := row.parent) is not None and parent in rows:
            here = needed.setdefault(parent, set())
            missing -= here  # another kept checkpoint has looked further
            here |= missing
            row = rows[parent]
            seeds = {(name, row.versions.get(name)) for name in missing} & blobs
            used |= seeds
            missing -= {name for name, _ in seeds}
    return used, needed


def runs_of(entries: Instant, runs: Iterable[str]) -> dict[tuple[str, str], set[str]]:
    """The checkpoints that runs have made: their ids, by thread and namespace."""
    found: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        for _, _, thread, namespace, each in entries.keys(prefix=("run", run)):
            found.setdefault((thread, namespace), set()).add(each)
    return found


def namespaces_of(entries: Instant, thread: str) -> set[str]:
    """The namespaces of which a thread has rows."""
    return {key[2] for kind in _KINDS for key in entries.keys(prefix=(kind, thread))}


def copy_thread(entries: Instant, source: str, target: str) -> Iterator[tuple[Any, Any]]:
    """The rows that a copy of a thread has."""
    for kind in _KINDS:
        for key, value in entries.items(prefix=(kind, source)):
            yield (kind, target, *key[2:]), value
            if kind == "checkpoint" and (run := Row(*value).run) is not None:
                yield ("run", run, target, *key[2:]), None
