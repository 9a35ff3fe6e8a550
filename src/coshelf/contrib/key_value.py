"""A store for py-key-value, and so for FastMCP: collections of JSON documents that all processes of a machine share.

docs/integrations/key_value.md says what is promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from key_value.aio.stores.base import (
    SEED_DATA_TYPE,
    BaseContextManagerStore,
    BaseCullStore,
    BaseDestroyCollectionStore,
    BaseDestroyStore,
    BaseEnumerateCollectionsStore,
    BaseEnumerateKeysStore,
    ManagedEntry,
)

from coshelf.contrib.parts import AsyncPart, Part, Target
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["CoshelfStore"]


class CoshelfStore(
    BaseContextManagerStore,
    BaseEnumerateKeysStore,
    BaseEnumerateCollectionsStore,
    BaseDestroyCollectionStore,
    BaseDestroyStore,
    BaseCullStore,
):
    """A store for py-key-value in a shelf. It needs ``coshelf[aio]``.

    ``put_many``, ``delete_many``, ``destroy_collection`` and ``destroy`` are one commit each. ``get_many`` shows one
    instant. The shelf is opened at the first use.

    Args:
        target: a path or URL of a shelf, or an open shelf. An open shelf stays open when the store is closed.
        part: the part of the shelf that has the entries.
        default_collection: the collection of calls that name none.
        seed: values that are stored when the store is first used, by collection and key.
        options: further arguments of :func:`coshelf.open`, such as ``max_bytes=``.

    Raises:
        TypeError: options beside an open shelf.
        key_value.aio.errors.StoreSetupError: at the first use: the shelf cannot be opened.
        CoshelfError: of each method: what the engine raises.

    >>> import asyncio
    >>> async def main():
    ...     async with CoshelfStore("memory:") as store:
    ...         await store.put("ann", {"age": 41}, collection="users", ttl=3600)
    ...         return await store.get("ann", collection="users"), await store.keys("users")
    >>> asyncio.run(main())
    ({'age': 41}, ['ann'])
    """

    def __init__(
        self,
        target: Target,
        *,
        part: str = "key_value",
        default_collection: str | None = None,
        seed: SEED_DATA_TYPE | None = None,
        **options: Any,
    ) -> None:
        self._part = AsyncPart(Part(target, part, needs=("expiry",), **options))
        super().__init__(
            client_provided_by_user=isinstance(target, Shelf),
            default_collection=default_collection,
            seed=seed,
            stable_api=True,
        )

    async def _setup(self) -> None:
        await self._part.shelf()
        self._exit_stack.push_async_callback(self._part.close)

    def _loaded(self, stored: str | None) -> ManagedEntry | None:
        return None if stored is None else self._serialization_adapter.load_json(stored)

    async def _get_managed_entry(self, *, collection: str, key: str) -> ManagedEntry | None:
        shelf = await self._part.shelf()
        return self._loaded(await shelf.get((collection, key)))

    async def _get_managed_entries(self, *, collection: str, keys: Sequence[str]) -> list[ManagedEntry | None]:
        shelf = await self._part.shelf()
        found = await shelf.get_many([(collection, key) for key in keys])
        return [self._loaded(found.get((collection, key))) for key in keys]

    async def _put_managed_entry(self, *, collection: str, key: str, managed_entry: ManagedEntry) -> None:
        shelf = await self._part.shelf()
        stored = self._serialization_adapter.dump_json(managed_entry)
        await shelf.set((collection, key), stored, expire=managed_entry.ttl)

    async def _put_managed_entries(
        self,
        *,
        collection: str,
        keys: Sequence[str],
        managed_entries: Sequence[ManagedEntry],
        ttl: float | None,
        created_at: datetime,
        expires_at: datetime | None,
    ) -> None:
        shelf = await self._part.shelf()
        stored = [self._serialization_adapter.dump_json(entry) for entry in managed_entries]
        await shelf.update([((collection, key), value) for key, value in zip(keys, stored, strict=True)], expire=ttl)

    async def _delete_managed_entry(self, *, key: str, collection: str) -> bool:
        return await self._delete([(collection, key)]) == 1

    async def _delete_managed_entries(self, *, keys: Sequence[str], collection: str) -> int:
        return await self._delete([(collection, key) for key in keys])

    async def _get_collection_keys(self, *, collection: str, limit: int | None = None) -> list[str]:
        return [key for _, key in await self._keys_of(collection, limit)]

    async def _get_collection_names(self, *, limit: int | None = None) -> list[str]:
        shelf = await self._part.shelf()
        names: list[str] = []
        start: tuple[str, ...] = ()
        while limit is None or len(names) < limit:
            # Keys are in order. So one step finds the next collection, however many keys this one has.
            found = shelf.keys(start=start).__aiter__()
            try:
                name, _ = await anext(found)
            except StopAsyncIteration:
                break
            finally:
                await found.aclose()
            names.append(name)
            start = (name + "\0",)
        return names

    async def _delete_collection(self, *, collection: str) -> bool:
        return await self._delete(await self._keys_of(collection)) > 0

    async def _delete_store(self) -> bool:
        shelf = await self._part.shelf()
        await shelf.clear()
        return True

    async def _cull(self) -> None:
        await self._part.expire()

    async def _keys_of(self, collection: str, limit: int | None = None) -> list[tuple[str, str]]:
        shelf = await self._part.shelf()
        found: list[tuple[str, str]] = []
        if limit is not None and limit <= 0:
            return found
        async for key in shelf.keys(prefix=(collection,)):
            found.append(key)
            if len(found) == limit:
                break
        return found

    async def _delete(self, keys: Sequence[tuple[str, str]]) -> int:
        """Remove those of the keys that exist, in one commit where the engine has that. Return how many these were."""
        shelf = await self._part.shelf()
        if shelf.capabilities.checks == "entry":
            return sum([await shelf.pop(key, None) is not None for key in keys])

        def remove(transaction: Transaction[tuple[str, str], str]) -> int:
            return sum(transaction.pop(key, None) is not None for key in keys)

        return await shelf.transact(remove)
