"""``AsyncShelf.memoize``: the results of a coroutine function are entries of the shelf."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import Context, copy_context
from datetime import timedelta
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

import anyio

from coshelf.aio.entries import AsyncReadable
from coshelf.aio.running import run, run_to_the_end, write
from coshelf.aio.threads import current_task, spawn
from coshelf.errors import ShelfClosed
from coshelf.mapping.handle import Handle
from coshelf.mapping.lapsing import MISSING, Expire
from coshelf.mapping.tagging import Tags
from coshelf.memo.calls import COMPUTE, Call
from coshelf.memo.claims import Claim
from coshelf.memo.memoized import CacheInfo, Memo
from coshelf.memo.waiting import Wait, holding, holding_as_in
from coshelf.system.threads.participants import TaskOwner, acting_as

__all__ = ["AsyncMemoized", "AsyncMemoizing"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
K = TypeVar("K")
V = TypeVar("V")


class AsyncMemoized(Protocol[P, R_co]):
    """A coroutine function whose results are kept in a shelf. As what :meth:`coshelf.Shelf.memoize` returns."""

    __name__: str

    @property
    def __wrapped__(self) -> Callable[P, Awaitable[R_co]]:
        """The function itself. Calling it reads and keeps nothing."""
        ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R_co]: ...

    def cache_key(self, *args: P.args, **kwargs: P.kwargs) -> tuple[Any, ...]:
        """The key of the shelf under which the result of such a call is kept."""
        ...

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[bool]:
        """Remove the result of such a call. Return whether it was kept."""
        ...

    def cache_info(self) -> Awaitable[CacheInfo]:
        """Hits and misses of this process, and the number of results that are kept."""
        ...

    def cache_clear(self) -> Awaitable[None]:
        """Remove all results of the function, those of other versions too, and count from 0 again."""
        ...


class _Memoizer(Protocol):
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> AsyncMemoized[P, R]: ...


class AsyncMemoizing(AsyncReadable[K, V], Generic[K, V]):
    """The method of an :class:`AsyncShelf` that keeps results of functions."""

    @overload
    def memoize(self, function: Callable[P, Awaitable[R]], /) -> AsyncMemoized[P, R]: ...
    @overload
    def memoize(
        self,
        function: None = None,
        /,
        *,
        expire: Expire = MISSING,
        refresh: float | timedelta | None = None,
        tags: Tags = (),
        key: Callable[..., Any] | None = None,
        ignore: Iterable[str | int] | str | int = (),
        typed: bool = False,
        version: Any = None,
        when: Callable[[Any], object] | None = None,
    ) -> _Memoizer: ...
    def memoize(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        expire: Expire = MISSING,
        refresh: float | timedelta | None = None,
        tags: Tags = (),
        key: Callable[..., Any] | None = None,
        ignore: Iterable[str | int] | str | int = (),
        typed: bool = False,
        version: Any = None,
        when: Callable[[Any], object] | None = None,
    ) -> Any:
        """A decorator: keep the results of a coroutine function, so that each is computed once, in whatever process.

        The arguments are those of :meth:`coshelf.Shelf.memoize`, which makes the same keys: each of the two finds the
        results of the other one. ``forget``, ``cache_info`` and ``cache_clear`` of the function are awaited.

        Raises TypeError for a function that is not a coroutine function: use ``memoize`` of a :class:`coshelf.Shelf`.

        >>> import asyncio, coshelf.aio
        >>> async def main():
        ...     async with coshelf.aio.open("memory:") as shelf:
        ...         @shelf.memoize
        ...         async def square(x):
        ...             print("computing")
        ...             return x * x
        ...         return await square(4), await square(x=4)
        >>> asyncio.run(main())
        computing
        (16, 16)
        """
        make = self._face._memos(
            expire=expire, refresh=refresh, tags=tags, key=key, ignore=ignore, typed=typed, version=version, when=when
        )

        def decorate(function: Callable[..., Any]) -> Any:
            if not inspect.iscoroutinefunction(function):
                raise TypeError(
                    f"memoize() of an AsyncShelf takes an async function, not {function!r}\n"
                    "  hint: open the shelf with coshelf.open for functions that are not async"
                )
            return _memoized(self, make(function))

        return decorate if function is None else decorate(function)


def _memoized(shelf: AsyncReadable[Any, Any], memo: Memo[..., Any]) -> Any:
    handle = shelf._handle
    begun: set[asyncio.Task[None]] = set()

    @functools.wraps(memo.function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = memo.call(args, kwargs)
        try:
            call.result = await shelf[call.key]
            call.was_kept = True
        except KeyError:
            await _computed(handle, call, functools.partial(memo.function, *args, **kwargs))
        memo.count(call)
        result = call.result
        if memo.refresh is not None and call.was_kept:
            claim = await run(handle, memo.refresh.claim, call, undo=_drop)
            if claim is not None:
                compute = functools.partial(memo.function, *args, **kwargs)
                spawn(functools.partial(_again, handle, call, claim, compute), begun)
        return result

    async def forget(*args: Any, **kwargs: Any) -> bool:
        return await write(handle, memo.forget, *args, **kwargs)

    async def cache_info() -> CacheInfo:
        return await run(handle, memo.cache_info)

    async def cache_clear() -> None:
        await write(handle, memo.cache_clear)

    made = cast("Any", wrapper)
    made.cache_key, made.forget, made.cache_info, made.cache_clear = memo.cache_key, forget, cache_info, cache_clear
    return made


async def _computed(handle: Handle, call: Call, compute: Callable[[], Awaitable[Any]]) -> None:
    """Take the steps of a call. They run in threads, in one context, which says of what computations they are part."""
    steps = call.steps()
    context = copy_context()
    try:
        while (step := await write(handle, _in_context, context, current_task(), next, steps, None)) is not None:
            if step is COMPUTE:
                with holding_as_in(context):
                    call.result = await compute()
            elif isinstance(step, Wait):
                await anyio.sleep(step.pause)
    finally:
        task = current_task()
        await run_to_the_end(handle, _in_context, TaskOwner(task), context, task, steps.close)


def _in_context(context: Context, task: object, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a context, as a call of a task."""

    def call() -> Any:
        with acting_as(TaskOwner(task)):
            return function(*args)

    return context.run(call)


def _drop(claim: Claim | None) -> None:
    """Drop a claim that a cancelled task does not get."""
    if claim is not None:
        claim.claims.drop(claim)


async def _again(handle: Handle, call: Call, claim: Claim, compute: Callable[[], Awaitable[Any]]) -> None:
    """Compute a result again. If the shelf is closed meanwhile, nobody needs the result."""
    with suppress(ShelfClosed):
        try:
            with holding(claim):
                result = await compute()
            await write(handle, call.finish, result)
        finally:
            await run_to_the_end(handle, claim.claims.drop, TaskOwner(current_task()), claim)
