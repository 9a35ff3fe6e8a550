"""The storage for tasks of an event loop."""

from __future__ import annotations

import time
from typing import Any

from limits.aio.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage
from limits.storage.base import TimestampedSlidingWindow

from coshelf.contrib.limits.storage import part_of
from coshelf.contrib.limits.windows import (
    MovingHit,
    SlidingHit,
    SlidingWindow,
    fixed_key,
    moving_key,
    moving_window,
    sliding_key,
)
from coshelf.contrib.parts import AsyncPart, Target
from coshelf.errors import CoshelfError

__all__ = ["AsyncCoshelfStorage"]


class AsyncCoshelfStorage(Storage, MovingWindowSupport, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """As :class:`~coshelf.contrib.limits.CoshelfStorage`, for tasks. It needs ``coshelf[aio]``.

    Both may use one shelf at the same time: what one counts, the other sees.

    Args:
        uri: ``async+coshelf://`` and a path or URL of a shelf; or a path, a URL, or an open shelf.
        wrap_exceptions: raise ``limits.errors.StorageError`` in place of errors of coshelf.
        part: the part of the shelf in which the limits are.
        options: further arguments of :func:`coshelf.open`, such as ``durability=``.

    Raises:
        limits.errors.ConfigurationError: the URI names no shelf.
        TypeError: options beside an open shelf.
        CoshelfError: of each method: what :func:`coshelf.open` and the engine raise.

    >>> import asyncio
    >>> storage = AsyncCoshelfStorage("async+coshelf://memory:")
    >>> async def main():
    ...     return [await storage.acquire_entry("ann", limit=1, expiry=60) for _ in range(2)]
    >>> asyncio.run(main())
    [True, False]
    """

    STORAGE_SCHEME = ["async+coshelf"]  # noqa: RUF012 (the type is that of the base class)

    def __init__(
        self, uri: Target | None = None, wrap_exceptions: bool = False, *, part: str = "limits", **options: Any
    ) -> None:
        super().__init__(None, wrap_exceptions=wrap_exceptions)
        self._part = AsyncPart(part_of(uri, "async+coshelf", part, options))

    @property
    def base_exceptions(self) -> type[Exception]:
        """The errors that ``wrap_exceptions`` replaces."""
        return CoshelfError

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to the counter of a key, and return it. A new counter expires after ``expiry`` seconds."""
        shelf = await self._part.shelf()
        counted: int = await shelf.incr(fixed_key(key), amount, expire=expiry)
        return counted

    async def get(self, key: str) -> int:
        """The counter of a key, 0 if there is none."""
        shelf = await self._part.shelf()
        counted: int = await shelf.get(fixed_key(key), 0)
        return counted

    async def get_expiry(self, key: str) -> float:
        """When the counter of a key expires, in seconds since 1970. Now, if there is no counter."""
        shelf = await self._part.shelf()
        try:
            expires = await shelf.expires(fixed_key(key))
        except KeyError:
            return time.time()
        assert expires is not None
        return expires

    async def check(self) -> bool:
        """Whether the shelf can be opened and read."""
        try:
            await (await self._part.shelf()).get("")
        except CoshelfError:
            return False
        return True

    async def reset(self) -> int:
        """Forget all hits. Return for how many keys there were any."""
        shelf = await self._part.shelf()
        number = await shelf.len()
        await shelf.clear()
        return number

    async def clear(self, key: str) -> None:
        """Forget the hits of a key in fixed and moving windows."""
        shelf = await self._part.shelf()
        await shelf.pop(fixed_key(key), None)
        await shelf.pop(moving_key(key), None)

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add hits to the moving window of a key, if it has not more than ``limit`` then. Return whether it did."""
        return await self._acquire(MovingHit(moving_key(key), limit, expiry, amount))

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The time of the first hit in the moving window, and the number of hits."""
        shelf = await self._part.shelf()
        return moving_window(await shelf.get(moving_key(key)), expiry)

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add hits to the sliding window of a key, if it has not more than ``limit`` then. Return whether it did."""
        return await self._acquire(SlidingHit(sliding_key(key, expiry), limit, expiry, amount))

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Hits and remaining seconds of the window before, and of the current one."""
        shelf = await self._part.shelf()
        stored, now = await shelf.get(sliding_key(key, expiry)), time.time()
        return SlidingWindow.of(stored, expiry, now).told(expiry, now)

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget the hits of a key in sliding windows."""
        shelf = await self._part.shelf()
        await shelf.pop(sliding_key(key, expiry), None)

    async def close(self) -> None:
        """Close the shelf, if the storage opened it."""
        await self._part.close()

    async def _acquire(self, hit: MovingHit | SlidingHit) -> bool:
        shelf = await self._part.shelf()
        # Hits that are refused take no lock: they are what comes when a program is flooded.
        return not hit.is_refused(await shelf.get(hit.key)) and await shelf.transact(hit)
