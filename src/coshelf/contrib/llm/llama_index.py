"""LlamaIndex's key-value store."""

from __future__ import annotations

from typing import Any

from llama_index.core.storage.kvstore.types import DEFAULT_BATCH_SIZE, DEFAULT_COLLECTION, BaseKVStore

from coshelf.contrib.parts import AsyncPart, Part, Target

__all__ = ["LlamaIndexKVStore"]

_Value = dict[str, Any]


class LlamaIndexKVStore(BaseKVStore):
    """Keeps the documents, indexes, chats and ingestion caches of LlamaIndex in a shelf, for all processes.

    ``KVDocumentStore``, ``KVIndexStore`` and ``IngestionCache`` take it. The asynchronous methods need
    ``coshelf[aio]``.

    Args:
        target: a path, a URL, or an open shelf.
        part: the part of the shelf that has the collections.
        options: further arguments of :func:`coshelf.open`, for a path or URL.

    >>> store = LlamaIndexKVStore("memory:")
    >>> store.put_all([("a", {"n": 1}), ("b", {"n": 2})], collection="docs", batch_size=100)
    >>> store.get("a", collection="docs"), store.get("a"), store.get_all("docs")
    ({'n': 1}, None, {'a': {'n': 1}, 'b': {'n': 2}})
    >>> store.close()
    """

    def __init__(self, target: Target, *, part: str = "llama_index", **options: Any) -> None:
        self.part = Part(target, part, **options)
        self._tasks = AsyncPart(self.part)

    def put(self, key: str, val: _Value, collection: str = DEFAULT_COLLECTION) -> None:
        """Store a value."""
        self.part.shelf[collection, key] = val

    async def aput(self, key: str, val: _Value, collection: str = DEFAULT_COLLECTION) -> None:
        """As :meth:`put`."""
        await (await self._tasks.shelf()).set((collection, key), val)

    def put_all(
        self,
        kv_pairs: list[tuple[str, _Value]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        """Store values in one commit, whatever ``batch_size`` says."""
        self.part.shelf.update({(collection, key): value for key, value in kv_pairs})

    async def aput_all(
        self,
        kv_pairs: list[tuple[str, _Value]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        """As :meth:`put_all`."""
        await (await self._tasks.shelf()).update({(collection, key): value for key, value in kv_pairs})

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> _Value | None:
        """A value, or None."""
        value: _Value | None = self.part.shelf.get((collection, key))
        return value

    async def aget(self, key: str, collection: str = DEFAULT_COLLECTION) -> _Value | None:
        """As :meth:`get`."""
        value: _Value | None = await (await self._tasks.shelf()).get((collection, key))
        return value

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, _Value]:
        """All values of a collection, by key, as of one instant."""
        return {key[1]: value for key, value in self.part.shelf.items(prefix=(collection,))}

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, _Value]:
        """As :meth:`get_all`."""
        items = (await self._tasks.shelf()).items(prefix=(collection,))
        return {key[1]: value async for key, value in items}

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Remove a value. Return whether it existed."""
        return self.part.shelf.pop((collection, key), None) is not None

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """As :meth:`delete`."""
        return await (await self._tasks.shelf()).pop((collection, key), None) is not None

    def close(self) -> None:
        """Close the shelf, if the store opened it."""
        self.part.close()

    async def aclose(self) -> None:
        """As :meth:`close`."""
        await self._tasks.close()
