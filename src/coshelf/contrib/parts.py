"""Where an adapter keeps its entries: a part of a shelf, which is opened when it is first used."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from coshelf.engines.urls import without_secrets
from coshelf.errors import ShelfClosed
from coshelf.mapping.shelf import Shelf
from coshelf.opening import open as open_shelf
from coshelf.opening import require_capabilities
from coshelf.system import extras

if TYPE_CHECKING:
    from coshelf.aio import AsyncShelf

__all__ = ["AsyncPart", "Part", "Target", "in_thread"]

T = TypeVar("T")
Target = str | bytes | os.PathLike[str] | Shelf[Any, Any]
"""What an adapter takes: a path or URL, or a shelf that the program has opened."""


class Part:
    """A part of a shelf, by the shelf's path or URL, or by the shelf itself.

    A path or URL is opened at the first use, and closed by :meth:`close`. A shelf that the program opened stays open.
    Threads may share a part. It survives a fork, and can be pickled: the copy opens the same shelf.

    Args:
        target: a path, a URL, or an open shelf.
        name: the part: its entries are those of ``shelf.sub(name)``. Empty: all entries of the shelf.
        needs: the capabilities that the adapter cannot do without, as ``require=`` of :func:`coshelf.open` has them.
        options: further arguments of :func:`coshelf.open`, for a path or URL.

    Raises:
        TypeError: options beside an open shelf, which they cannot change.
        Unsupported: an open shelf lacks a capability. For a path or URL, the first use raises it.

    >>> part = Part("memory:", "sessions", expire=60)
    >>> part.shelf["ann"] = {"cart": []}
    >>> dict(part.whole)
    {'sessions/ann': {'cart': []}}
    >>> part.close()
    """

    def __init__(self, target: Target, name: str = "", *, needs: Iterable[str] = (), **options: Any) -> None:
        if isinstance(target, Shelf):
            if options:
                raise TypeError(f"an open shelf takes no options, but {', '.join(sorted(options))} were given")
            require_capabilities(target._handle.engine, needs)  # noqa: SLF001 (a part has no engine_for)
        self.target: Final = target
        self.name: Final = name
        self.needs: Final = tuple(needs)
        self.options: Final = options
        self._openings: Final[dict[int, threading.Lock]] = {}
        self._whole: Shelf[Any, Any] | None = target if isinstance(target, Shelf) else None
        self._shelf: Shelf[Any, Any] | None = None
        self._is_closed = False

    @property
    def shelf(self) -> Shelf[Any, Any]:
        """The part, as a shelf.

        Raises:
            ShelfClosed: the part has been closed.
            CoshelfError: what :func:`coshelf.open` raises.
        """
        shelf = self._shelf
        if shelf is None or shelf.closed:
            whole = self.whole
            self._shelf = shelf = whole.sub(self.name) if self.name else whole
        return shelf

    @property
    def whole(self) -> Shelf[Any, Any]:
        """The shelf that this is a part of."""
        whole = self._whole
        if whole is None:
            with self._opening():
                if self._is_closed:
                    raise ShelfClosed(f"the part {self.name!r} of {self.where!r} is closed")
                if self._whole is None:
                    assert not isinstance(self.target, Shelf)
                    self._whole = open_shelf(self.target, **self.options | {"require": self._required()})
                whole = self._whole
        return whole

    @property
    def where(self) -> str:
        """The path or URL of the shelf, without secrets, for messages."""
        if isinstance(self.target, Shelf):
            return self.target.name
        return without_secrets(os.fsdecode(self.target))

    @property
    def is_private(self) -> bool:
        """Whether each opening gives a shelf of its own, in the memory of this process."""
        return not isinstance(self.target, Shelf) and os.fsdecode(self.target).startswith("memory:")

    def refuse_private(self) -> None:
        """Raise TypeError if the part :attr:`is_private`: another process could not see it."""
        if self.is_private:
            raise TypeError(f"the part {self.name!r} of {self.where!r} cannot be pickled: it lives in this process")

    def __eq__(self, other: object) -> bool:
        """Whether both have the same entries, as far as their targets tell."""
        if not isinstance(other, Part):
            return NotImplemented
        if self is other:
            return True
        mine, theirs = self.target, other.target
        if isinstance(mine, Shelf) and isinstance(theirs, Shelf):
            same = mine is theirs or (mine.capabilities.shared == "processes" and repr(mine) == repr(theirs))
        elif isinstance(mine, Shelf) or isinstance(theirs, Shelf) or self.is_private:
            same = False
        else:
            same = os.fsdecode(mine) == os.fsdecode(theirs)
        return same and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def again(self) -> Part:
        """The same part, not opened yet. Opening it does not empty the shelf, whatever the flag was."""
        return Part(self.target, self.name, needs=self.needs, **self._options_again())

    def _required(self) -> tuple[str, ...]:
        asked = self.options.get("require", ())
        return (*self.needs, *((asked,) if isinstance(asked, str) else asked))

    def _options_again(self) -> dict[str, Any]:
        return self.options | ({"flag": "c"} if self.options.get("flag") == "n" else {})

    def _opening(self) -> threading.Lock:
        """The lock for opening and closing. Each process has its own: a thread may hold the parent's at a fork."""
        return self._openings.setdefault(os.getpid(), threading.Lock())

    def expire(self) -> int:
        """Remove the entries of the whole shelf that have expired by now, and return how many these were."""
        return Shelf(self.whole._handle).expire()  # noqa: SLF001 (the target may be a part, which has no expire)

    def close(self) -> None:
        """Close the shelf, if this opened it. Closing twice is fine."""
        with self._opening():
            whole, self._is_closed = self._whole, True
            if whole is not None and not isinstance(self.target, Shelf):
                self._shelf = self._whole = None
                whole.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        self.refuse_private()
        return _again, (type(self), self.target, self.name, {"needs": self.needs, **self._options_again()})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {self.where!r}>"


