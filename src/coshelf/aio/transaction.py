"""Transactions and snapshots of an :class:`coshelf.aio.AsyncShelf`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

from coshelf.aio.at_once import transaction_at_once
from coshelf.aio.blocks import Block
from coshelf.aio.entries import AsyncReadable
from coshelf.aio.running import run
from coshelf.aio.writing import AsyncWritable
from coshelf.mapping.handle import Handle
from coshelf.mapping.lapsing import MISSING
from coshelf.mapping.snapshot import Snapshot
from coshelf.mapping.transaction import Transaction

__all__ = ["AsyncSnapshot", "AsyncTransaction"]

K = TypeVar("K")
V = TypeVar("V")


class AsyncTransaction(AsyncWritable[K, V], Generic[K, V]):
    """A read-write view of a shelf, from :meth:`AsyncShelf.transaction`. Its changes are committed together.

    :class:`coshelf.Transaction` describes the methods.
    """

    def __init__(self, handle: Handle, transaction: Transaction[K, V]) -> None:
        self._handle = handle
        self._face: Transaction[K, V] = transaction
        self._here = transaction_at_once(handle.engine, transaction)

    def sub(self, name: str) -> AsyncTransaction[Any, V]:
        """A namespace in the same transaction."""
        return AsyncTransaction(self._handle, self._face.sub(name))

    def edit(self, key: K, default: Any = MISSING) -> AbstractAsyncContextManager[V, bool | None]:
        return Block(self._handle, lambda _: self._face.edit(key, default), lambda value: value, alone=False)


class AsyncSnapshot(AsyncReadable[K, V], Generic[K, V]):
    """A read-only mapping that shows a shelf at one instant, from :meth:`AsyncShelf.snapshot`.

    :class:`coshelf.Snapshot` describes the methods.
    """

    _here = None

    def __init__(self, handle: Handle, snapshot: Snapshot[K, V]) -> None:
        self._handle = handle
        self._face: Snapshot[K, V] = snapshot

    def sub(self, name: str) -> AsyncSnapshot[Any, V]:
        """A namespace at the same instant. It is closed with this snapshot."""
        return AsyncSnapshot(self._handle, self._face.sub(name))

    async def close(self) -> None:
        """Release the instant. It may be closed again; any other use raises ShelfClosed."""
        await run(self._handle, self._face.close)
