"""A store for Litestar: sessions, cached responses and rate limits that all processes of a machine share.

docs/integrations/litestar.md says what is promised.
"""

from __future__ import annotations

import copy
import time
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from litestar.stores.base import NamespacedStore

from coshelf.contrib.keys import short
from coshelf.contrib.parts import AsyncPart, Part, Target
from coshelf.mapping.transaction import Transaction

__all__ = ["CoshelfStore"]

_KEY: Final = 0
"""Stands before the key in the tuple of an entry, after the names of namespaces, which are texts."""


class CoshelfStore(NamespacedStore):
    """A store for Litestar in a shelf, with namespaces. It needs ``coshelf[aio]``.

    Args:
        target: a path or URL of a shelf, or an open shelf. An open shelf stays open when the store is closed.
        part: the part of the shelf that has the entries.
        options: further arguments of :func:`coshelf.open`, such as ``durability=``.

    Raises:
        TypeError: options beside an open shelf.
        CoshelfError: of each method: what :func:`coshelf.open` and the engine raise.

    >>> import asyncio
    >>> async def main():
    ...     async with CoshelfStore("memory:") as root:
    ...         sessions = root.with_namespace("sessions")
    ...         await sessions.set("ann", b"cart", expires_in=3600)
    ...         return await sessions.get("ann", renew_for=7200), await root.get("ann")
    >>> asyncio.run(main())
    (b'cart', None)
    """

    __slots__ = ("_home", "_path")

    def __init__(self, target: Target, *, part: str = "litestar", **options: Any) -> None:
        self._home = _Home(Part(target, part, needs=("expiry",), **options))
        self._path: tuple[str, ...] = ()
        self.namespace = ""

    def with_namespace(self, namespace: str) -> Self:
        """A store in a namespace of this one, in the same shelf. ``delete_all`` of this one empties it, too."""
        below = copy.copy(self)
        below._path = (*self._path, namespace)  # noqa: SLF001 (a store like this one)
        below.namespace = "/".join((*self._path, namespace))
        return below

    async def set(self, key: str, value: str | bytes, expires_in: int | timedelta | None = None) -> None:
        """Store a value. It expires after ``expires_in`` seconds; 0 and None are no time."""
        shelf = await self._home.part.shelf()
        data = value.encode("utf-8") if isinstance(value, str) else value
        await shelf.set(self._key(key), data, expire=expires_in or None)

    async def get(self, key: str, renew_for: int | timedelta | None = None) -> bytes | None:
        """The value of a key, or None.

        If it has a time, ``renew_for`` lets it expire that many seconds from now, in the same step.
        """
        shelf, place = await self._home.part.shelf(), self._key(key)
        if not renew_for:
            value: bytes | None = await shelf.get(place)
            return value

        def renew(transaction: Transaction[Any, bytes]) -> bytes | None:
            found = transaction.get(place)
            if found is not None and transaction.expires(place) is not None:
                transaction.touch(place, expire=renew_for)
            return found

        return await shelf.transact(renew)

    async def delete(self, key: str) -> None:
        """Remove a value, if there is one."""
        shelf = await self._home.part.shelf()
        await shelf.pop(self._key(key), None)

    async def delete_all(self) -> None:
        """Remove all values of this namespace and those below it, in one commit where the engine has that."""
        shelf = await self._home.part.shelf()
        if not self._path:
            await shelf.clear()
            return
        keys = await shelf.keys(prefix=self._path).list()
        if shelf.capabilities.checks == "entry":
            for key in keys:
                await shelf.pop(key, None)
            return

        def remove(transaction: Transaction[Any, bytes]) -> None:
            for key in keys:
                transaction.pop(key, None)

        await shelf.transact(remove)

    async def delete_expired(self) -> None:
        """Free the space of what has expired, in the whole shelf. Without this, writing does so in steps."""
        await self._home.part.expire()

    async def exists(self, key: str) -> bool:
        """Whether a value is stored under a key."""
        shelf = await self._home.part.shelf()
        return await shelf.contains(self._key(key))

    async def expires_in(self, key: str) -> int | None:
        """In how many seconds a value expires. -1 if it has no time, and None if there is none."""
        shelf = await self._home.part.shelf()
        try:
            expires = await shelf.expires(self._key(key))
        except KeyError:
            return None
        return -1 if expires is None else max(0, int(expires - time.time()))

    async def close(self) -> None:
        """Close the shelf, if the store opened it. The next use opens it again."""
        await self._home.close()

    async def __aenter__(self) -> Self:  # type: ignore[override]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _key(self, key: str) -> tuple[Any, ...]:
        return (*self._path, _KEY, short(key))


class _Home:
    """Where a store and its namespaces keep their entries. An application may be started again after its end."""

    def __init__(self, part: Part) -> None:
        self.part = AsyncPart(part)

    async def close(self) -> None:
        before = self.part
        self.part = AsyncPart(before.part.again())
        await before.close()
