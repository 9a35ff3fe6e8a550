"""The methods of a shelf or a transaction that write, for ``await`` and ``async with``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar, overload

from coshelf.aio.entries import AsyncReadable
from coshelf.mapping.lapsing import MISSING, Expire
from coshelf.mapping.tagging import Tags

__all__ = ["AsyncWritable"]

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class AsyncWritable(AsyncReadable[K, V], Generic[K, V]):
    """The writing half. :class:`coshelf.Shelf` describes the methods."""

    async def set(self, key: K, value: V, expire: Expire = MISSING, tags: Tags = ()) -> None:
        """Store a value. As ``shelf[key] = value`` if no time and no tags are given."""
        if expire is MISSING and tags == ():
            await self._write_one("__setitem__", key, value)
        else:
            await self._wait("set", key, value, expire, tags)

    async def delete(self, key: K) -> None:
        """Remove an entry. As ``del shelf[key]``. Raises KeyError if the key does not exist."""
        await self._write_one("__delitem__", key)

    async def add(self, key: K, value: V, expire: Expire = MISSING, tags: Tags = ()) -> bool:
        """Store a value if the key does not exist, in one step. Return whether it was stored."""
        added: bool = await self._write_one("add", key, value, expire, tags)
        return added

    async def touch(self, key: K, expire: Expire = MISSING) -> bool:
        """Change when an entry expires. Return whether the entry exists."""
        touched: bool = await self._write_one("touch", key, expire)
        return touched

    @overload
    async def pop(self, key: K, /) -> V: ...
    @overload
    async def pop(self, key: K, /, default: V | D) -> V | D: ...
    async def pop(self, key: K, /, default: Any = MISSING) -> Any:
        """Remove an entry and return its value, or ``default`` if the key is missing."""
        return await self._write_one("pop", key, default)

    async def popitem(self, last: bool = True) -> tuple[K, V]:
        """Remove and return the item with the greatest key, or with ``last=False`` the smallest."""
        item: tuple[K, V] = await self._wait("popitem", last)
        return item

    @overload
    async def setdefault(self: AsyncWritable[K, V | None], key: K, default: None = None, /) -> V | None: ...
    @overload
    async def setdefault(self, key: K, default: V, /) -> V: ...
    async def setdefault(self, key: K, default: Any = None, /) -> Any:
        """The value of ``key``. If the key does not exist, ``default`` is stored and a copy of it returned."""
        return await self._write_one("setdefault", key, default)

    async def update(self, other: Any = (), /, *, expire: Expire = MISSING, tags: Tags = (), **more: Any) -> None:
        """Store all items of a mapping or of an iterable of pairs, in one commit."""
        await self._wait("update", other, expire=expire, tags=tags, **more)

    async def clear(self) -> None:
        """Remove all entries, in one commit."""
        await self._wait("clear")

    async def incr(self, key: K, by: float = 1, default: float = 0, *, expire: Expire = MISSING) -> Any:
        """Add ``by`` to the number under ``key``, and return the sum. Of several tasks, each adds once."""
        return await self._write_one("incr", key, by, default, expire=expire)

    async def replace(self, key: K, old: V, new: V) -> bool:
        """Store ``new`` if the value equals ``old``, and return whether it did. Compare and set."""
        replaced: bool = await self._write_one("replace", key, old, new)
        return replaced

    async def modify(
        self, key: K, function: Callable[[V], V], default: Any = MISSING, *, allow_none: bool = False
    ) -> V:
        """Store ``function(value)`` and return it.

        The function is a plain one. It runs in a worker thread, or for a shelf on a server in the thread of the loop.
        """
        value: V = await self._wait("modify", key, function, default, allow_none=allow_none)
        return value

    async def delete_tagged(self, tag: str) -> int:
        """Remove the entries that have a tag, and return how many these were."""
        removed: int = await self._wait("delete_tagged", tag)
        return removed

    def edit(self, key: K, default: Any = MISSING) -> AbstractAsyncContextManager[V, bool | None]:
        """Give the block a value to change in place, and store it when the block ends. Other writers wait meanwhile.

        If the block raises, or its task is cancelled, the entry stays as it was.
        """
        raise NotImplementedError