class AsyncPart:
    """A :class:`Part` for tasks of an event loop. Several loops may share it. It needs ``coshelf[aio]``.

    >>> import asyncio
    >>> async def main():
    ...     part = AsyncPart(Part("memory:", "sessions"))
    ...     shelf = await part.shelf()
    ...     await shelf.set("ann", 1)
    ...     return part.part.whole["sessions/ann"]
    >>> asyncio.run(main())
    1
    """

    def __init__(self, part: Part) -> None:
        self.part: Final = part
        self._shelf: AsyncShelf[Any, Any] | None = None

    async def shelf(self) -> AsyncShelf[Any, Any]:
        """The part, as a shelf for tasks. It is opened in a worker thread at the first call."""
        shelf = self._shelf
        if shelf is None or shelf.closed:
            from coshelf.aio import AsyncShelf

            self._shelf = shelf = AsyncShelf(await in_thread(lambda: self.part.shelf))
        return shelf

    async def read(self, function: Callable[..., T], /, *args: Any) -> T:
        """What ``function(shelf, *args)`` returns. It gets the part as a plain shelf, and only reads.

        It runs as the calls of a :class:`coshelf.aio.AsyncShelf` do: in a worker thread, or for a shelf on a server in
        the thread of the loop, where its requests are awaited.
        """
        from coshelf.aio.running import run

        shelf = (await self.shelf())._face  # noqa: SLF001 (the part itself, for functions that are written once)
        return await run(shelf._handle, function, shelf, *args)  # noqa: SLF001

    async def write(self, function: Callable[..., T], /, *args: Any) -> T:
        """As :meth:`read`, for a function that writes. It waits for transactions of other tasks."""
        from coshelf.aio.running import write

        shelf = (await self.shelf())._face  # noqa: SLF001
        return await write(shelf._handle, function, shelf, *args)  # noqa: SLF001

    async def expire(self) -> int:
        """As :meth:`Part.expire`."""
        return await self.write(lambda _: self.part.expire())

    async def close(self) -> None:
        """Close the shelf, if the part opened it."""
        shelf, self._shelf = self._shelf, None
        if shelf is not None and not shelf.closed and not isinstance(self.part.target, Shelf):
            from coshelf.aio import AsyncShelf

            await AsyncShelf(self.part.whole).close()  # on a server, the connections of this loop, too
        await in_thread(self.part.close)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.part,)


async def in_thread(function: Callable[[], T]) -> T:
    """What a function returns that runs in a worker thread.

    Raises:
        MissingExtra: anyio is missing.
    """
    extras.imported("anyio", "aio", "an adapter's asynchronous methods")
    import anyio.to_thread

    return await anyio.to_thread.run_sync(function)


def _again(kind: type[Part], target: Target, name: str, options: dict[str, Any]) -> Part:
    return kind(target, name, **options)
