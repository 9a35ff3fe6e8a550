"""``AsyncShelf``: the methods of :class:`coshelf.Shelf` for tasks of an event loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from coshelf.aio.at_once import shelf_at_once
from coshelf.aio.blocks import Block
from coshelf.aio.entries import Pending
from coshelf.aio.memoizing import AsyncMemoizing
from coshelf.aio.queues import AsyncQueueing
from coshelf.aio.running import run, run_in_thread, run_to_the_end, write
from coshelf.aio.threads import current_task
from coshelf.aio.transaction import AsyncSnapshot, AsyncTransaction
from coshelf.aio.turns import AsyncCoordinating
from coshelf.aio.waiting import end_listening, wait_for
from coshelf.aio.watching import AsyncWatching
from coshelf.aio.writing import AsyncWritable
from coshelf.contract import Capabilities, Flag, Position
from coshelf.mapping.lapsing import MISSING
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction
from coshelf.system.files.paths import Path
from coshelf.system.threads.participants import TaskOwner
from coshelf.system.waiting.timeouts import usable_timeout

if TYPE_CHECKING:
    from coshelf.inspection.info import Info
    from coshelf.inspection.reports import Compaction, Progress, Report
    from coshelf.inspection.stats import Stats
    from coshelf.values.training import Training

__all__ = ["AsyncShelf"]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class AsyncShelf(
    AsyncMemoizing[K, V],
    AsyncCoordinating[K, V],
    AsyncQueueing[K, V],
    AsyncWatching[K, V],
    AsyncWritable[K, V],
    Generic[K, V],
):
    """A shelf for tasks of an event loop, of asyncio or trio. Made by :func:`coshelf.aio.open`.

    It has the methods of :class:`coshelf.Shelf`, with the same names, arguments and results. What may wait is awaited,
    and never blocks the loop. Transactions belong to the task. A call whose task is cancelled was made as a whole or
    not at all. Tasks of several loops, in several threads, may share it.

    >>> import asyncio, coshelf.aio
    >>> async def main():
    ...     async with coshelf.aio.open("memory:") as shelf:
    ...         await shelf.set("hello", [15])
    ...         async with shelf.edit("hello") as value:
    ...             value.append(16)
    ...         return await shelf.get("hello"), [key async for key in shelf], await shelf.len()
    >>> asyncio.run(main())
    ([15, 16], ['hello'], 1)
    """

    def __init__(self, shelf: Shelf[K, V]) -> None:
        self._face: Shelf[K, V] = shelf
        self._handle = shelf._handle
        self._here = shelf_at_once(shelf)

    async def _wait(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        return await write(self._handle, getattr(self._face, method), *args, **kwargs)

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The path or URL, without secrets."""
        return self._face.name

    @property
    def capabilities(self) -> Capabilities:
        """What this shelf's engine guarantees."""
        return self._face.capabilities

    @property
    def flag(self) -> Flag:
        """The flag that the shelf was opened with."""
        return self._face.flag

    @property
    def protocol(self) -> int:
        """The pickle protocol for writing."""
        return self._face.protocol

    @property
    def writeback(self) -> bool:
        """Whether values that were read are kept and written back."""
        return self._face.writeback

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._face.closed

    # --- parts and instants ------------------------------------------------------------------------------------------

    def sub(self, name: str) -> AsyncShelf[Any, V]:
        """The entries under ``name/`` as a separate shelf: its key ``"k"`` is this shelf's ``"name/k"``."""
        return AsyncShelf(self._face.sub(name))

    def snapshot(self) -> Pending[AsyncSnapshot[K, V]]:
        """A read-only view of the shelf as it is now. Use it with ``async with``, or await it and close it."""

        async def take() -> AsyncSnapshot[K, V]:
            snapshot = await run(self._handle, self._face.snapshot, undo=lambda taken: taken.close())
            return AsyncSnapshot(self._handle, snapshot)

        return Pending(take, AsyncSnapshot.close)

    async def wait(self, key: K, timeout: float | None = None, *, since: Position | None = None) -> V:
        """The value of ``key``, as soon as the key exists; with ``since``, as soon as it changes after that version.

        Raises ``WaitTimeout`` after ``timeout`` seconds. A task that waits uses no thread.
        """
        return await wait_for(self._face, self.__getitem__, key, timeout, since)

    # --- several entries together ------------------------------------------------------------------------------------

    def edit(self, key: K, default: Any = MISSING) -> AbstractAsyncContextManager[V, bool | None]:
        return Block(self._handle, lambda _: self._face.edit(key, default), lambda value: value)

    def transaction(
        self, timeout: float | None = None
    ) -> AbstractAsyncContextManager[AsyncTransaction[K, V], bool | None]:
        """Several reads and writes that are committed together at the end of the block, or not at all if it raises.

        Writes of other tasks wait meanwhile, and nothing else does. Inside the block, the methods of this shelf and
        its subs also show the transaction, for the task that began it. The block may await anything.

        >>> import asyncio, coshelf.aio
        >>> async def main():
        ...     async with coshelf.aio.open("memory:") as shelf:
        ...         await shelf.update(a=1, b=2)
        ...         async with shelf.transaction() as t:
        ...             await t.set("a", await t.get("b"))
        ...             await asyncio.sleep(0)
        ...             await t.delete("b")
        ...         return await shelf.copy()
        >>> asyncio.run(main())
        {'a': 2}
        """
        seconds = None if timeout is None else usable_timeout(timeout)

        def show(transaction: Transaction[K, V]) -> AsyncTransaction[K, V]:
            return AsyncTransaction(self._handle, transaction)

        return Block(self._handle, self._face.transaction, show, seconds, at_once=True)

    async def transact(self, function: Callable[[Transaction[K, V]], T], *, attempts: int = 10) -> T:
        """Run ``function(transaction)`` and commit. Repeat after a Conflict, for up to ``attempts`` tries.

        The function is a plain one, and gets a plain :class:`coshelf.Transaction`. It runs in a worker thread, or for a
        shelf on a server in the thread of the loop.
        """
        return await write(self._handle, self._face.transact, function, attempts=attempts)

    # --- care --------------------------------------------------------------------------------------------------------

    async def expire(self) -> int:
        """Remove the entries that have expired by now, and return how many these were."""
        removed: int = await self._wait("expire")
        return removed

    async def backup(self, path: Path, *, progress: Progress | bool | None = None, overwrite: bool = False) -> int:
        """Copy the shelf to a new one at ``path``. ``progress`` is called in a worker thread."""
        return await run_in_thread(self._handle, self._face.backup, path, progress=progress, overwrite=overwrite)

    async def check(self, *, progress: Progress | bool | None = None) -> Report:
        """Verify all data of the shelf at one instant, and report damage. As for :meth:`backup`."""
        return await run(self._handle, self._face.check, progress=progress)

    async def compact(self, *, progress: Progress | bool | None = None) -> Compaction:
        """Make the file as small as its entries, in place. No other process may have the shelf open."""
        return await write(self._handle, self._face.compact, progress=progress)

    async def info(self) -> Info:
        """What the shelf is: its engine, what that promises, and how values are written."""
        return await run(self._handle, self._face.info)

    async def stats(self, *, prefix_depth: int = 1, largest: int = 10, cheap: bool = False) -> Stats:
        """Numbers and sizes of the entries."""
        return await run(self._handle, self._face.stats, prefix_depth=prefix_depth, largest=largest, cheap=cheap)

    async def train_dictionary(
        self, *, samples: int = 10_000, size: int = 65_536, progress: Progress | bool | None = None
    ) -> Training:
        """Make a dictionary for compressing small values from entries of the shelf."""
        return await write(self._handle, self._face.train_dictionary, samples=samples, size=size, progress=progress)

    # --- the end -----------------------------------------------------------------------------------------------------

    async def sync(self) -> None:
        """Make everything durable."""
        await run(self._handle, self._face.sync)

    async def close(self) -> None:
        """Make everything durable, and close. It may be closed again; any other use raises ShelfClosed."""
        await run_to_the_end(self._handle, self._face.close, TaskOwner(current_task()))
        if self.closed:
            await end_listening(self._handle)

    async def __aenter__(self) -> Self:
        self._handle.refuse_closed()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
