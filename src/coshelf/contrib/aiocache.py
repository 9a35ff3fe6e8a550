"""A cache for aiocache. Importing this module tells aiocache the scheme ``coshelf://``.

docs/integrations/aiocache.md says how to set it up.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final
from weakref import WeakKeyDictionary

from aiocache import AIOCACHE_CACHES
from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer

from coshelf.contrib.deleting import delete_many
from coshelf.contrib.parts import AsyncPart, Part, Target
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["CoshelfCache"]

_ABSENT: Final = object()
_BASE: Final = ("plugins", "namespace", "key_builder", "timeout", "ttl")


class CoshelfCache(BaseCache):
    """A cache of aiocache in a part of a shelf. All processes that open it share it. It needs ``coshelf[aio]``.

    Args:
        target: a path, a URL, or an open shelf, on any engine whose entries can expire.
        part: the part of the shelf where the entries are.
        serializer: a serializer of aiocache, whose text or bytes are stored. None: values are stored as values of the
            shelf, and any object that pickle takes comes back.
        options: ``plugins``, ``namespace``, ``key_builder``, ``ttl`` (seconds) and ``timeout`` (of a call, seconds) of
            aiocache, and further options of :func:`coshelf.open`, such as ``max_bytes=``.

    Raises:
        TypeError: there is no target, or an open shelf was given options of :func:`coshelf.open`.
        Unsupported: entries cannot expire on the engine.

    >>> import asyncio
    >>> async def main():
    ...     async with CoshelfCache("memory:", ttl=60) as cache:
    ...         await cache.set("ann", {"cart": []})
    ...         return await cache.get("ann"), await cache.increment("visits")
    >>> asyncio.run(main())
    ({'cart': []}, 1)
    """

    NAME = "coshelf"

    def __init__(
        self, target: Target | None = None, part: str = "aiocache", serializer: Any = None, **options: Any
    ) -> None:
        if target is None or "endpoint" in options:
            raise TypeError(
                "a cache on a shelf needs a target\n  hint: CoshelfCache(target=PATH), coshelf:///PATH with three "
                "slashes, or coshelf://?target=URL"
            )
        base = {name: options.pop(name) for name in _BASE if name in options}
        super().__init__(serializer=serializer or NullSerializer(), **base)
        self._given: Final = (target, part, {name: _number(options[name]) for name in options})
        self._part = self._unopened()
        self._adding: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    @classmethod
    def parse_uri_path(cls, path: str) -> dict[str, str]:
        """The options that the path of a URL has: ``coshelf:///var/cache/app.shelf``."""
        return {"target": path}

    def _build_key(self, key: Any, namespace: str | None = None) -> Any:
        built = super()._build_key(key, namespace)
        return built.value if isinstance(built, Enum) else built

    async def _get(self, key: Any, encoding: str | None = "utf-8", _conn: Any = None) -> Any:
        return await (await self._part.shelf()).get(key)

    async def _gets(self, key: Any, encoding: str | None = "utf-8", _conn: Any = None) -> Any:
        return await self._get(key)

    async def _multi_get(self, keys: Sequence[Any], encoding: str | None = "utf-8", _conn: Any = None) -> list[Any]:
        found = await (await self._part.shelf()).get_many(keys)
        return [found.get(key) for key in keys]

    async def _set(
        self, key: Any, value: Any, ttl: float | None = None, _cas_token: Any = None, _conn: Any = None
    ) -> bool | int:
        if _cas_token is None:
            await (await self._part.shelf()).set(key, value, expire=_expiry(ttl))
            return True

        def replace(entries: Transaction[Any, Any]) -> bool | int:
            if entries.get(key, _ABSENT) != _cas_token:
                return 0
            entries.set(key, value, expire=_expiry(ttl))
            return True

        return await (await self._part.shelf()).transact(replace)

    async def _multi_set(self, pairs: Iterable[tuple[Any, Any]], ttl: float | None = None, _conn: Any = None) -> bool:
        await (await self._part.shelf()).update(dict(pairs), expire=_expiry(ttl))
        return True

    async def _add(self, key: Any, value: Any, ttl: float | None = None, _conn: Any = None) -> bool:
        shelf = await self._part.shelf()
        # RedLock notes its event after this. A task of the loop that finds the key must not go on before that.
        async with self._adding.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            is_new = await shelf.add(key, value, expire=_expiry(ttl))
        if not is_new:
            raise ValueError(f"Key {key} already exists, use .set to update the value")
        return True

    async def _exists(self, key: Any, _conn: Any = None) -> bool:
        return await (await self._part.shelf()).contains(key)

    async def _increment(self, key: Any, delta: int, _conn: Any = None) -> int:
        new = delta if isinstance(self.serializer, NullSerializer) else _written(delta, self.serializer.encoding)

        def add(entries: Transaction[Any, Any]) -> int:
            if key not in entries:
                entries.set(key, new, expire=None)
                return delta
            return int(entries.modify(key, lambda old: _sum(old, delta)))

        return await (await self._part.shelf()).transact(add)

    async def _expire(self, key: Any, ttl: float | None, _conn: Any = None) -> bool:
        return await (await self._part.shelf()).touch(key, expire=_expiry(ttl))

    async def _delete(self, key: Any, _conn: Any = None) -> int:
        return len(await self._part.write(delete_many, [key]))

    async def _clear(self, namespace: str | None = None, _conn: Any = None) -> bool:
        if namespace:
            await self._part.write(_clear_prefix, namespace)
        else:
            await (await self._part.shelf()).clear()
        return True

    async def _raw(self, command: str, *args: Any, encoding: Any = None, _conn: Any = None, **options: Any) -> Any:
        """Call a method of the part, which is a :class:`coshelf.aio.AsyncShelf`. Views come as lists."""
        result = getattr(await self._part.shelf(), command)(*args, **options)
        if inspect.isawaitable(result):
            return await result
        return await result.list() if hasattr(result, "list") else result

    async def _redlock_release(self, key: Any, value: Any) -> int:
        def release(entries: Transaction[Any, Any]) -> int:
            if entries.get(key, _ABSENT) != value:
                return 0
            del entries[key]
            return 1

        return await (await self._part.shelf()).transact(release)

    async def _close(self, *args: Any, _conn: Any = None, **options: Any) -> None:
        """Close the shelf, if the cache opened it. A later call opens it again, as aiocache wants it."""
        part, self._part = self._part, self._unopened()
        await part.close()

    def _unopened(self) -> AsyncPart:
        target, name, options = self._given
        return AsyncPart(Part(target, name, needs=("expiry",), **options))

    def __repr__(self) -> str:
        return f"<CoshelfCache on {self._part.part!r}>"


