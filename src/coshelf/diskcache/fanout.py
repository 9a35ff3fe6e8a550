"""FanoutCache: a cache whose calls do not raise Timeout. Instead of: from diskcache.fanout import FanoutCache."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from warnings import WarningMessage

from coshelf.diskcache.core import DEFAULT_SETTINGS, ENOVAL, Cache, Disk, Timeout
from coshelf.diskcache.persistent import Deque, Index
from coshelf.dropin.diskcache.names import NO_LIMIT

__all__ = ["FanoutCache"]

_LIMIT_OF_DISKCACHE = 2**30
_FORWARDED = {*DEFAULT_SETTINGS, "timeout", "disk"}


class _NotForwarded(AssertionError, AttributeError):
    """An attribute that a FanoutCache does not have. ``hasattr`` and ``getattr`` with a default understand it."""


class FanoutCache:
    """A :class:`Cache` for many writers: a call that cannot have the lock in time gives up instead of raising Timeout.

    All shards are one shelf, ``DIRECTORY/cache.shelf``. So keys are found again with any number of shards, and the size
    limit is stored once, for the whole cache.

    Args:
        directory: where the cache is. None makes a temporary directory, which is not removed.
        shards: a share of the size limit is ``size_limit / shards``. It has no other effect.
        timeout: seconds for which a call waits for another writer.
        disk: a subclass of :class:`Disk` that says how keys and values are stored.
        settings: any of DEFAULT_SETTINGS. ``size_limit`` is that of the whole cache.

    Raises:
        ValueError: ``shards`` is not positive, or ``disk`` is no subclass of Disk.

    >>> cache = FanoutCache()
    >>> cache.set("a", 1)
    True
    >>> cache["a"]
    1
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        shards: int = 8,
        timeout: float = 0.010,
        disk: type[Disk] = Disk,
        **settings: Any,
    ) -> None:
        if shards < 1:
            raise ValueError(f"a FanoutCache has one shard or more, not {shards}")
        self._count = shards
        self._cache = Cache(directory, timeout=timeout, disk=disk, shards=shards, **settings)
        self._caches: dict[str, Cache] = {}
        self._deques: dict[str, Deque] = {}
        self._indexes: dict[str, Index] = {}

    @property
    def directory(self) -> str:
        """The directory of the cache."""
        return self._cache.directory

    @property
    def shards(self) -> int:
        """The number of shards. It says how large the share ``size_limit`` is."""
        return self._count

    def __getattr__(self, name: str) -> Any:
        if name not in _FORWARDED:
            raise _NotForwarded(f"cannot access {name} in cache shard")
        value = getattr(self._cache, name)
        return self._share(value) if name == "size_limit" else value

    def _share(self, limit: float) -> float:
        """The share of a shard. Without a limit it is that of diskcache's default, which programs know."""
        return (_LIMIT_OF_DISKCACHE if limit == NO_LIMIT else limit) / self._count

    @contextmanager
    def transact(self, retry: bool = True) -> Iterator[None]:
        """Keep other writers out for the block, and write all of it or nothing. It nests within a thread.

        Raises:
            AssertionError: ``retry`` is false. A transaction waits until it has the lock.

        >>> cache = FanoutCache()
        >>> with cache.transact():
        ...     total, count = cache.incr("total", 123.5), cache.incr("count")
        >>> total / count
        123.5
        """
        if not retry:
            raise AssertionError("retry must be True in FanoutCache")
        with self._cache.transact(retry=True):
            yield

    def set(
        self,
        key: Any,
        value: Any,
        expire: float | None = None,
        read: bool = False,
        tag: Any = None,
        retry: bool = False,
    ) -> bool:
        """As :meth:`Cache.set`. False if another writer has the lock for longer than ``timeout``.

        Args:
            key: any object that can be pickled.
            value: the value.
            expire: seconds from now until the entry expires. None: never.
            read: the value is a binary file, whose content is stored.
            tag: a str, int, float or bytes by which :meth:`evict` finds the entry.
            retry: wait for the lock as long as it takes.

        >>> FanoutCache().set("a", 1, expire=60, tag="odd")
        True
        """
        try:
            return self._cache.set(key, value, expire, read, tag, retry)
        except Timeout:
            return False

    def __setitem__(self, key: Any, value: Any) -> None:
        self._cache[key] = value

    def touch(self, key: Any, expire: float | None = None, retry: bool = False) -> bool:
        """Give an entry a new time to expire, ``expire`` seconds from now. False if it is missing, or after a timeout.

        >>> FanoutCache().touch("missing", expire=60)
        False
        """
        try:
            return self._cache.touch(key, expire, retry)
        except Timeout:
            return False

    def add(
        self,
        key: Any,
        value: Any,
        expire: float | None = None,
        read: bool = False,
        tag: Any = None,
        retry: bool = False,
    ) -> bool:
        """Store a value if the key is missing or expired; of several processes one does. False after a timeout, too.

        >>> cache = FanoutCache()
        >>> cache.add("a", 1), cache.add("a", 2)
        (True, False)
        """
        try:
            return self._cache.add(key, value, expire, read, tag, retry)
        except Timeout:
            return False

    def incr(self, key: Any, delta: Any = 1, default: Any = 0, retry: bool = False) -> Any:
        """Add to a number in one step, and return the sum; None after a timeout.

        Args:
            key: the key.
            delta: what is added.
            default: what a missing key counts as. None: KeyError.
            retry: wait for the lock as long as it takes.

        Raises:
            KeyError: the key is missing, and ``default`` is None.

        >>> cache = FanoutCache()
        >>> cache.incr("n"), cache.incr("n", 10)
        (1, 11)
        """
        try:
            return self._cache.incr(key, delta, default, retry)
        except Timeout:
            return None

    def decr(self, key: Any, delta: Any = 1, default: Any = 0, retry: bool = False) -> Any:
        """Subtract from a number in one step, as :meth:`incr`. It may become negative.

        >>> FanoutCache().decr("n")
        -1
        """
        try:
            return self._cache.decr(key, delta, default, retry)
        except Timeout:
            return None

    def get(
        self,
        key: Any,
        default: Any = None,
        read: bool = False,
        expire_time: bool = False,
        tag: bool = False,
        retry: bool = False,
    ) -> Any:
        """As :meth:`Cache.get`: the value, or a tuple of it, its time to expire and its tag, as asked for.

        After a timeout it is ``default`` alone. Only statistics and the policies of use make a get wait.

        >>> cache = FanoutCache()
        >>> cache.get("missing", 0), cache.get("missing", tag=True)
        (0, (None, None))
        """
        try:
            return self._cache.get(key, default, read, expire_time, tag, retry)
        except Timeout:
            return default

    def __getitem__(self, key: Any) -> Any:
        return self._cache[key]

    def read(self, key: Any) -> Any:
        """An open binary file with the value; the value itself if it is not stored in a file.

        Raises:
            KeyError: the key is missing.
        """
        handle = self.get(key, default=ENOVAL, read=True, retry=True)
        if handle is ENOVAL:
            raise KeyError(key)
        return handle

    def __contains__(self, key: Any) -> bool:
        return key in self._cache

    def pop(
        self, key: Any, default: Any = None, expire_time: bool = False, tag: bool = False, retry: bool = False
    ) -> Any:
        """Remove an entry, and return its value. If the key is missing, and after a timeout, it is ``default``.

        >>> FanoutCache().pop("missing", 0)
        0
        """
        try:
            return self._cache.pop(key, default, expire_time, tag, retry)
        except Timeout:
            return default

    def delete(self, key: Any, retry: bool = False) -> bool:
        """Remove an entry. False if the key is missing, or after a timeout.

        >>> FanoutCache().delete("missing")
        False
        """
        try:
            return self._cache.delete(key, retry)
        except Timeout:
            return False

    def __delitem__(self, key: Any) -> None:
        del self._cache[key]

    def memoize(
        self,
        name: str | None = None,
        typed: bool = False,
        expire: float | None = None,
        tag: Any = None,
        ignore: Container[int | str] = (),
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """As :meth:`Cache.memoize`: a decorator that keeps the results of a function in the cache.

        Raises:
            TypeError: it is used without being called.

        >>> cache = FanoutCache()
        >>> @cache.memoize(expire=60)
        ... def square(number):
        ...     return number**2
        >>> square(4), cache[square.__cache_key__(4)]
        (16, 16)
        """
        return self._cache.memoize(name, typed, expire, tag, ignore)

    def check(self, fix: bool = False, retry: bool = False) -> list[WarningMessage]:
        """As :meth:`Cache.check`: warnings about damage, which ``fix`` repairs.

        Raises:
            Timeout: another writer has the lock for longer than ``timeout``.
        """
        return self._cache.check(fix, retry)

    def expire(self, retry: bool = False) -> int:
        """Remove the entries that have expired, and return their number. It goes on after a timeout.

        >>> FanoutCache().expire()
        0
        """
        return _count_removed(lambda: self._cache.expire(retry=retry))

    def create_tag_index(self) -> None:
        """Index the tags, so that :meth:`evict` need not look at all entries."""
        self._cache.create_tag_index()

    def drop_tag_index(self) -> None:
        """Remove the index of tags."""
        self._cache.drop_tag_index()

    def evict(self, tag: Any, retry: bool = False) -> int:
        """Remove the entries with a tag, and return their number. It goes on after a timeout.

        >>> cache = FanoutCache()
        >>> _ = cache.set("a", 1, tag="odd"), cache.set("b", 2, tag="even")
        >>> cache.evict("odd"), list(cache)
        (1, ['b'])
        """
        return _count_removed(lambda: self._cache.evict(tag, retry=retry))

    def cull(self, retry: bool = False) -> int:
        """Remove entries until the cache is within its size limit, and return their number. It goes on after a timeout.

        >>> FanoutCache().cull()
        0
        """
        return _count_removed(lambda: self._cache.cull(retry=retry))

    def clear(self, retry: bool = False) -> int:
        """Remove all entries, and return their number. It goes on after a timeout.

        >>> FanoutCache().clear()
        0
        """
        return _count_removed(lambda: self._cache.clear(retry=retry))

    def stats(self, enable: bool = True, reset: bool = False) -> tuple[int, int]:
        """The numbers of hits and misses. It switches counting on or off, as :meth:`Cache.stats`.

        >>> FanoutCache().stats(enable=False)
        (0, 0)
        """
        return self._cache.stats(enable, reset)

    def volume(self) -> int:
        """The size of the cache in bytes."""
        return self._cache.volume()

    def close(self) -> None:
        """Close the cache, which the next call opens again. It forgets the objects for what lies below it."""
        self._cache.close()
        self._caches.clear()
        self._deques.clear()
        self._indexes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> tuple[str, int, float, type[Disk]]:
        return self.directory, self._count, self.timeout, type(self.disk)

    def __setstate__(self, state: tuple[str, int, float, type[Disk]]) -> None:
        directory, shards, timeout, disk = state
        FanoutCache.__init__(self, directory, shards, timeout, disk)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cache)

    def __reversed__(self) -> Iterator[Any]:
        return reversed(self._cache)

    def __len__(self) -> int:
        return len(self._cache)

    def reset(self, key: str, value: Any = ENOVAL) -> Any:
        """Read a setting anew, or change it for all who have the cache open. Returns the setting.

        ``size_limit`` is the share of one shard, as the attribute of this name. The limit of the whole cache, which the
        constructor takes, is as many times larger as there are shards.

        >>> cache = FanoutCache(shards=4, size_limit=2**30)
        >>> cache.size_limit == cache.reset("size_limit") == 2**28
        True
        """
        is_share = key == "size_limit"
        stored = value * self._count if is_share and value is not ENOVAL else value
        while True:
            try:
                result = self._cache.reset(key, stored)
            except Timeout:
                continue
            return self._share(result) if is_share else result

    def cache(self, name: str, timeout: float = 60, disk: type[Disk] | None = None, **settings: Any) -> Cache:
        """The cache in ``DIRECTORY/cache/NAME``, with the Disk of this cache or another. ``/`` parts a name.

        >>> FanoutCache().cache("pages/old").directory.endswith("cache/pages/old")
        True
        """
        found = self._caches.get(name)
        if found is None:
            made = Cache(self._below("cache", name), timeout=timeout, disk=disk or self._disk, **settings)
            found = self._caches.setdefault(name, made)
        return found

    def deque(self, name: str, maxlen: int | None = None) -> Deque:
        """The :class:`Deque` in ``DIRECTORY/deque/NAME``.

        >>> deque = FanoutCache().deque("jobs")
        >>> deque.extend("abc")
        >>> deque.popleft()
        'a'
        """
        found = self._deques.get(name)
        if found is None:
            cache = Cache(self._below("deque", name), disk=self._disk, eviction_policy="none")
            found = self._deques.setdefault(name, Deque.fromcache(cache, maxlen=maxlen))
        return found

    def index(self, name: str) -> Index:
        """The :class:`Index` in ``DIRECTORY/index/NAME``.

        >>> index = FanoutCache().index("users")
        >>> index["ann"] = 41
        >>> index.popitem()
        ('ann', 41)
        """
        found = self._indexes.get(name)
        if found is None:
            cache = Cache(self._below("index", name), disk=self._disk, eviction_policy="none")
            found = self._indexes.setdefault(name, Index.fromcache(cache))
        return found

    @property
    def _disk(self) -> type[Disk]:
        return type(self._cache.disk)

    def _below(self, kind: str, name: str) -> str:
        return os.path.join(self.directory, kind, *name.split("/"))


def _count_removed(remove: Callable[[], int]) -> int:
    """Remove until no timeout stops it. A Timeout tells how many were removed before it."""
    total = 0
    while True:
        try:
            return total + remove()
        except Timeout as timeout:
            total += sum(timeout.args)
