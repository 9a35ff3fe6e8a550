"""The cache, as ``diskcache.core`` has it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager
from typing import Any

from coshelf.dropin.diskcache.disk import Disk, JSONDisk
from coshelf.dropin.diskcache.expiring import expired, expires_at, refuse_tag
from coshelf.dropin.diskcache.iterating import in_order_of_insertion, in_order_of_keys
from coshelf.dropin.diskcache.layout import EXPIRE_TIME, FILENAME, MODE, TAG, VALUE, Row
from coshelf.dropin.diskcache.memoizing import args_to_key, full_name, memoizing
from coshelf.dropin.diskcache.names import (
    DBNAME,
    DEFAULT_SETTINGS,
    ENOVAL,
    EVICTION_POLICY,
    METADATA,
    MODE_BINARY,
    MODE_NONE,
    MODE_PICKLE,
    MODE_RAW,
    MODE_TEXT,
    UNKNOWN,
    Constant,
    EmptyDirWarning,
    Timeout,
    UnknownFileWarning,
)
from coshelf.dropin.diskcache.queueing import Queueing, with_extras
from coshelf.dropin.diskcache.rows import Rows

__all__ = [
    "DBNAME",
    "DEFAULT_SETTINGS",
    "ENOVAL",
    "EVICTION_POLICY",
    "METADATA",
    "MODE_BINARY",
    "MODE_NONE",
    "MODE_PICKLE",
    "MODE_RAW",
    "MODE_TEXT",
    "UNKNOWN",
    "Cache",
    "Constant",
    "Disk",
    "EmptyDirWarning",
    "JSONDisk",
    "Timeout",
    "UnknownFileWarning",
    "args_to_key",
    "full_name",
]

_MOST, _LEAST = (1 << 63) - 1, -(1 << 63)
_NOTHING = object()


class Cache(Queueing):
    """A cache in a directory, which threads and processes share.

    Args:
        directory: its directory, which is made if it does not exist. None: a new temporary one.
        timeout: seconds that a call waits for other writers.
        disk: a subclass of :class:`Disk`, which stores keys and values.
        settings: settings by name, as in :data:`DEFAULT_SETTINGS`. They are stored with the cache.

    Raises:
        OSError: the directory cannot be made.
        ValueError: ``disk`` is not a subclass of Disk.
        KeyError: the ``eviction_policy`` does not exist.

    >>> import coshelf.diskcache
    >>> with coshelf.diskcache.Cache() as cache:
    ...     cache.set("key", [1, 2], expire=60)
    ...     cache["key"], "other" in cache, len(cache)
    True
    ([1, 2], False, 1)
    """

    def __init__(
        self,
        directory: str | bytes | os.PathLike[str] | None = None,
        timeout: float = 60,
        disk: type[Disk] = Disk,
        **settings: Any,
    ) -> None:
        super().__init__(directory, timeout, disk, **settings)

    def __repr__(self) -> str:
        return f"Cache(directory={self._directory!r})"

    # --- storing -----------------------------------------------------------------------------------------------------

    def set(
        self,
        key: Any,
        value: Any,
        expire: float | None = None,
        read: bool = False,
        tag: Any = None,
        retry: bool = False,
    ) -> bool:
        """Store a value, and return True. The time and the tag that the entry had are gone.

        Args:
            key: any object that can be pickled.
            value: the value.
            expire: seconds until it expires. None: it does not.
            read: whether the value is an object whose ``read`` gives bytes, which are stored in a file.
            tag: a str, int, float or bytes, for :meth:`evict`.
            retry: whether to wait on after the timeout.

        Raises:
            Timeout: another thread or process kept the lock for longer than the timeout.
        """
        now = time.time()
        stored_key, raw = self._disk.put(key)
        expire_time = expires_at(now, expire)
        if tag is not None:
            refuse_tag(tag)
        stored = self._disk.store(value, read, key=key)

        def step(rows: Rows) -> None:
            rows.store(stored_key, raw, now, expire_time, tag, stored)
            self._cull(rows, now)

        self._store.step(step, retry, stored[2])
        if stored[2] is not None:
            self._see_to_file(stored_key, raw, value, read, expire_time, tag, stored)
        return True

    def __setitem__(self, key: Any, value: Any) -> None:
        self.set(key, value, retry=True)

    def add(
        self,
        key: Any,
        value: Any,
        expire: float | None = None,
        read: bool = False,
        tag: Any = None,
        retry: bool = False,
    ) -> bool:
        """Store a value if the key does not exist or has expired. Return whether it was stored.

        Of several processes that add the same key, one succeeds. The arguments are those of :meth:`set`.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache.add("a", 1), cache.add("a", 2), cache["a"]
        (True, False, 1)
        """
        now = time.time()
        stored_key, raw = self._disk.put(key)
        expire_time = expires_at(now, expire)
        if tag is not None:
            refuse_tag(tag)
        stored = self._disk.store(value, read, key=key)

        def step(rows: Rows) -> bool:
            row = rows.find(stored_key, raw)
            if row is not None and not expired(row, now):
                return False
            rows.store(stored_key, raw, now, expire_time, tag, stored)
            self._cull(rows, now)
            return True

        is_stored = self._store.step(step, retry, stored[2])
        if stored[2] is not None:
            if is_stored:
                self._see_to_file(stored_key, raw, value, read, expire_time, tag, stored)
            else:
                self._store.drop_file(stored[2])
        return is_stored

    def touch(self, key: Any, expire: float | None = None, retry: bool = False) -> bool:
        """Give an entry a new time. Return whether it exists.

        Args:
            key: the key.
            expire: seconds until it expires. None: it does not expire any more.
            retry: whether to wait on after the timeout.

        Raises:
            Timeout: another thread or process kept the lock for longer than the timeout.
        """
        now = time.time()
        stored_key, raw = self._disk.put(key)
        expire_time = expires_at(now, expire)

        def step(rows: Rows) -> bool:
            row = rows.find(stored_key, raw)
            if row is None or expired(row, now):
                return False
            rows.change(stored_key, raw, row, (*row[:EXPIRE_TIME], expire_time, *row[TAG:]))
            return True

        return self._store.step(step, retry)

    def incr(self, key: Any, delta: Any = 1, default: Any = 0, retry: bool = False) -> Any:
        """Add to a number, and return the sum. Of several processes, each adds once.

        Args:
            key: the key.
            delta: what is added.
            default: to what it is added if the key does not exist. None: that is a KeyError.
            retry: whether to wait on after the timeout.

        Raises:
            KeyError: the key does not exist, and ``default`` is None.
            TypeError: the value is not a number that is stored as it is.
            OverflowError: the sum has more than 64 bits.
            Timeout: another thread or process kept the lock for longer than the timeout.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache.incr("hits"), cache.incr("hits", 10), cache.decr("hits")
        (1, 11, 10)
        """
        now = time.time()
        stored_key, raw = self._disk.put(key)

        def step(rows: Rows) -> Any:
            row = rows.find(stored_key, raw)
            if row is None or expired(row, now):
                if default is None:
                    raise KeyError(key)
                total = default + delta
                stored = self._disk.store(total, False, key=key)
                if stored[2] is not None:
                    rows.new_files.append(stored[2])
                rows.store(stored_key, raw, now, None, None, stored)
                self._cull(rows, now)
                return total
            total = row[VALUE] + delta
            if type(total) is int and not _LEAST <= total <= _MOST:
                raise OverflowError("the sum has more than 64 bits")
            rows.change(stored_key, raw, row, (row[0], now, *row[2:VALUE], total))
            return total

        return self._store.step(step, retry)

    def decr(self, key: Any, delta: Any = 1, default: Any = 0, retry: bool = False) -> Any:
        """Subtract from a number, and return the difference. The arguments are those of :meth:`incr`."""
        return self.incr(key, -delta, default, retry)

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(
        self,
        key: Any,
        default: Any = None,
        read: bool = False,
        expire_time: bool = False,
        tag: bool = False,
        retry: bool = False,
    ) -> Any:
        """Return the value of a key, or the default if the key does not exist or has expired.

        Args:
            key: the key.
            default: the result if there is no value.
            read: whether to return the open file of a value that is in a file.
            expire_time: whether to return when it expires, too, in seconds since 1970.
            tag: whether to return its tag, too.
            retry: whether to wait on after the timeout, if the read has to be noted.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache.set("a", 1, tag="numbers")
        True
        >>> cache.get("a"), cache.get("b", 0), cache.get("a", expire_time=True, tag=True)
        (1, 0, (1, None, 'numbers'))
        """
        stored_key, raw = self._disk.put(key)
        row = self._store.find(stored_key, raw)
        if row is not None:
            time_of_row = row[EXPIRE_TIME]
            if time_of_row is not None and time_of_row <= time.time():
                row = None
        value = default
        if row is not None:
            try:
                value = self._disk.fetch(row[MODE], row[FILENAME], row[VALUE], read)
            except OSError:
                row, value = self._fetched_again(stored_key, raw, row, default, read)
        if self._notes_reads:
            self._note_read(stored_key, raw, row, retry)
        if expire_time or tag:
            found_time, found_tag = (None, None) if row is None else (row[EXPIRE_TIME], row[TAG])
            return with_extras(value, found_time, found_tag, expire_time, tag)
        return value

    def _fetched_again(self, key: Any, raw: bool, last: Row, default: Any, read: bool) -> tuple[Row | None, Any]:
        """The row and value of an entry whose file was missing: it may have been replaced meanwhile."""
        while True:
            row = self._store.find(key, raw)
            if row is None or row == last or expired(row, time.time()):
                return None, default
            try:
                return row, self._disk.fetch(row[MODE], row[FILENAME], row[VALUE], read)
            except OSError:
                last = row

    def __getitem__(self, key: Any) -> Any:
        value = self.get(key, default=_NOTHING, retry=True)
        if value is _NOTHING:
            raise KeyError(key)
        return value

    def read(self, key: Any, retry: bool = False) -> Any:
        """Return the open file of a value that is in a file.

        Args:
            key: the key.
            retry: as for :meth:`get`.

        Raises:
            KeyError: the key does not exist or has expired.
        """
        value = self.get(key, default=_NOTHING, read=True, retry=retry)
        if value is _NOTHING:
            raise KeyError(key)
        return value

    def __contains__(self, key: Any) -> bool:
        row = self._store.find(*self._disk.put(key))
        return row is not None and not expired(row, time.time())

    # --- removing ----------------------------------------------------------------------------------------------------

    def pop(
        self, key: Any, default: Any = None, expire_time: bool = False, tag: bool = False, retry: bool = False
    ) -> Any:
        """Remove an entry and return its value, or the default if the key does not exist or has expired.

        The arguments are those of :meth:`get`.

        Raises:
            Timeout: another thread or process kept the lock for longer than the timeout.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache["a"] = 1
        >>> cache.pop("a"), cache.pop("a")
        (1, None)
        """
        stored_key, raw = self._disk.put(key)

        def step(rows: Rows) -> Row | None:
            row = rows.find(stored_key, raw)
            if row is None or expired(row, time.time()):
                return None
            rows.remove(stored_key, raw, row, keeps_file=True)
            return row

        row = self._store.step(step, retry)
        if row is None:
            return with_extras(default, None, None, expire_time, tag)
        try:
            value = self._disk.fetch(row[MODE], row[FILENAME], row[VALUE], False)
        except OSError:
            return with_extras(default, None, None, expire_time, tag)
        finally:
            if row[FILENAME] is not None:
                self._store.drop_file(row[FILENAME])
        return with_extras(value, row[EXPIRE_TIME], row[TAG], expire_time, tag)

    def __delitem__(self, key: Any) -> None:
        if not self.delete(key, retry=True):
            raise KeyError(key)

    def delete(self, key: Any, retry: bool = False) -> bool:
        """Remove an entry. Return whether it existed and had not expired.

        Args:
            key: the key.
            retry: whether to wait on after the timeout.

        Raises:
            Timeout: another thread or process kept the lock for longer than the timeout.
        """
        stored_key, raw = self._disk.put(key)

        def step(rows: Rows) -> bool:
            row = rows.find(stored_key, raw)
            if row is None or expired(row, time.time()):
                return False
            rows.remove(stored_key, raw, row)
            return True

        return self._store.step(step, retry)

    # --- several entries ---------------------------------------------------------------------------------------------

    def transact(self, retry: bool = False) -> AbstractContextManager[None]:
        """Commit all calls of a block together at its end, or none of them if it raises.

        Other writers wait meanwhile, readers see the state before. A block inside the block is part of it. The block
        belongs to its thread.

        Args:
            retry: whether to wait on after the timeout.

        Raises:
            Timeout: another thread or process kept the lock for longer than the timeout.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> with cache.transact():
        ...     _ = cache.incr("total", 10)
        ...     _ = cache.incr("count")
        >>> cache["total"] / cache["count"]
        10.0
        """
        return self._store.transact(retry)

    def __iter__(self) -> Iterator[Any]:
        return self._keys(reverse=False)

    def __reversed__(self) -> Iterator[Any]:
        return self._keys(reverse=True)

    def _keys(self, *, reverse: bool) -> Iterator[Any]:
        """The keys in the order of insertion, of the rows that exist when the iterator is made."""
        last = self._store.totals()[3]
        keys = in_order_of_insertion(self._reader, last, reverse=reverse)
        return itertools.starmap(self._disk.get, keys)

    def _reader(self) -> Rows:
        return self._store.reader()

    def iterkeys(self, reverse: bool = False) -> Iterator[Any]:
        """Iterate over the keys in order: numbers, then str, then bytes with the pickles of all other keys.

        Args:
            reverse: from the last one to the first.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> cache["b"], cache[1], cache["a"] = 0, 0, 0
        >>> list(cache.iterkeys())
        [1, 'a', 'b']
        """
        return itertools.starmap(self._disk.get, in_order_of_keys(self._reader, reverse=reverse))

    def __len__(self) -> int:
        return self._store.totals()[0]

    # --- functions ---------------------------------------------------------------------------------------------------

    def memoize(
        self,
        name: str | None = None,
        typed: bool = False,
        expire: float | None = None,
        tag: Any = None,
        ignore: Container[int | str] = (),
    ) -> Callable[[Callable[..., Any]], Any]:
        """A decorator that stores the results of a function.

        The decorated function has the function itself as ``__wrapped__``, and as ``__cache_key__`` a function that
        returns the key of a call. Of a coroutine function, what is awaited is stored.

        Args:
            name: what the keys begin with. None: the name of the function with its module.
            typed: whether arguments of different types are different, even if they are equal.
            expire: seconds until a result expires. 0: results are not stored.
            tag: the tag of the results.
            ignore: positions and names of arguments that do not matter.

        Raises:
            TypeError: the decorator was written without parentheses.

        >>> import coshelf.diskcache
        >>> cache = coshelf.diskcache.Cache()
        >>> @cache.memoize()
        ... def square(number):
        ...     print("computing")
        ...     return number * number
        >>> square(3), square(3)
        computing
        (9, 9)
        """
        if callable(name):
            raise TypeError("name cannot be callable")

        def store(key: Any, result: Any) -> None:
            self.set(key, result, expire, tag=tag, retry=True)

        return memoizing(
            lambda key: self.get(key, ENOVAL, retry=True),
            store if expire is None or expire > 0 else None,
            lambda function: (full_name(function) if name is None else name,),
            typed,
            ignore,
        )
