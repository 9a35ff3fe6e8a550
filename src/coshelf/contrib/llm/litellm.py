"""LiteLLM's cache of answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from litellm.caching.base_cache import BaseCache

from coshelf.contrib.parts import AsyncPart, Part, Target
from coshelf.errors import CoshelfError
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["LiteLLMCache"]


class LiteLLMCache(BaseCache):
    """Keeps LiteLLM's answers in a shelf, for all processes. It takes the place of the disk cache of earlier versions.

    The asynchronous methods need ``coshelf[aio]``.

    Args:
        target: a path, a URL, or an open shelf.
        part: the part of the shelf that has the answers.
        default_ttl: seconds that an answer is kept if the call gives no ``ttl``; None: for ever.
        options: further arguments of :func:`coshelf.open`, for a path or URL.

    Raises:
        InvalidExpiry: by methods that store, a ``ttl`` that is not a number.

    >>> cache = LiteLLMCache("memory:")
    >>> cache.set_cache("key", {"response": "An onion."}, ttl=3600)
    >>> cache.get_cache("key")
    {'response': 'An onion.'}
    """

    def __init__(
        self, target: Target, *, part: str = "litellm", default_ttl: float | None = None, **options: Any
    ) -> None:
        super().__init__()
        self.default_ttl: Any = default_ttl
        self.part = Part(target, part, **options)
        self._tasks = AsyncPart(self.part)

    def get_ttl(self, **kwargs: Any) -> Any:
        """The seconds that a call gives, or else the default."""
        seconds = kwargs.get("ttl")
        return self.default_ttl if seconds is None else seconds

    def set_cache(self, key: str, value: Any, **kwargs: Any) -> None:
        """Store a value. ``ttl``: the seconds that it is kept."""
        self.part.shelf.set(key, value, expire=self.get_ttl(**kwargs))

    async def async_set_cache(self, key: str, value: Any, **kwargs: Any) -> None:
        """As :meth:`set_cache`."""
        await (await self._tasks.shelf()).set(key, value, expire=self.get_ttl(**kwargs))

    async def async_set_cache_pipeline(self, cache_list: Sequence[tuple[str, Any]], **kwargs: Any) -> None:
        """Store several values in one commit."""
        await (await self._tasks.shelf()).update(dict(cache_list), expire=self.get_ttl(**kwargs))

    async def batch_cache_write(self, key: str, value: Any, **kwargs: Any) -> None:
        """As :meth:`async_set_cache`: nothing is collected first."""
        await self.async_set_cache(key, value, **kwargs)

    def get_cache(self, key: str, **kwargs: Any) -> Any:
        """A value, or None."""
        return self.part.shelf.get(key)

    async def async_get_cache(self, key: str, **kwargs: Any) -> Any:
        """As :meth:`get_cache`."""
        return await (await self._tasks.shelf()).get(key)

    def batch_get_cache(self, keys: Sequence[str], **kwargs: Any) -> list[Any]:
        """Values as of one instant, in order; None for a key that is missing."""
        found = self.part.shelf.get_many(keys)
        return [found.get(key) for key in keys]

    async def async_batch_get_cache(self, keys: Sequence[str], **kwargs: Any) -> list[Any]:
        """As :meth:`batch_get_cache`."""
        found = await (await self._tasks.shelf()).get_many(keys)
        return [found.get(key) for key in keys]

    def increment_cache(self, key: str, value: float, **kwargs: Any) -> float:
        """Add to a number, in one step. ``ttl`` is for a number that did not exist."""
        added: float = self.part.shelf.incr(key, value, expire=self.get_ttl(**kwargs))
        return added

    async def async_increment(self, key: str, value: float, **kwargs: Any) -> float:
        """As :meth:`increment_cache`."""
        added: float = await (await self._tasks.shelf()).incr(key, value, expire=self.get_ttl(**kwargs))
        return added

    def delete_cache(self, key: str) -> None:
        """Remove a value."""
        self.part.shelf.pop(key, None)

    async def async_delete_cache(self, key: str) -> None:
        """As :meth:`delete_cache`."""
        await (await self._tasks.shelf()).pop(key, None)

    async def delete_cache_keys(self, keys: Iterable[str]) -> None:
        """Remove several values in one commit."""
        await self._tasks.write(_delete, list(keys))

    def flush_cache(self) -> None:
        """Remove all values."""
        self.part.shelf.clear()

    async def ping(self) -> bool:
        """Whether the shelf can be opened."""
        await self._tasks.shelf()
        return True

    async def test_connection(self) -> dict[str, Any]:
        """Whether the shelf can be opened: ``status`` is "success" or "failed"."""
        try:
            await self.ping()
        except CoshelfError as error:
            return {"status": "failed", "message": "the shelf cannot be opened", "error": str(error)}
        return {"status": "success", "message": f"{self.part!r} is open"}

    async def disconnect(self) -> None:
        """Close the shelf, if the cache opened it."""
        await self._tasks.close()


def _delete(shelf: Shelf[Any, Any], keys: Sequence[str]) -> None:
    def delete(transaction: Transaction[Any, Any]) -> None:
        for key in keys:
            transaction.pop(key, None)

    shelf.transact(delete)