def _expiry(ttl: float | None) -> float | None:
    """Seconds until an entry expires. Nothing and zero: it stays."""
    return ttl or None


def _number(option: Any) -> Any:
    """An option as it is in the query of a URL, where numbers are text."""
    return int(option) if isinstance(option, str) and option.isdecimal() else option


def _sum(stored: Any, delta: int) -> Any:
    """A number that has grown, in the form in which it was stored: an int, or the text or bytes of a serializer."""
    if isinstance(stored, int) and not isinstance(stored, bool):
        return stored + delta
    try:
        total = int(stored) + delta if isinstance(stored, str | bytes) else None
    except ValueError:
        total = None
    if total is None:
        raise TypeError("Value is not an integer")
    return _written(total, None if isinstance(stored, bytes) else "utf-8")


def _written(number: int, encoding: str | None) -> str | bytes:
    return str(number) if encoding else str(number).encode()


def _clear_prefix(shelf: Shelf[Any, Any], prefix: str) -> None:
    if shelf.capabilities.checks == "entry":
        delete_many(shelf, shelf.keys(prefix=prefix))
        return

    def clear(entries: Transaction[Any, Any]) -> None:
        for key in list(entries.keys(prefix=prefix)):
            del entries[key]

    shelf.transact(clear)


AIOCACHE_CACHES[CoshelfCache.NAME] = CoshelfCache
