"""Averages, locks and decorators over a cache. Instead of: from diskcache.recipes import Lock."""

from __future__ import annotations

import functools
import math
import os
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, ParamSpec, TypeVar

from coshelf.diskcache.core import ENOVAL, Cache, full_name
from coshelf.diskcache.fanout import FanoutCache
from coshelf.dropin.diskcache.guarding import Guarded
from coshelf.dropin.diskcache.holds import Note
from coshelf.dropin.diskcache.stampede import Stampede

__all__ = ["Averager", "BoundedSemaphore", "Lock", "RLock", "barrier", "memoize_stampede", "throttle"]

P = ParamSpec("P")
R = TypeVar("R")

AnyCache = Cache | FanoutCache


class Averager:
    """A running average, which all processes that share the cache add to.

    Args:
        cache: a Cache or FanoutCache.
        key: the key of the entry. It holds ``(total, count)``.
        expire: seconds after the last value until the average begins anew. None: never.
        tag: the tag of the entry.

    >>> from coshelf.diskcache import Cache
    >>> times = Averager(Cache(), "latency")
    >>> times.add(0.5)
    >>> times.add(1.0)
    >>> times.get(), times.pop(), times.get()
    (0.75, 0.75, None)
    """

    def __init__(self, cache: AnyCache, key: Any, expire: float | None = None, tag: Any = None) -> None:
        self._cache = cache
        self._key = key
        self._expire = expire
        self._tag = tag

    def add(self, value: float) -> None:
        """Add a value."""
        with self._cache.transact(retry=True):
            total, count = self._cache.get(self._key, default=(0.0, 0))
            self._cache.set(self._key, (total + value, count + 1), expire=self._expire, tag=self._tag)

    def get(self) -> float | None:
        """The average; None if there are no values."""
        return _mean(self._cache.get(self._key, default=(0.0, 0), retry=True))

    def pop(self) -> float | None:
        """The average, which begins anew; None if there are no values."""
        return _mean(self._cache.pop(self._key, default=(0.0, 0), retry=True))


def _mean(sums: tuple[float, int]) -> float | None:
    total, count = sums
    return total / count if count else None


class Lock(Guarded):
    """A lock between all threads and processes that share a cache.

    It is taken as long as the key is in the cache, and the process that took it lives. Any thread of any process may
    release it. A thread that ends leaves it to its process. A thread that has it and takes it again waits until another
    one releases it.

    Args:
        cache: a Cache or FanoutCache.
        key: the key of the entry. Its value is None.
        expire: seconds after which it is free, whoever has it. None: as long as its process lives.
        tag: the tag of the entry.

    >>> from coshelf.diskcache import Cache
    >>> cache = Cache()
    >>> lock = Lock(cache, "report")
    >>> with lock:
    ...     lock.locked(), "report" in cache
    (True, True)
    >>> lock.locked()
    False
    """

    def _admit(self, noted: list[Note], living: list[Note]) -> list[Note] | None:
        if noted and not living:
            self._cache.set(self._key, None, expire=self._expire, tag=self._tag, retry=True)
            return []
        is_added = self._cache.add(self._key, None, expire=self._expire, tag=self._tag, retry=True)
        return [] if is_added else None

    def release(self) -> None:
        """Release it, whoever has it. Harmless if it is free.

        A release after ``expire`` seconds does not release it for a later holder.
        """
        name, ground = self._name(), self._ground()
        with self._cache.transact(retry=True):
            noted = self._noted(name)
            if ground.is_late(name, noted):
                return
            self._cache.delete(self._key, retry=True)
            self._note(name, [])
        self._ended(ground, name, noted)

    def locked(self) -> bool:
        """Whether it is taken."""
        if self._key not in self._cache:
            return False
        name, ground = self._name(), self._ground()
        noted = self._noted(name)
        return not noted or any(ground.lives(name, note) for note in noted)


