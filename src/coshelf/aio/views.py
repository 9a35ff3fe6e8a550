"""Lazy views of entries for ``async for``. Their entries are read by worker threads, some at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Reversible
from typing import Any, Final, Generic, TypeVar, cast

from coshelf.aio.misuse import NoView
from coshelf.aio.running import run
from coshelf.aio.showing import async_html, async_repr
from coshelf.errors import SnapshotLost
from coshelf.mapping.handle import Handle

__all__ = ["AsyncView", "Stream"]

T = TypeVar("T")

_FIRST: Final = 16  # entries of the first call: many loops end early
_MOST: Final = 1_024
_LONGEST: Final = 0.005  # seconds after which a call returns what it has, so that large values do not gather


class Stream(AsyncIterator[T], Generic[T]):
    """Iterates over what an iterator gives, in worker threads.

    Args:
        handle: the handle of the shelf.
        begin: makes the iterator, in a thread.
    """

    def __init__(self, handle: Handle, begin: Callable[[], Iterator[T]]) -> None:
        self._handle = handle
        self._begin = begin
        self._iterator: Iterator[T] | None = None
        self._read: deque[T] = deque()
        self._error: Exception | None = None
        self._size = _FIRST
        self._is_over = False

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        if not self._read and not self._is_over and self._error is None:
            await run(self._handle, self._read_on)
        if self._read:
            return self._read.popleft()
        error, self._error, self._is_over = self._error, None, True
        if error is not None:
            raise error
        raise StopAsyncIteration

    def _read_on(self) -> None:
        """Read some more. If the task is cancelled meanwhile, it finds them at the next call."""
        end = time.monotonic() + _LONGEST
        try:
            if self._iterator is None:
                self._iterator = self._begin()
            for member in self._iterator:
                self._read.append(member)
                if len(self._read) >= self._size or time.monotonic() > end:
                    break
            else:
                self._is_over = True
        except Exception as error:
            self._error = error
        except BaseException:  # the task was cancelled while the call waited in a bridge
            self._iterator = None
            self._error = SnapshotLost(
                "the iteration was cancelled while it waited for its next entries\n  hint: begin again"
            )
            raise
        self._size = min(2 * self._size, _MOST)

    async def aclose(self) -> None:
        """Release what the iteration holds. Otherwise that happens when this is collected."""
        self._is_over = True
        self._read.clear()
        iterator, self._iterator = self._iterator, None
        close = getattr(iterator, "close", None)
        if close is not None:
            await run(self._handle, close)


class AsyncView(NoView, Generic[T]):
    """A lazy, ordered view for ``async for``. Each iteration shows one instant, as that of the view of a shelf does.

    Args:
        handle: the handle of the shelf.
        view: the view of the synchronous face.
    """

    def __init__(self, handle: Handle, view: Collection[T]) -> None:
        self._handle = handle
        self._view = view

    def __aiter__(self) -> Stream[T]:
        return Stream(self._handle, lambda: iter(self._view))

    def reversed(self) -> Stream[T]:
        """The same from the end. As ``reversed(view)``."""
        return Stream(self._handle, lambda: reversed(cast("Reversible[T]", self._view)))

    async def len(self) -> int:
        """How many members it has. As ``len(view)``."""
        return await run(self._handle, self._view.__len__)

    async def contains(self, member: Any) -> bool:
        """Whether it has a member. As ``member in view``."""
        return await run(self._handle, self._view.__contains__, member)

    async def list(self) -> list[T]:
        """All members in order."""
        return await run(self._handle, lambda: [*iter(self._view)])

    def __repr__(self) -> str:
        return async_repr(self._view)

    def _repr_html_(self) -> str:
        return async_html(self._view, at_once=self._handle.engine.reads_at_once)
