"""``CoshelfCache``: the results of LangGraph's nodes in a shelf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

from langgraph.cache.base import BaseCache, FullKey, Namespace
from langgraph.checkpoint.serde.base import SerializerProtocol

from coshelf.contrib.parts import AsyncPart, Part, Target
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["CoshelfCache"]

V = TypeVar("V")

_Pairs = Mapping[FullKey, tuple[V, int | None]]
_Entries = Shelf[Any, Any]


class CoshelfCache(BaseCache[V]):
    """Keeps the results of nodes and tasks that have a ``cache_policy`` in a shelf, for all processes.

    Each call is one commit. The asynchronous methods need ``coshelf[aio]``.

    Args:
        target: a path, a URL, or an open shelf.
        part: the part of the shelf that has the results.
        serde: LangGraph's serializer of values. By default its ``JsonPlusSerializer``.
        options: further arguments of :func:`coshelf.open`, for a path or URL.

    Raises:
        Unsupported: the engine commits entry by entry, or entries cannot expire.

    >>> cache = CoshelfCache("memory:")
    >>> cache.set({(("node",), "3"): ([("number", 6)], 60)})
    >>> cache.get([(("node",), "3"), (("node",), "4")])
    {(('node',), '3'): [['number', 6]]}
    >>> cache.close()
    """

    def __init__(
        self,
        target: Target,
        *,
        part: str = "langgraph/cache",
        serde: SerializerProtocol | None = None,
        **options: Any,
    ) -> None:
        super().__init__(serde=serde)
        self.part = Part(target, part, needs=("checks=batch", "expiry"), **options)
        self._tasks = AsyncPart(self.part)

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, V]:
        """The results that exist, by key."""
        return self._get(self.part.shelf, keys)

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, V]:
        """As :meth:`get`."""
        return await self._tasks.read(self._get, keys)

    def set(self, pairs: _Pairs[V]) -> None:
        """Store results, each with the seconds that it is kept; None: for ever."""
        self._set(self.part.shelf, pairs)

    async def aset(self, pairs: _Pairs[V]) -> None:
        """As :meth:`set`."""
        await self._tasks.write(self._set, pairs)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Remove the results of these namespaces, or all results."""
        _clear(self.part.shelf, namespaces)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """As :meth:`clear`."""
        await self._tasks.write(_clear, namespaces)

    def close(self) -> None:
        """Close the shelf, if the cache opened it."""
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

    def _get(self, shelf: _Entries, keys: Sequence[FullKey]) -> dict[FullKey, V]:
        asked = {(*namespace, key): (namespace, key) for namespace, key in keys}
        return {asked[key]: self.serde.loads_typed(stored) for key, stored in shelf.get_many(asked).items()}

    def _set(self, shelf: _Entries, pairs: _Pairs[V]) -> None:
        stored = {
            (*namespace, key): (self.serde.dumps_typed(value), seconds)
            for (namespace, key), (value, seconds) in pairs.items()
        }

        def store(transaction: Transaction[Any, Any]) -> None:
            for key, (value, seconds) in stored.items():
                transaction.set(key, value, expire=seconds)

        if len(stored) == 1:
            ((key, (value, seconds)),) = stored.items()
            shelf.set(key, value, expire=seconds)
        elif stored:
            shelf.transact(store)


def _clear(shelf: _Entries, namespaces: Sequence[Namespace] | None) -> None:
    if namespaces is None:
        shelf.clear()
        return

    def clear(transaction: Transaction[Any, Any]) -> None:
        for namespace in namespaces:
            for key in list(transaction.keys(prefix=tuple(namespace))):
                if len(key) == len(namespace) + 1:  # longer keys are those of other namespaces
                    del transaction[key]

    shelf.transact(clear)