class RLock(Guarded):
    """A lock that the thread that has it can take again. It is free after as many releases.

    It ends with its thread, too.

    Args:
        cache: a Cache or FanoutCache.
        key: the key of the entry. Its value is ``("PID-THREAD", count)``, and stays with the count 0.
        expire: seconds after which it is free, whoever has it. None: as long as its thread lives.
        tag: the tag of the entry.

    >>> from coshelf.diskcache import Cache
    >>> lock = RLock(Cache(), "user-123")
    >>> with lock, lock:
    ...     pass
    >>> lock.release()
    Traceback (most recent call last):
        ...
    AssertionError: cannot release un-acquired lock
    """

    _is_of_thread = True

    def acquire(self) -> None:
        """Wait until it is free, and take it; or take it once more. As :meth:`Lock.acquire` else."""
        if not self._take_again():
            super().acquire()

    def _take_again(self) -> bool:
        name = self._name()
        mine = [hold for hold in self._ground().holds(name) if hold.thread == threading.get_ident()]
        if not mine:
            return False
        with self._cache.transact(retry=True):
            noted = self._noted(name)
            owner, count = self._cache.get(self._key, default=(None, 0))
            if owner != _this_thread() or count == 0 or not self._valid(mine, noted):
                return False
            self._cache.set(self._key, (owner, count + 1), expire=self._expire, tag=self._tag)
        return True

    def _admit(self, noted: list[Note], living: list[Note]) -> list[Note] | None:
        _, count = self._cache.get(self._key, default=(None, 0))
        if count and (living or not noted):
            return None
        self._cache.set(self._key, (_this_thread(), 1), expire=self._expire, tag=self._tag)
        return []

    def release(self) -> None:
        """Release it once.

        Raises:
            AssertionError: this thread does not have it.
        """
        name, ground = self._name(), self._ground()
        mine = [hold for hold in ground.holds(name) if hold.thread == threading.get_ident()]
        with self._cache.transact(retry=True):
            noted = self._noted(name)
            owner, count = self._cache.get(self._key, default=(None, 0))
            if owner != _this_thread() or count == 0 or (noted and not self._valid(mine, noted)):
                raise AssertionError("cannot release un-acquired lock")
            self._cache.set(self._key, (owner, count - 1), expire=self._expire, tag=self._tag)
            if count == 1:
                self._note(name, [])
        if count == 1:
            self._ended(ground, name, noted)


def _this_thread() -> str:
    return f"{os.getpid()}-{threading.get_ident()}"


class BoundedSemaphore(Guarded):
    """A semaphore between all threads and processes that share a cache: up to ``value`` have it at once.

    A permit is taken as long as the process that took it lives. Any thread may release one. It is one of its own, if
    it has one.

    Args:
        cache: a Cache or FanoutCache.
        key: the key of the entry. Its value is the number of permits that are left.
        value: the number of permits.
        expire: seconds after the last acquire or release until all permits are free. None: as long as processes live.
        tag: the tag of the entry.

    >>> from coshelf.diskcache import Cache
    >>> cache = Cache()
    >>> semaphore = BoundedSemaphore(cache, "connections", value=2)
    >>> with semaphore, semaphore:
    ...     cache["connections"]
    0
    >>> semaphore.release()
    Traceback (most recent call last):
        ...
    AssertionError: cannot release un-acquired semaphore
    """

    def __init__(self, cache: AnyCache, key: Any, value: int = 1, expire: float | None = None, tag: Any = None) -> None:
        super().__init__(cache, key, expire, tag)
        self._value = value

    def _admit(self, noted: list[Note], living: list[Note]) -> list[Note] | None:
        left = self._cache.get(self._key, default=ENOVAL)
        if left is ENOVAL:
            left, living = self._value, []
        elif len(living) < len(noted):
            left = min(left + len(noted) - len(living), max(left, self._value))
        if left <= 0:
            return None
        self._cache.set(self._key, left - 1, expire=self._expire, tag=self._tag)
        return living

    def release(self) -> None:
        """Give a permit back.

        Raises:
            AssertionError: no permit is taken.
        """
        name, ground = self._name(), self._ground()
        with self._cache.transact(retry=True):
            noted = self._noted(name)
            left = self._cache.get(self._key, default=self._value)
            if left >= self._value:
                raise AssertionError("cannot release un-acquired semaphore")
            self._cache.set(self._key, left + 1, expire=self._expire, tag=self._tag)
            mine = self._valid(ground.holds(name), noted)
            if mine:
                over = [mine[0].note]
            else:
                over = noted[:1] if len(noted) > self._value - left - 1 else []
            self._note(name, [note for note in noted if note not in over])
        self._ended(ground, name, over)


