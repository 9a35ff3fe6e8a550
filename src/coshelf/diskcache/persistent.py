"""Deque and Index: a sequence and a dict in a directory. Instead of: from diskcache.persistent import Deque, Index."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from coshelf.diskcache.core import ENOVAL, Cache
from coshelf.dropin.diskcache.stored_mapping import StoredMapping
from coshelf.dropin.diskcache.stored_sequence import StoredSequence

__all__ = ["Deque", "Index"]

_UNLIMITED = float("inf")
_NOTHING = (None, ENOVAL)


class Deque(StoredSequence):
    """A sequence in a directory that all processes share, as :class:`collections.deque`. Each call is one step.

    Args:
        iterable: values that are appended, **each time** that the directory is opened so.
        directory: where the deque is. None makes a temporary directory, which is not removed.
        maxlen: the greatest length. To append to a full deque drops the value at its other end. None: no limit.

    >>> deque = Deque("abc", maxlen=4)
    >>> deque.appendleft("z")
    >>> deque.append("d")
    >>> list(deque)
    ['a', 'b', 'c', 'd']
    """

    def __init__(
        self,
        iterable: Iterable[Any] = (),
        directory: str | os.PathLike[str] | None = None,
        maxlen: float | None = None,
    ) -> None:
        self._begin(Cache(directory, eviction_policy="none"), iterable, maxlen)

    @classmethod
    def fromcache(cls, cache: Cache, iterable: Iterable[Any] = (), maxlen: float | None = None) -> Self:
        """A deque on a cache, with the Disk and the settings of that.

        >>> cache = Cache()
        >>> Deque.fromcache(cache, [5, 6]).cache is cache
        True
        """
        self = cls.__new__(cls)
        self._begin(cache, iterable, maxlen)
        return self

    def _begin(self, cache: Cache, iterable: Iterable[Any], maxlen: float | None) -> None:
        self._cache = cache
        self._maxlen = _UNLIMITED if maxlen is None else maxlen
        self._extend(iterable, "back")

    @property
    def cache(self) -> Cache:
        """The cache that holds the values."""
        return self._cache

    @property
    def directory(self) -> str:
        """The directory of the deque."""
        return self._cache.directory

    @property
    def maxlen(self) -> float:
        """The greatest length; infinity if there is no limit. To lower it drops values at the left.

        >>> deque = Deque("abcde")
        >>> deque.maxlen = 3
        >>> list(deque)
        ['c', 'd', 'e']
        """
        return self._maxlen

    @maxlen.setter
    def maxlen(self, value: float) -> None:
        with self.transact():
            while len(self._cache) > value:
                self._pull("front")
            self._maxlen = value

    def __repr__(self) -> str:
        return f"{type(self).__name__}(directory={self.directory!r})"

    def __getstate__(self) -> tuple[Cache, float]:
        return self._cache, self._maxlen

    def __setstate__(self, state: tuple[Cache, float]) -> None:
        self._cache, self._maxlen = state

    def append(self, value: Any) -> None:
        """Add a value at the right. If the deque is longer than ``maxlen`` then, its first value is dropped.

        >>> deque = Deque()
        >>> deque.append("a")
        >>> list(deque)
        ['a']
        """
        self._push(value, "back")

    def appendleft(self, value: Any) -> None:
        """Add a value at the left. If the deque is longer than ``maxlen`` then, its last value is dropped.

        >>> deque = Deque("a")
        >>> deque.appendleft("b")
        >>> list(deque)
        ['b', 'a']
        """
        self._push(value, "front")

    def _push(self, value: Any, side: str) -> None:
        if self._maxlen == _UNLIMITED:
            self._cache.push(value, side=side, retry=True)
        else:
            self._add((value,), to_back=side == "back")

    def extend(self, iterable: Iterable[Any]) -> None:
        """Append several values at the right.

        A collection is appended in one step. What has no length, such as a generator, is appended value by value, so
        that other processes need not wait for its end.

        >>> deque = Deque()
        >>> deque.extend("ab")
        >>> list(deque)
        ['a', 'b']
        """
        self._extend(iterable, "back")

    def extendleft(self, iterable: Iterable[Any]) -> None:
        """Append several values at the left, one after the other, as :meth:`extend`. So they end up in reverse order.

        >>> deque = Deque()
        >>> deque.extendleft("ab")
        >>> list(deque)
        ['b', 'a']
        """
        self._extend(iterable, "front")

    def __iadd__(self, iterable: Iterable[Any]) -> Self:
        self._extend(iterable, "back")
        return self

    def _extend(self, iterable: Iterable[Any], side: str) -> None:
        if not isinstance(iterable, Collection):
            for value in iterable:
                self._push(value, side)
        elif len(iterable):
            self._add(iterable, to_back=side == "back")

    def pop(self) -> Any:
        """Remove the last value, and return it. Of several processes, one gets it.

        Raises:
            IndexError: the deque is empty.

        >>> Deque("ab").pop()
        'b'
        """
        return self._pull("back")

    def popleft(self) -> Any:
        """Remove the first value, and return it. Of several processes, one gets it.

        Raises:
            IndexError: the deque is empty.

        >>> Deque("ab").popleft()
        'a'
        """
        return self._pull("front")

    def _pull(self, side: str) -> Any:
        _, value = self._cache.pull(default=_NOTHING, side=side, retry=True)
        if value is ENOVAL:
            raise IndexError("pop from an empty deque")
        return value

    def peek(self) -> Any:
        """The last value, which stays.

        Raises:
            IndexError: the deque is empty.

        >>> Deque("ab").peek()
        'b'
        """
        return self._peek("back")

    def peekleft(self) -> Any:
        """The first value, which stays.

        Raises:
            IndexError: the deque is empty.

        >>> Deque("ab").peekleft()
        'a'
        """
        return self._peek("front")

    def _peek(self, side: str) -> Any:
        is_there, value = self._seen(from_back=side == "back")
        if not is_there:  # an expired value may be before others
            _, value = self._cache.peek(default=_NOTHING, side=side, retry=True)
        if value is ENOVAL:
            raise IndexError("peek from an empty deque")
        return value

    def clear(self) -> None:
        """Remove all values.

        >>> deque = Deque("abc")
        >>> deque.clear()
        >>> len(deque)
        0
        """
        self._cache.clear(retry=True)

    def copy(self) -> Self:
        """Another deque **on the same directory**. Both show the same values.

        >>> deque = Deque("ab")
        >>> deque.copy().append("c")
        >>> list(deque)
        ['a', 'b', 'c']
        """
        return type(self).fromcache(copy.copy(self._cache), maxlen=self._maxlen)

    @contextmanager
    def transact(self) -> Iterator[None]:
        """Keep other writers out for the block, and write all of it or nothing. It nests within a thread.

        >>> deque = Deque("abc")
        >>> with deque.transact():
        ...     deque.append(deque.popleft())
        >>> list(deque)
        ['b', 'c', 'a']
        """
        with self._cache.transact(retry=True):
            yield


class Index(StoredMapping):
    """A dict in a directory that all processes share, in the order in which keys came. Each call is one step.

    Args:
        args: the first one is the directory if it is a str, bytes or None. None makes a temporary directory, which is
            not removed. What follows is as for :meth:`update`. A ``Path`` is taken for data, which it is not.
        kwargs: entries, as for :meth:`update`.

    >>> index = Index({"a": 1}, b=2)
    >>> index["c"] = 3
    >>> list(index.items())
    [('a', 1), ('b', 2), ('c', 3)]
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        directory = None
        if args and (args[0] is None or isinstance(args[0], str | bytes)):
            directory, *args = args  # type: ignore[assignment]
        self._begin(Cache(directory, eviction_policy="none"), *args, **kwargs)

    @classmethod
    def fromcache(cls, cache: Cache, *args: Any, **kwargs: Any) -> Self:
        """An index on a cache, with the Disk and the settings of that.

        >>> cache = Cache()
        >>> Index.fromcache(cache, {"a": 1}).cache is cache
        True
        """
        self = cls.__new__(cls)
        self._begin(cache, *args, **kwargs)
        return self

    def _begin(self, cache: Cache, *args: Any, **kwargs: Any) -> None:
        self._cache = cache
        Index.update(self, *args, **kwargs)

    @property
    def cache(self) -> Cache:
        """The cache that holds the entries."""
        return self._cache

    @property
    def directory(self) -> str:
        """The directory of the index."""
        return self._cache.directory

    def update(self, other: Any = (), /, **kwargs: Any) -> None:
        """Store several entries: of a mapping, of pairs, and of keyword arguments.

        Those of a collection are stored in one step. What has no length, such as a generator, is stored pair by pair,
        so that other processes need not wait for its end.

        >>> index = Index()
        >>> index.update([("a", 1)], b=2)
        >>> list(index.items())
        [('a', 1), ('b', 2)]
        """
        if not isinstance(other, Collection) and not hasattr(other, "keys"):
            super().update(other)
            other = ()
        if other or kwargs:
            with self.transact():
                super().update(other, **kwargs)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value of a key. If the key is missing, ``default`` is stored first; of several processes, one stores.

        >>> index = Index()
        >>> index.setdefault("a", 0), index.setdefault("a", 1)
        (0, 0)
        """
        while True:
            try:
                return self._cache[key]
            except KeyError:
                self._cache.add(key, default, retry=True)

    def peekitem(self, last: bool = True) -> tuple[Any, Any]:
        """The key that came last, or first, and its value.

        Raises:
            KeyError: the index is empty.

        >>> Index(a=1, b=2).peekitem(last=False)
        ('a', 1)
        """
        item: tuple[Any, Any] = self._cache.peekitem(last, retry=True)
        return item

    def pop(self, key: Any, default: Any = ENOVAL) -> Any:
        """Remove a key, and return its value; ``default`` if the key is missing.

        Raises:
            KeyError: the key is missing, and there is no default.

        >>> Index(a=1).pop("a"), Index().pop("a", 0)
        (1, 0)
        """
        value = self._cache.pop(key, default=default, retry=True)
        if value is ENOVAL:
            raise KeyError(key)
        return value

    def popitem(self, last: bool = True) -> tuple[Any, Any]:
        """Remove the key that came last, or first, and return it with its value. Of several processes, one gets it.

        Raises:
            KeyError: the index is empty.

        >>> Index(a=1, b=2).popitem()
        ('b', 2)
        """
        return self._popped(last)

    def push(self, value: Any, prefix: str | None = None, side: str = "back") -> Any:
        """Store a value under the next key of a queue, and return the key, as :meth:`Cache.push`.

        >>> Index().push("apples")
        500000000000000
        """
        return self._cache.push(value, prefix, side, retry=True)

    def pull(self, prefix: str | None = None, default: Any = (None, None), side: str = "front") -> Any:
        """Remove the first value of a queue, and return its key and it, as :meth:`Cache.pull`.

        >>> index = Index()
        >>> index.push("apples", prefix="fruit")
        'fruit-500000000000000'
        >>> index.pull("fruit"), index.pull("fruit")
        (('fruit-500000000000000', 'apples'), (None, None))
        """
        return self._cache.pull(prefix, default, side, retry=True)

    def clear(self) -> None:
        """Remove all entries.

        >>> index = Index(a=1)
        >>> index.clear()
        >>> len(index)
        0
        """
        self._cache.clear(retry=True)

    def __getstate__(self) -> tuple[Cache]:
        return (self._cache,)

    def __setstate__(self, state: tuple[Cache]) -> None:
        (self._cache,) = state

    def memoize(
        self, name: str | None = None, typed: bool = False, ignore: Container[int | str] = ()
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """As :meth:`Cache.memoize`: a decorator that keeps the results of a function in the index.

        Raises:
            TypeError: it is used without being called.

        >>> index = Index()
        >>> @index.memoize()
        ... def square(number):
        ...     return number**2
        >>> square(4), index[square.__cache_key__(4)]
        (16, 16)
        """
        return self._cache.memoize(name, typed, ignore=ignore)

    @contextmanager
    def transact(self) -> Iterator[None]:
        """Keep other writers out for the block, and write all of it or nothing. It nests within a thread.

        >>> index = Index(total=10)
        >>> with index.transact():
        ...     index["total"] += 5
        >>> index["total"]
        15
        """
        with self._cache.transact(retry=True):
            yield

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.directory!r})"
