"""``CoshelfSaver``: the checkpoints of LangGraph's graphs in a shelf."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Self

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from coshelf.contrib.langgraph import checkpoints
from coshelf.contrib.parts import AsyncPart, Part, Target

__all__ = ["CoshelfSaver"]


class CoshelfSaver(BaseCheckpointSaver[str]):
    """Keeps the checkpoints of graphs in a shelf, for all processes that run the same threads.

    One saver serves ``invoke`` and ``ainvoke``, from any number of threads and event loops. Each call is one commit.
    The asynchronous methods need ``coshelf[aio]``.

    Args:
        target: a path, a URL, or an open shelf.
        part: the part of the shelf that has the checkpoints.
        serde: LangGraph's serializer of values. By default its ``JsonPlusSerializer``.
        options: further arguments of :func:`coshelf.open`, for a path or URL.

    Raises:
        Unsupported: the engine commits entry by entry, as object stores do.
        ValueError: by each method, a config without a ``thread_id``.

    >>> from langgraph.graph import StateGraph
    >>> builder = StateGraph(int)
    >>> builder = builder.add_node("double", lambda number: number * 2)
    >>> builder = builder.set_entry_point("double").set_finish_point("double")
    >>> with CoshelfSaver("memory:") as saver:
    ...     graph = builder.compile(checkpointer=saver)
    ...     config = {"configurable": {"thread_id": "ann"}}
    ...     graph.invoke(21, config), graph.get_state(config).values
    (42, 42)
    """

    def __init__(
        self,
        target: Target,
        *,
        part: str = "langgraph/checkpoints",
        serde: SerializerProtocol | None = None,
        **options: Any,
    ) -> None:
        super().__init__(serde=serde)
        self.part = Part(target, part, needs=("checks=batch",), **options)
        self._tasks = AsyncPart(self.part)

    # --- reading -----------------------------------------------------------------------------------------------------

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that a config names, or the latest one of its thread; None if there is none."""
        return checkpoints.found(self.part.shelf, self.serde, config)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As :meth:`get_tuple`."""
        return await self._tasks.read(checkpoints.found, self.serde, config)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """The checkpoints of a thread, or of all threads, the newest first.

        Args:
            config: its thread, and its namespace and checkpoint id if it names them. None: all threads.
            filter: values that the metadata must have.
            before: only checkpoints that are older than the one that this config names.
            limit: how many, at most.
        """
        keys = checkpoints.listed(self.part.shelf, config, before)
        left = len(keys) if limit is None else limit
        for key in keys:
            if left <= 0:
                return
            found = checkpoints.matching(self.part.shelf, self.serde, key, filter)
            if found is not None:
                left -= 1
                yield found

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """As :meth:`list`."""
        keys = await self._tasks.read(checkpoints.listed, config, before)
        left = len(keys) if limit is None else limit
        for key in keys:
            if left <= 0:
                return
            found = await self._tasks.read(checkpoints.matching, self.serde, key, filter)
            if found is not None:
                left -= 1
                yield found

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What the values of delta channels are made of: the nearest value of each, and the writes since then."""
        return checkpoints.history(self.part.shelf, self.serde, config, channels)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """As :meth:`get_delta_channel_history`."""
        return await self._tasks.read(checkpoints.history, self.serde, config, channels)

    # --- writing -----------------------------------------------------------------------------------------------------

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint, with the values of the channels in ``new_versions``, in one commit."""
        return checkpoints.put(self.part.shelf, self.serde, config, checkpoint, metadata, new_versions)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """As :meth:`put`."""
        return await self._tasks.write(checkpoints.put, self.serde, config, checkpoint, metadata, new_versions)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task has written, in one commit. What the task has stored before stays as it is."""
        checkpoints.put_writes(self.part.shelf, self.serde, config, writes, task_id, task_path)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """As :meth:`put_writes`."""
        await self._tasks.write(checkpoints.put_writes, self.serde, config, writes, task_id, task_path)

    # --- removing and copying ----------------------------------------------------------------------------------------

    def delete_thread(self, thread_id: str) -> None:
        """Remove all that is stored of a thread."""
        checkpoints.prune(self.part.shelf, [thread_id], "delete")

    async def adelete_thread(self, thread_id: str) -> None:
        """As :meth:`delete_thread`."""
        await self._tasks.write(checkpoints.prune, [thread_id], "delete")

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove the checkpoints that these runs have made: those whose metadata has one of these as ``run_id``.

        A later checkpoint keeps its state. If that is made of what these runs have written, the writes stay for it,
        and cannot be seen otherwise.
        """
        checkpoints.delete_for_runs(self.part.shelf, run_ids)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """As :meth:`delete_for_runs`."""
        await self._tasks.write(checkpoints.delete_for_runs, run_ids)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all that is stored of a thread to another one, in one commit. What that one has already stays."""
        checkpoints.copy(self.part.shelf, source_thread_id, target_thread_id)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """As :meth:`copy_thread`."""
        await self._tasks.write(checkpoints.copy, source_thread_id, target_thread_id)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Remove all checkpoints of threads (``"delete"``), or all but the latest of each namespace.

        The latest keeps its state, as with :meth:`delete_for_runs`. Each thread is one commit.
        """
        checkpoints.prune(self.part.shelf, thread_ids, strategy)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """As :meth:`prune`."""
        await self._tasks.write(checkpoints.prune, thread_ids, strategy)

    # --- what it is --------------------------------------------------------------------------------------------------

    def get_next_version(self, current: str | None, channel: None) -> str:
        """The next version of a channel: greater than ``current``, and no branch of a thread has the same."""
        number = 0 if current is None else int(str(current).partition(".")[0])
        return f"{number + 1:032d}.{os.urandom(8).hex()}"

    def close(self) -> None:
        """Close the shelf, if the saver opened it."""
        self.part.close()

    async def aclose(self) -> None:
        """As :meth:`close`."""
        await self._tasks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
