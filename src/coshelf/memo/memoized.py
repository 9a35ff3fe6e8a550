"""The functions that ``Shelf.memoize`` makes."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any, Generic, NamedTuple, ParamSpec, Protocol, Self, TypeVar, cast, overload

from coshelf.memo.arguments import Arguments
from coshelf.memo.calls import COMPUTE, Call
from coshelf.memo.refreshing import Refresh
from coshelf.memo.results import Results
from coshelf.memo.waiting import Wait

__all__ = ["CacheInfo", "Memo", "Memoized", "memoized"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")


class CacheInfo(NamedTuple):
    """What :func:`functools.lru_cache` tells of a cache.

    Attributes:
        hits: calls of this process that returned a kept result.
        misses: calls of this process that computed.
        maxsize: None, because nothing is removed to make space.
        currsize: the number of results that are kept now, of all processes.
    """

    hits: int
    misses: int
    maxsize: None
    currsize: int


class Memoized(Protocol[P, R_co]):
    """A function whose results are kept in a shelf. Made by :meth:`coshelf.Shelf.memoize`.

    ``__wrapped__`` is the function itself, which reads and keeps nothing.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:")
    >>> @shelf.memoize
    ... def square(x):
    ...     return x * x
    >>> square(4), shelf[square.cache_key(4)] == 16, square.forget(4), square.forget(4)
    (16, True, True, False)
    >>> square(4), square.cache_info().misses, square.__wrapped__(5)
    (16, 2, 25)
    >>> square.cache_clear()
    >>> square.cache_info()
    CacheInfo(hits=0, misses=0, maxsize=None, currsize=0)
    """

    __name__: str
    __qualname__: str

    @property
    def __wrapped__(self) -> Callable[P, R_co]:
        """The function itself. Calling it reads and keeps nothing."""
        ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> Callable[..., R_co]: ...

    def cache_key(self, *args: P.args, **kwargs: P.kwargs) -> tuple[Any, ...]:
        """The key of the shelf under which the result of such a call is kept."""
        ...

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Remove the result of such a call. Return whether it was kept."""
        ...

    def cache_info(self) -> CacheInfo:
        """Hits and misses of this process, and the number of results that are kept."""
        ...

    def cache_clear(self) -> None:
        """Remove all results of the function, those of other versions too, and count from 0 again."""
        ...


class _Counts:
    """Hits and misses. Each thread counts its own, so none is lost without a lock."""

    def __init__(self) -> None:
        self._by_thread: dict[int, list[int]] = {}

    def add(self, *, hit: bool) -> None:
        counts = self._by_thread.setdefault(threading.get_ident(), [0, 0])
        counts[not hit] += 1

    def sums(self) -> tuple[int, int]:
        hits, misses = zip((0, 0), *self._by_thread.copy().values(), strict=True)
        return sum(hits), sum(misses)


class Memo(Generic[P, R]):
    """What the functions of a memoized function share.

    Args:
        function: computes the results.
        results: where they are kept.
        arguments: makes the keys.
        when: says whether to keep a result.
        refresh: has results computed again in the last part of their life; None: it does not.
    """

    def __init__(
        self,
        function: Callable[P, R],
        results: Results,
        arguments: Arguments,
        when: Callable[[Any], object] | None,
        refresh: Refresh | None,
    ) -> None:
        self.function = function
        self.refresh = refresh
        self._results = results
        self._arguments = arguments
        self._when = when
        self._counts = _Counts()

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        return Call(self._results, self._arguments.key(args, kwargs), self._when)

    def count(self, call: Call) -> None:
        self._counts.add(hit=call.was_kept)

    def cache_key(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        return self._arguments.key(args, kwargs)

    def forget(self, *args: Any, **kwargs: Any) -> bool:
        return self._results.forget(self._arguments.key(args, kwargs))

    def cache_info(self) -> CacheInfo:
        hits, misses = self._counts.sums()
        return CacheInfo(hits, misses, None, self._results.count(self._arguments.beginning))

    def cache_clear(self) -> None:
        self._results.clear(self._arguments.beginning[:1])
        self._counts = _Counts()


def memoized(memo: Memo[P, R]) -> Memoized[P, R]:
    """The function that reads results, and computes and keeps those that are missing."""
    function = memo.function
    wrapper: Any = _coroutine(memo) if inspect.iscoroutinefunction(function) else _plain(memo)
    for part in (memo.cache_key, memo.forget, memo.cache_info, memo.cache_clear):
        setattr(wrapper, part.__name__, part)
    return cast("Memoized[P, R]", wrapper)


def _plain(memo: Memo[P, R]) -> Callable[P, R]:
    function = memo.function

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        call = memo.call(args, kwargs)
        with closing(call.steps()) as steps:
            for step in steps:
                if step is COMPUTE:
                    call.result = function(*args, **kwargs)
                elif isinstance(step, Wait):
                    step.sleep()
        memo.count(call)
        result = call.result
        if memo.refresh is not None and call.was_kept:
            memo.refresh.in_thread(call, functools.partial(function, *args, **kwargs))
        return cast("R", result)

    return wrapper


def _coroutine(memo: Memo[P, Any]) -> Callable[P, Any]:
    function = memo.function

    @functools.wraps(function)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
        call = memo.call(args, kwargs)
        with closing(call.steps()) as steps:
            for step in steps:
                if step is COMPUTE:
                    call.result = await function(*args, **kwargs)
                elif isinstance(step, Wait):
                    await asyncio.sleep(step.pause)
        memo.count(call)
        result = call.result
        if memo.refresh is not None and call.was_kept:
            memo.refresh.in_task(call, functools.partial(function, *args, **kwargs))
        return result

    return wrapper
