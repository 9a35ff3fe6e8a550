"""The storage for threads."""

from __future__ import annotations

import time
from typing import Any

from limits.errors import ConfigurationError
from limits.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage
from limits.storage.base import TimestampedSlidingWindow

from coshelf.contrib.limits.windows import (
    MovingHit,
    SlidingHit,
    SlidingWindow,
    fixed_key,
    moving_key,
    moving_window,
    sliding_key,
)
from coshelf.contrib.parts import Part, Target
from coshelf.errors import CoshelfError

__all__ = ["CoshelfStorage", "part_of"]


def part_of(uri: Target | None, scheme: str, name: str, options: dict[str, Any]) -> Part:
    """Where a storage keeps its entries, by the URI or whatever else was given to it."""
    target = uri.removeprefix(f"{scheme}://") if isinstance(uri, str) else uri
    if target is None or target == "":
        raise ConfigurationError(
            f"the storage URI {uri!r} names no shelf: write {scheme}:// and the path or URL of one, "
            f"such as {scheme}:///var/lib/site/limits.shelf"
        )
    return Part(target, name, needs=("expiry",), **options)


class CoshelfStorage(Storage, MovingWindowSupport, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """A storage for limits in a shelf. Each step is atomic, over all threads and processes that use the shelf.

    Args:
        uri: ``coshelf://`` and a path or URL of a shelf; or a path, a URL, or an open shelf.
        wrap_exceptions: raise ``limits.errors.StorageError`` in place of errors of coshelf.
        part: the part of the shelf in which the limits are.
        options: further arguments of :func:`coshelf.open`, such as ``durability=``.

    Raises:
        limits.errors.ConfigurationError: the URI names no shelf.
        TypeError: options beside an open shelf.
        CoshelfError: of each method: what :func:`coshelf.open` and the engine raise. An engine without expiry is
            :class:`~coshelf.errors.Unsupported`.

    >>> storage = CoshelfStorage("coshelf://memory:")
    >>> storage.incr("ann", 60), storage.incr("ann", 60, amount=2), storage.get("ann")
    (1, 3, 3)
    >>> storage.acquire_entry("ann", limit=1, expiry=60), storage.acquire_entry("ann", limit=1, expiry=60)
    (True, False)
    """

    STORAGE_SCHEME = ["coshelf"]  # noqa: RUF012 (the type is that of the base class)

    def __init__(
        self, uri: Target | None = None, wrap_exceptions: bool = False, *, part: str = "limits", **options: Any
    ) -> None:
        super().__init__(None, wrap_exceptions=wrap_exceptions)
        self._part = part_of(uri, "coshelf", part, options)

    @property
    def base_exceptions(self) -> type[Exception]:
        """The errors that ``wrap_exceptions`` replaces."""
        return CoshelfError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to the counter of a key, and return it. A new counter expires after ``expiry`` seconds."""
        counted: int = self._part.shelf.incr(fixed_key(key), amount, expire=expiry)
        return counted

    def get(self, key: str) -> int:
        """The counter of a key, 0 if there is none."""
        counted: int = self._part.shelf.get(fixed_key(key), 0)
        return counted

    def get_expiry(self, key: str) -> float:
        """When the counter of a key expires, in seconds since 1970. Now, if there is no counter."""
        try:
            expires = self._part.shelf.expires(fixed_key(key))
        except KeyError:
            return time.time()
        assert expires is not None
        return expires

    def check(self) -> bool:
        """Whether the shelf can be opened and read."""
        try:
            self._part.shelf.get("")
        except CoshelfError:
            return False
        return True

    def reset(self) -> int:
        """Forget all hits. Return for how many keys there were any."""
        shelf = self._part.shelf
        number = len(shelf)
        shelf.clear()
        return number

    def clear(self, key: str) -> None:
        """Forget the hits of a key in fixed and moving windows."""
        self._part.shelf.pop(fixed_key(key), None)
        self._part.shelf.pop(moving_key(key), None)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add hits to the moving window of a key, if it has not more than ``limit`` then. Return whether it did."""
        return self._acquire(MovingHit(moving_key(key), limit, expiry, amount))

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The time of the first hit in the moving window, and the number of hits."""
        return moving_window(self._part.shelf.get(moving_key(key)), expiry)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add hits to the sliding window of a key, if it has not more than ``limit`` then. Return whether it did."""
        return self._acquire(SlidingHit(sliding_key(key, expiry), limit, expiry, amount))

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Hits and remaining seconds of the window before, and of the current one."""
        stored, now = self._part.shelf.get(sliding_key(key, expiry)), time.time()
        return SlidingWindow.of(stored, expiry, now).told(expiry, now)

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget the hits of a key in sliding windows."""
        self._part.shelf.pop(sliding_key(key, expiry), None)

    def close(self) -> None:
        """Close the shelf, if the storage opened it."""
        self._part.close()

    def _acquire(self, hit: MovingHit | SlidingHit) -> bool:
        shelf = self._part.shelf
        # Hits that are refused take no lock: they are what comes when a program is flooded.
        return not hit.is_refused(shelf.get(hit.key)) and shelf.transact(hit)