def throttle(
    cache: AnyCache,
    count: float,
    seconds: float,
    name: str | None = None,
    expire: float | None = None,
    tag: Any = None,
    time_func: Callable[[], float] = time.time,
    sleep_func: Callable[[float], object] = time.sleep,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function be called ``count`` times in ``seconds`` at most, by all processes together. Calls wait for that.

    Args:
        cache: a Cache or FanoutCache.
        count: the number of calls. So many may also come at once.
        seconds: for that number.
        name: the key of the entry. None: the name of the function with its module.
        expire: seconds after the last call until the counting begins anew. None: never.
        tag: the tag of the entry.
        time_func: the clock, which all processes share.
        sleep_func: waits for some seconds.

    >>> from coshelf.diskcache import Cache
    >>> @throttle(Cache(), 100, 1)
    ... def work(number):
    ...     return number + 1
    >>> work(1)
    2
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        rate = count / float(seconds)
        key = full_name(function) if name is None else name
        cache.add(key, (time_func(), count), expire=expire, tag=tag, retry=True)

        def wait_until() -> float:
            """Take one call, and return 0; or return the seconds after which to try again."""
            with cache.transact(retry=True):
                pair = cache.get(key)
                now = time_func()
                if pair is None:
                    pair = now, math.inf  # the entry was removed: all calls are left
                last, tally = pair
                tally = tally + max(now - last, 0) * rate
                if tally > count or tally >= 1:
                    cache.set(key, (now, min(tally, count) - 1), expire=expire, tag=tag)
                    return 0
                if now < last:  # the clock was set back, or began anew
                    cache.set(key, (now, tally), expire=expire, tag=tag)
                delay: float = (1 - tally) / rate
            return delay

        @functools.wraps(function)
        def throttled(*args: P.args, **kwargs: P.kwargs) -> R:
            while delay := wait_until():
                sleep_func(delay)
            return function(*args, **kwargs)

        return throttled

    return decorate


def barrier(
    cache: AnyCache,
    lock_factory: Callable[..., Any],
    name: str | None = None,
    expire: float | None = None,
    tag: Any = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Call a function under a lock, so that one call at a time runs, of all processes.

    Args:
        cache: a Cache or FanoutCache.
        lock_factory: Lock, RLock or BoundedSemaphore. It is called with the cache, the key, ``expire`` and ``tag``.
        name: the key of the lock. None: the name of the function with its module.
        expire: seconds after which the lock is free, though the call still runs. None: as long as the process lives.
        tag: the tag of the entry.

    >>> from coshelf.diskcache import Cache
    >>> cache = Cache()
    >>> @barrier(cache, Lock, name="work")
    ... def work():
    ...     return "work" in cache
    >>> work(), "work" in cache
    (True, False)
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        key = full_name(function) if name is None else name
        lock = lock_factory(cache, key, expire=expire, tag=tag)

        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            with lock:
                return function(*args, **kwargs)

        return guarded

    return decorate


def memoize_stampede(
    cache: AnyCache,
    expire: float | None,
    name: str | None = None,
    typed: bool = False,
    tag: Any = None,
    beta: float = 1,
    ignore: Collection[int | str] = (),
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep the results of a function for some time, and compute them anew before they expire.

    A call may find a result that expires soon. It returns that, and has a thread compute the next one. This becomes
    likelier towards the end, and earlier if computing takes long (Vattani, Chierichetti, Lowenstein, "Optimal
    Probabilistic Cache Stampede Prevention", 2015). If there is no result, one call computes it. The others, of all
    processes, wait for it, up to 10 seconds.

    The function has ``__wrapped__``, which computes, and ``__cache_key__``, which makes the key of a call. The entry of
    a call is ``(result, seconds that it took)``.

    Args:
        cache: a Cache or FanoutCache.
        expire: seconds until a result expires. None: never.
        name: the first part of the keys. None: the name of the function with its module.
        typed: keep results for 1 and 1.0 apart.
        tag: the tag of all results.
        beta: greater numbers compute earlier.
        ignore: arguments that are no part of the key, by position or name.

    >>> from coshelf.diskcache import Cache
    >>> cache = Cache()
    >>> @memoize_stampede(cache, expire=60)
    ... def square(number):
    ...     return number * number
    >>> square(4), cache[square.__cache_key__(4)][0]
    (16, 16)
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        base = (full_name(function),) if name is None else (name,)
        results = Stampede(cache, function, base, expire=expire, typed=typed, tag=tag, beta=beta, ignore=ignore)

        @functools.wraps(function)
        def memoized(*args: P.args, **kwargs: P.kwargs) -> R:
            result: R = results(args, kwargs)
            return result

        memoized.__cache_key__ = results.key  # type: ignore[attr-defined]
        return memoized

    return decorate
