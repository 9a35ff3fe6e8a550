"""What a saver of checkpoints reads and writes, by functions on a plain shelf. Values go through its ``serde``."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from coshelf.contrib.langgraph import rows
from coshelf.contrib.langgraph.rows import Key, Row, Typed
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["copy", "delete_for_runs", "found", "history", "listed", "matching", "prune", "put", "put_writes"]

_Entries = Shelf[Any, Any]
_Transaction = Transaction[Any, Any]


def found(shelf: _Entries, serde: SerializerProtocol, config: RunnableConfig) -> CheckpointTuple | None:
    with rows.instant(shelf) as entries:
        key = _key(entries, config)
        return None if key is None else _tuple(serde, entries, key, rows.row_of(entries, key))


def matching(
    shelf: _Entries, serde: SerializerProtocol, key: Key, wanted: dict[str, Any] | None
) -> CheckpointTuple | None:
    with rows.instant(shelf) as entries:
        row = rows.row_of(entries, key)
        if row is not None and wanted:
            metadata = _load(serde, row.metadata)
            if any(metadata.get(name) != value for name, value in wanted.items()):
                return None
        return _tuple(serde, entries, key, row)


def _tuple(serde: SerializerProtocol, entries: rows.Instant, key: Key, row: Row | None) -> CheckpointTuple | None:
    if row is None:
        return None
    blobs = rows.blobs_of(entries, key, row.versions)
    checkpoint = {
        **_load(serde, row.checkpoint),
        "channel_versions": row.versions,
        "channel_values": {channel: _load(serde, blob) for channel, blob in blobs.items()},
    }
    writes = rows.writes_of(entries, key)
    return CheckpointTuple(
        config=_config(key),
        checkpoint=cast("Checkpoint", checkpoint),
        metadata=_load(serde, row.metadata),
        parent_config=None if row.parent is None else _config((*key[:2], row.parent)),
        pending_writes=[(write.task, write.channel, _load(serde, write.value)) for write in writes],
    )


def _load(serde: SerializerProtocol, stored: Typed | None) -> Any:
    assert stored is not None, "only ancestors have no checkpoint and no metadata"
    return serde.loads_typed(stored)


def history(
    shelf: _Entries, serde: SerializerProtocol, config: RunnableConfig, channels: Sequence[str]
) -> dict[str, DeltaChannelHistory]:
    with rows.instant(shelf) as entries:
        key = _key(entries, config)
        found = rows.history_of(entries, key, channels) if key else {channel: (None, []) for channel in channels}
    history: dict[str, DeltaChannelHistory] = {}
    for channel, (seed, writes) in found.items():
        history[channel] = {"writes": [(each.task, channel, _load(serde, each.value)) for each in writes]}
        if seed is not None:
            history[channel]["seed"] = _load(serde, seed)
    return history


def put(
    shelf: _Entries,
    serde: SerializerProtocol,
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    new_versions: ChannelVersions,
) -> RunnableConfig:
    thread, namespace = _thread(config)
    key = (thread, namespace, checkpoint["id"])
    values = checkpoint["channel_values"]
    told = get_checkpoint_metadata(config, metadata)
    row = Row(
        parent=get_checkpoint_id(config),
        checkpoint=serde.dumps_typed(
            {name: part for name, part in checkpoint.items() if name not in {"channel_values", "channel_versions"}}
        ),
        metadata=serde.dumps_typed(told),
        versions=dict(checkpoint["channel_versions"]),
        deltas=tuple(sorted(told.get("counters_since_delta_snapshot") or ())),
        run=_run(told),
    )
    entries: dict[Any, Any] = {
        ("blob", thread, namespace, channel, version): serde.dumps_typed(values[channel])
        for channel, version in new_versions.items()
        if channel in values
    }
    entries["checkpoint", *key] = tuple(row)
    if row.run is not None:
        entries["run", row.run, *key] = None
    shelf.update(entries)
    return _config(key)


def put_writes(
    shelf: _Entries,
    serde: SerializerProtocol,
    config: RunnableConfig,
    writes: Sequence[tuple[str, Any]],
    task: str,
    path: str,
) -> None:
    key = (*_thread(config), str(config["configurable"]["checkpoint_id"]))
    run = _run(get_checkpoint_metadata(config, {}))
    rows_of_task = {
        ("write", *key, task, WRITES_IDX_MAP.get(channel, number)): (
            path,
            channel,
            serde.dumps_typed(value),
            run,
        )
        for number, (channel, value) in enumerate(writes)
    }

    def store(transaction: _Transaction) -> None:
        for row, value in rows_of_task.items():
            if row[-1] < 0 or row not in transaction:  # errors, interrupts and the like replace the one before
                transaction[row] = value

    shelf.transact(store)


def _thread(config: RunnableConfig) -> tuple[str, str]:
    """The thread and the namespace of a config."""
    named = config.get("configurable", {})
    if named.get("thread_id") is None:
        raise ValueError(
            "the config has no thread_id, so its checkpoints have no place\n"
            '  hint: graph.invoke(..., {"configurable": {"thread_id": "1"}})'
        )
    return str(named["thread_id"]), str(named.get("checkpoint_ns") or "")


def _run(metadata: CheckpointMetadata) -> str | None:
    run = metadata.get("run_id")
    return None if run is None else str(run)


def _key(entries: rows.Instant, config: RunnableConfig) -> Key | None:
    """The checkpoint that a config names, or the latest one."""
    where = _thread(config)
    each = get_checkpoint_id(config) or rows.newest(entries, *where)
    return None if each is None else (*where, each)


def _config(key: Key) -> RunnableConfig:
    thread, namespace, each = key
    return {"configurable": {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": each}}


def listed(shelf: _Entries, config: RunnableConfig | None, before: RunnableConfig | None) -> list[Key]:
    older = None if before is None else get_checkpoint_id(before)
    with rows.instant(shelf) as entries:
        if config is None:
            return rows.keys_of(entries, before=older)
        thread, namespace = _thread(config)
        is_any = config["configurable"].get("checkpoint_ns") is None
        keys = rows.keys_of(entries, thread, None if is_any else namespace, older)
    each = get_checkpoint_id(config)
    return keys if each is None else [key for key in keys if key[2] == each]


def copy(shelf: _Entries, source: str, target: str) -> None:
    with rows.instant(shelf) as entries:
        shelf.update(rows.copy_thread(entries, str(source), str(target)))


def prune(shelf: _Entries, threads: Sequence[str], strategy: str) -> None:
    if strategy not in {"keep_latest", "delete"}:
        raise ValueError(f"strategy must be 'keep_latest' or 'delete', not {strategy!r}")

    def prune(transaction: _Transaction, *, thread: str) -> None:
        for namespace in rows.namespaces_of(transaction, thread):
            latest = rows.newest(transaction, thread, namespace) if strategy == "keep_latest" else None
            rows.keep_only(transaction, thread, namespace, set() if latest is None else {latest})

    for thread in threads:
        shelf.transact(functools.partial(prune, thread=str(thread)))


def delete_for_runs(shelf: _Entries, runs: Sequence[str]) -> None:
    named = set(map(str, runs))

    def delete(transaction: _Transaction) -> None:
        for where, gone in rows.runs_of(transaction, named).items():
            kept = {key[2] for key in rows.keys_of(transaction, *where)} - gone
            rows.keep_only(transaction, *where, kept, named)

    shelf.transact(delete)
