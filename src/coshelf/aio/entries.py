"""The methods of a shelf, a transaction or a snapshot that read, for ``await`` and ``async for``.

Each method makes the call of the same name on the synchronous face. That face says what the call means.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

from anyio.lowlevel import checkpoint

from coshelf.aio.misuse import NoDict, Unawaited
from coshelf.aio.running import acting_here, run
from coshelf.aio.showing import async_glance
from coshelf.aio.views import AsyncView, Stream
from coshelf.mapping.glance import Glance
from coshelf.mapping.handle import Handle
from coshelf.mapping.record import Record
from coshelf.mapping.showing import Shown, ShownCursor
from coshelf.system.threads.participants import WouldWait

if TYPE_CHECKING:
    from coshelf.inspection.preview import Preview

__all__ = ["AsyncCursor", "AsyncReadable", "Pending"]

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_IN_A_ROW: Final = 32  # calls in the thread of the loop, after which other tasks get a turn


class Pending(Unawaited, Generic[T_co]):
    """Something that is awaited, or used with ``async with``."""

    def __init__(self, opened: Callable[[], Awaitable[T_co]], close: Callable[[T_co], Awaitable[None]]) -> None:
        self._open = opened
        self._close = close

    def __await__(self) -> Generator[Any, None, T_co]:
        return self._open().__await__()

    async def __aenter__(self) -> T_co:
        self._opened = await self._open()
        return self._opened

    async def __aexit__(self, *error: object) -> None:
        await self._close(self._opened)


class AsyncReadable(NoDict, Shown, Generic[K, V]):
    """The reading half. :class:`coshelf.Shelf` describes the methods.

    Attributes:
        _handle: the handle of the shelf.
        _face: the shelf, transaction or snapshot of the synchronous face.
        _here: its twin that does what takes microseconds, in the thread of the loop; None if nothing does.
    """

    _handle: Handle
    _face: Any
    _here: Any
    _in_a_row = 0

    async def _run(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Make a call that reads."""
        return await run(self._handle, getattr(self._face, method), *args, **kwargs)

    async def _wait(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Make a call that may wait for other writers."""
        return await run(self._handle, getattr(self._face, method), *args, **kwargs)

    async def _read_one(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Make a call that reads one entry: here, if that waits for nothing."""
        if self._here is not None:
            self._in_a_row += 1
            if self._in_a_row >= _IN_A_ROW:
                await self._give_way()
            try:
                return self._at_once(method, args, kwargs)
            except WouldWait:
                pass
        return await self._run(method, *args, **kwargs)

    async def _write_one(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Make a call that writes one entry: here, if that waits for nothing."""
        if self._here is not None:
            self._in_a_row += 1
            if self._in_a_row >= _IN_A_ROW:
                await self._give_way()
            try:
                return self._at_once(method, args, kwargs)
            except WouldWait:
                pass
        return await self._wait(method, *args, **kwargs)

    async def _give_way(self) -> None:
        """Let other tasks run, before the call: a task that is cancelled here has not made it."""
        self._in_a_row = 0
        await checkpoint()

    def _at_once(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._handle.inside:
            with acting_here():
                return getattr(self._here, method)(*args, **kwargs)
        return getattr(self._here, method)(*args, **kwargs)

    # --- one entry ---------------------------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> Awaitable[V]:
        """``await shelf[key]``: the value of a key. Raises KeyError if the key does not exist."""
        return self._read_one("__getitem__", key)

    @overload
    async def get(self, key: K, /, *, copy: bool = False) -> V | None: ...
    @overload
    async def get(self, key: K, /, default: V | D, *, copy: bool = False) -> V | D: ...
    async def get(self, key: K, /, default: Any = None, *, copy: bool = False) -> Any:
        """The value of ``key``, or ``default`` if the key does not exist."""
        return await self._read_one("get", key, default, copy=copy)

    async def contains(self, key: object) -> bool:
        """Whether a key exists. As ``key in shelf``."""
        found: bool = await self._read_one("__contains__", key)
        return found

    async def get_many(self, keys: Iterable[K]) -> dict[K, V]:
        """The values of those ``keys`` that exist, all of one instant."""
        found: dict[K, V] = await self._run("get_many", keys)
        return found

    async def expires(self, key: K) -> float | None:
        """When an entry expires, in seconds since 1970; None if it does not."""
        time: float | None = await self._read_one("expires", key)
        return time

    async def record(self, key: K) -> Record[K, V]:
        """What is stored under a key: the raw record and its description."""
        found: Record[K, V] = await self._run("record", key)
        return found

    async def preview(self, key: K) -> Preview:
        """Type, size and beginning of a value, and the names in it. Nothing is unpickled."""
        found: Preview = await self._run("preview", key)
        return found

    # --- all entries -------------------------------------------------------------------------------------------------

    async def len(self) -> int:
        """The number of entries. As ``len(shelf)``."""
        count: int = await self._run("__len__")
        return count

    def __aiter__(self) -> Stream[K]:
        return self.keys().__aiter__()

    def keys(
        self,
        glob: str | None = None,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> AsyncView[K]:
        """A lazy, ordered view of the keys that meet all given conditions, for ``async for``."""
        view = self._face.keys(glob, prefix=prefix, start=start, stop=stop, reverse=reverse)
        return AsyncView(self._handle, view)

    def items(
        self,
        glob: str | None = None,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> AsyncView[tuple[K, V]]:
        """A lazy, ordered view of the items. The conditions are those of :meth:`keys`."""
        view = self._face.items(glob, prefix=prefix, start=start, stop=stop, reverse=reverse)
        return AsyncView(self._handle, view)

    def values(
        self,
        glob: str | None = None,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> AsyncView[V]:
        """A lazy view of the values in the order of their keys. The conditions are those of :meth:`keys`."""
        view = self._face.values(glob, prefix=prefix, start=start, stop=stop, reverse=reverse)
        return AsyncView(self._handle, view)

    def records(
        self,
        glob: str | None = None,
        *,
        prefix: Any = None,
        start: Any = None,
        stop: Any = None,
        reverse: bool = False,
    ) -> Stream[Record[K, V]]:
        """The records of the entries that meet all conditions, in the order of their keys; as :meth:`keys`."""
        return Stream(
            self._handle,
            lambda: self._face.records(glob, prefix=prefix, start=start, stop=stop, reverse=reverse),
        )

    def tagged(self, tag: str) -> AsyncView[K]:
        """A lazy, ordered view of the keys of the entries that have a tag."""
        return AsyncView(self._handle, self._face.tagged(tag))

    async def copy(self) -> dict[K, V]:
        """All entries as a dict, as of one instant."""
        found: dict[K, V] = await self._run("copy")
        return found

    def cursor(self) -> AsyncCursor[K, V]:
        """A movable position among the keys."""
        return AsyncCursor(self._handle, self._face.cursor())

    def _glance(self) -> Glance:
        return async_glance(self._face)


class AsyncCursor(ShownCursor, Generic[K, V]):
    """A position among the items of a shelf. :class:`coshelf.Cursor` describes the methods."""

    def __init__(self, handle: Handle, cursor: Any) -> None:
        self._handle = handle
        self._cursor = cursor

    def _glance(self) -> Glance:
        return async_glance(self._cursor)

    @property
    def key(self) -> K:
        """The key that is the cursor's position. LookupError before the first move."""
        key: K = self._cursor.key
        return key

    async def first(self) -> tuple[K, V] | None:
        """Move to the first item."""
        return await self._move("first")

    async def last(self) -> tuple[K, V] | None:
        """Move to the last item."""
        return await self._move("last")

    async def next(self) -> tuple[K, V] | None:
        """Move to the item with the next greater key."""
        return await self._move("next")

    async def previous(self) -> tuple[K, V] | None:
        """Move to the item with the next smaller key."""
        return await self._move("previous")

    async def seek(self, key: K) -> tuple[K, V] | None:
        """Move to the item with this key or the next greater one."""
        return await self._move("seek", key)

    async def _move(self, method: str, *args: Any) -> tuple[K, V] | None:
        item: tuple[K, V] | None = await run(self._handle, getattr(self._cursor, method), *args)
        return item
