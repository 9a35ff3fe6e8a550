"""DjangoCache: a cache backend for Django. In the settings instead of "diskcache.DjangoCache"."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from itertools import islice
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from coshelf.diskcache.core import ENOVAL, Cache, args_to_key, full_name
from coshelf.diskcache.fanout import FanoutCache
from coshelf.diskcache.persistent import Deque, Index

__all__ = ["DEFAULT_TIMEOUT", "DjangoCache"]

P = ParamSpec("P")
R = TypeVar("R")

_OF_DJANGO = ("MAX_ENTRIES", "CULL_FREQUENCY")  # options that are no settings of a FanoutCache


class DjangoCache(BaseCache):  # type: ignore[misc]  # Django has no types
    """A cache backend for Django over a :class:`FanoutCache`, for all processes of a site on one machine.

    Keys get the prefix and the version, as those of each backend of Django. Keys that are str are checked as there: one
    that memcached would refuse is a ``CacheKeyWarning``. Other keys, such as those of :meth:`memoize`, are not checked.

    Args:
        directory: the ``LOCATION`` of the settings.
        params: the other settings. Besides Django's own: SHARDS (8), DATABASE_TIMEOUT (0.010 seconds), and OPTIONS with
            the settings of a FanoutCache. MAX_ENTRIES and CULL_FREQUENCY are options as of Django's own backends, but
            without MAX_ENTRIES there is no limit.

    >>> import tempfile
    >>> cache = DjangoCache(tempfile.mkdtemp(), {"TIMEOUT": 60})
    >>> cache.set("a", 1, tag="odd")
    True
    >>> cache.get("a"), cache.get("a", version=2)
    (1, None)
    """

    def __init__(self, directory: str | os.PathLike[str], params: Mapping[str, Any]) -> None:
        super().__init__(params)
        options = dict(params.get("OPTIONS", {}))
        self._has_limit = "max_entries" in params or "MAX_ENTRIES" in options
        for name in _OF_DJANGO:
            options.pop(name, None)
        shards, seconds = params.get("SHARDS", 8), params.get("DATABASE_TIMEOUT", 0.010)
        self._cache = FanoutCache(directory, shards, seconds, **options)

    @property
    def directory(self) -> str:
        """The directory of the cache."""
        return self._cache.directory

    def cache(self, name: str) -> Cache:
        """The Cache of this name, in a directory below."""
        return self._cache.cache(name)

    def deque(self, name: str, maxlen: int | None = None) -> Deque:
        """The Deque of this name, in a directory below."""
        return self._cache.deque(name, maxlen=maxlen)

    def index(self, name: str) -> Index:
        """The Index of this name, in a directory below."""
        return self._cache.index(name)

    # --- entries -----------------------------------------------------------------------------------------------------

    def add(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        read: bool = False,
        tag: Any = None,
        retry: bool = True,
    ) -> bool:
        """Store a value if the key is missing or has expired. Return whether it was stored.

        Args:
            key: the key.
            value: the value.
            timeout: seconds until it expires. None: never. Not given: the timeout of the settings.
            version: the version of the key. None: that of the settings.
            read: the value is a binary file, whose content is stored.
            tag: a str, int, float or bytes by which :meth:`evict` finds it.
            retry: wait for the lock as long as it takes.
        """
        made = self._checked_key(key, version)
        self._make_room(made)
        return self._cache.add(made, value, self.get_backend_timeout(timeout), read, tag, retry)

    def get(
        self,
        key: Any,
        default: Any = None,
        version: int | None = None,
        read: bool = False,
        expire_time: bool = False,
        tag: bool = False,
        retry: bool = False,
    ) -> Any:
        """The value of a key, or the default.

        Args:
            key: the key.
            default: what is returned if the key is missing.
            version: the version of the key. None: that of the settings.
            read: return an open file if the value is in one.
            expire_time: return a tuple with the time to expire, in seconds since 1970 or None.
            tag: return a tuple with the tag.
            retry: wait for the lock as long as it takes. Only statistics and policies of use need it.
        """
        return self._cache.get(self._checked_key(key, version), default, read, expire_time, tag, retry)

    def read(self, key: Any, version: int | None = None) -> Any:
        """The value of a key as an open binary file. Raises KeyError if the key is missing."""
        return self._cache.read(self._checked_key(key, version))

    def set(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        read: bool = False,
        tag: Any = None,
        retry: bool = True,
    ) -> bool:
        """Store a value. Return whether it was stored. The arguments are those of :meth:`add`."""
        made = self._checked_key(key, version)
        self._make_room(made)
        return self._cache.set(made, value, self.get_backend_timeout(timeout), read, tag, retry)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, retry: bool = True) -> bool:
        """Give an entry a new time to expire. Return whether the key exists."""
        return self._cache.touch(self._checked_key(key, version), self.get_backend_timeout(timeout), retry)

    def pop(
        self,
        key: Any,
        default: Any = None,
        version: int | None = None,
        expire_time: bool = False,
        tag: bool = False,
        retry: bool = True,
    ) -> Any:
        """Remove an entry and return its value, or the default. The arguments are those of :meth:`get`."""
        return self._cache.pop(self._checked_key(key, version), default, expire_time, tag, retry)

    def delete(self, key: Any, version: int | None = None, retry: bool = True) -> bool:
        """Delete an entry. Return whether it existed."""
        return self._cache.delete(self._checked_key(key, version), retry)

    def incr(
        self, key: Any, delta: int = 1, version: int | None = None, default: int | None = None, retry: bool = True
    ) -> Any:
        """Add to a number in one step, and return the sum.

        Args:
            key: the key.
            delta: what is added.
            version: the version of the key. None: that of the settings.
            default: what a missing key counts as. None: that is a ValueError.
            retry: wait for the lock as long as it takes.

        Raises:
            ValueError: the key is missing, and there is no default.
        """
        made = self._checked_key(key, version)
        try:
            return self._cache.incr(made, delta, default, retry)
        except KeyError:
            raise ValueError(f"Key '{made}' not found") from None

    def decr(
        self, key: Any, delta: int = 1, version: int | None = None, default: int | None = None, retry: bool = True
    ) -> Any:
        """Subtract from a number in one step, as :meth:`incr`. The number may become negative."""
        return self.incr(key, -delta, version, default, retry)

    async def aincr(
        self, key: Any, delta: int = 1, version: int | None = None, default: int | None = None, retry: bool = True
    ) -> Any:
        """As :meth:`incr`. Without it, Django would get and set, and count less than there was."""
        return await sync_to_async(self.incr)(key, delta, version, default, retry)

    async def adecr(
        self, key: Any, delta: int = 1, version: int | None = None, default: int | None = None, retry: bool = True
    ) -> Any:
        """As :meth:`decr`."""
        return await self.aincr(key, -delta, version, default, retry)

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Whether the key exists and has not expired."""
        return self._checked_key(key, version) in self._cache

    # --- upkeep ------------------------------------------------------------------------------------------------------

    def expire(self) -> int:
        """Remove what has expired. Return the number of entries that were removed."""
        return self._cache.expire()

    def stats(self, enable: bool = True, reset: bool = False) -> tuple[int, int]:
        """The number of hits and misses. It turns counting on or off, and can begin anew."""
        return self._cache.stats(enable=enable, reset=reset)

    def create_tag_index(self) -> None:
        """Make the index of tags, so that :meth:`evict` is quick. Better: ``tag_index=True`` in OPTIONS."""
        self._cache.create_tag_index()

    def drop_tag_index(self) -> None:
        """Remove the index of tags."""
        self._cache.drop_tag_index()

    def evict(self, tag: Any) -> int:
        """Remove all entries with a tag. Return how many."""
        return self._cache.evict(tag)

    def cull(self) -> int:
        """Remove entries until the cache is smaller than its size limit. Return how many."""
        return self._cache.cull()

    def clear(self) -> int:
        """Remove all entries, of all prefixes and versions. Return how many."""
        return self._cache.clear()

    def close(self, **kwargs: Any) -> None:
        """Close the cache. The next call opens it again. Django calls this at the end of each request."""
        self._cache.close()

    # --- functions ---------------------------------------------------------------------------------------------------

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> float | None:
        """Seconds until an entry expires: that of the settings by default; 0 has expired already; None is never."""
        if timeout == DEFAULT_TIMEOUT:
            seconds: float | None = self.default_timeout
            return seconds
        return -1 if timeout == 0 else timeout

    def memoize(
        self,
        name: str | None = None,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        typed: bool = False,
        tag: Any = None,
        ignore: Collection[int | str] = (),
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Keep the results of a function, by its arguments.

        The function has ``__wrapped__``, which computes, and ``__cache_key__``, which makes the key of a call.

        Args:
            name: the first part of the keys. None: the name of the function with its module.
            timeout: seconds until a result expires. 0: results are looked for, but not stored.
            version: the version of the keys. None: that of the settings.
            typed: keep results for 1 and 1.0 apart.
            tag: a tag for all results.
            ignore: arguments that are no part of the key, by position or name.

        Raises:
            TypeError: the parentheses after ``memoize`` are missing.

        >>> import tempfile
        >>> cache = DjangoCache(tempfile.mkdtemp(), {})
        >>> @cache.memoize(timeout=60, tag="squares")
        ... def square(number):
        ...     return number * number
        >>> square(4), cache.get(square.__cache_key__(4))
        (16, 16)
        """
        if callable(name):
            raise TypeError("name cannot be callable")

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            base = (full_name(function),) if name is None else (name,)

            def cache_key(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
                return args_to_key(base, args, kwargs, typed, ignore)

            @wraps(function)
            def memoized(*args: P.args, **kwargs: P.kwargs) -> R:
                key = cache_key(*args, **kwargs)
                result: Any = self.get(key, ENOVAL, version, retry=True)
                if result is ENOVAL:
                    result = function(*args, **kwargs)
                    if timeout is None or timeout == DEFAULT_TIMEOUT or timeout > 0:
                        self.set(key, result, timeout, version, tag=tag, retry=True)
                return result  # type: ignore[no-any-return]

            memoized.__cache_key__ = cache_key  # type: ignore[attr-defined]
            return memoized

        return decorate

    # --- keys, and the limit -----------------------------------------------------------------------------------------

    def _checked_key(self, key: Any, version: int | None) -> Any:
        """The key with prefix and version."""
        if isinstance(key, str):
            return self.make_and_validate_key(key, version=version)
        return self.make_key(key, version=version)

    def _make_room(self, made: Any) -> None:
        """Before a new key: remove the oldest entries if there are MAX_ENTRIES."""
        cache = self._cache
        if not self._has_limit or len(cache) < self._max_entries or made in cache:
            return
        with cache.transact():
            cache.expire(retry=True)
            count = len(cache)
            if count < self._max_entries:
                return
            if self._cull_frequency == 0:
                cache.clear(retry=True)
                return
            for key in list(islice(cache, count // self._cull_frequency)):
                cache.delete(key, retry=True)
