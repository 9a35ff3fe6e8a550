"""A store of zarr 3 in a shelf: arrays and groups that many processes read and write at once.

>>> import zarr
>>> store = CoshelfStore("memory:")
>>> array = zarr.create_array(store, shape=(4, 4), chunks=(2, 2), dtype="int32")
>>> array[:] = 7
>>> int(zarr.open_array(store, mode="r")[3, 3])
7
>>> store.close()
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self

import anyio.to_thread
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from coshelf.contrib.folders import children
from coshelf.contrib.parts import AsyncPart, Part, Target
from coshelf.contrib.stored_bytes import as_value, view_of
from coshelf.mapping.shelf import Shelf

if TYPE_CHECKING:
    from coshelf.aio import AsyncShelf

__all__ = ["CoshelfStore"]

ByteRequest = RangeByteRequest | OffsetByteRequest | SuffixByteRequest


class CoshelfStore(Store):
    """A zarr store in a part of a shelf: each chunk and each ``zarr.json`` is one entry, and each write one commit.

    Args:
        target: a path, a URL, or an open shelf.
        part: the part of the shelf. Two stores with different names in one shelf are independent.
        read_only: whether writes are refused. A shelf that is opened for it is opened with flag "r", and must exist.
        options: further arguments of :func:`coshelf.open`, such as ``durability="commit"``.

    Raises:
        ShelfNotFound, NotAShelf, ...: at the first use, what :func:`coshelf.open` raises.
        ValueError: a write to a read-only store.

    A chunk of 1 MiB or more, stored without a compressor, comes back in place: a read-only array over the memory that
    all processes share. After :meth:`close`, the next use opens the shelf again. A store survives a fork and can be
    pickled, except one in memory.
    """

    supports_writes: bool = True
    supports_deletes: bool = True
    supports_listing: bool = True

    def __init__(self, target: Target, part: str = "zarr", *, read_only: bool = False, **options: Any) -> None:
        super().__init__(read_only=read_only)
        self._arguments = (target, part, options)
        if read_only and not isinstance(target, Shelf):
            options = {"flag": "r"} | options
        self._tasks = AsyncPart(Part(target, part, **options))

    # --- the store itself --------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        if not self._is_open:
            await self._tasks.shelf()
        await super()._open()

    async def _shelf(self) -> AsyncShelf[str, Any]:
        """The shelf, for tasks. Several tasks may ask at once."""
        shelf = await self._tasks.shelf()
        self._is_open = True
        return shelf

    def _shelf_here(self) -> Shelf[str, Any]:
        """The shelf, for calls outside of the loop."""
        shelf = self._tasks.part.shelf
        self._is_open = True
        return shelf

    def close(self) -> None:
        """Close the shelf, if the store opened it. The next use opens it again."""
        part = self._tasks.part
        self._tasks = AsyncPart(part.again())
        super().close()
        part.close()

    def with_read_only(self, read_only: bool = False) -> Self:
        """The same store, with writes allowed or refused."""
        target, part, options = self._arguments
        if self._tasks.part.is_private:
            target, options = self._tasks.part.whole, {}
        return type(self)(target, part, read_only=read_only, **options)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CoshelfStore):
            return NotImplemented
        return self.read_only == other.read_only and self._tasks.part == other._tasks.part

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        part = self._tasks.part
        part.refuse_private()
        return _again, (type(self), *self._arguments, self.read_only)

    def __str__(self) -> str:
        part = self._tasks.part
        return f"coshelf://{part.name}::{part.where}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{self}')"

    # --- reading -----------------------------------------------------------------------------------------------------

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        value = await (await self._shelf()).get(key)
        return _buffer(key, value, prototype, byte_range)

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """As :meth:`get`, in this thread."""
        return _buffer(key, self._shelf_here().get(key), prototype, byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        wanted = list(key_ranges)
        found = await (await self._shelf()).get_many([key for key, _ in wanted])
        return [_buffer(key, found.get(key), prototype, byte_range) for key, byte_range in wanted]

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        wanted = list(requests)
        found = await (await self._shelf()).get_many([key for key, *_ in wanted])
        for key, prototype, byte_range in wanted:
            yield key, _buffer(key, found.get(key), prototype, byte_range)

    async def get_ranges(
        self, key: str, byte_ranges: Sequence[ByteRequest | None], *, prototype: BufferPrototype, **_: int
    ) -> AsyncIterator[Sequence[tuple[int, Buffer | None]]]:
        """Several ranges of one value, all of one instant. Nothing is merged: the value lies in memory."""
        yield _ranges(key, await (await self._shelf()).get(key), byte_ranges, prototype)

    def get_ranges_sync(
        self, key: str, byte_ranges: Sequence[ByteRequest | None], *, prototype: BufferPrototype, **_: int
    ) -> Sequence[tuple[int, Buffer | None]]:
        """As :meth:`get_ranges`, in this thread."""
        return _ranges(key, self._shelf_here().get(key), byte_ranges, prototype)

    async def exists(self, key: str) -> bool:
        return await (await self._shelf()).contains(key)

    async def getsize(self, key: str) -> int:
        value = await (await self._shelf()).get(key)
        if value is None:
            raise FileNotFoundError(key)
        return view_of(key, value).nbytes

    async def getsize_prefix(self, prefix: str) -> int:
        items = (await self._shelf()).items(prefix=_folder(prefix))
        return sum([view_of(key, value).nbytes async for key, value in items])

    # --- writing -----------------------------------------------------------------------------------------------------

    async def set(self, key: str, value: Buffer) -> None:
        self._check_writable()
        await (await self._shelf()).set(key, _value(value))

    def set_sync(self, key: str, value: Buffer) -> None:
        """As :meth:`set`, in this thread."""
        self._check_writable()
        self._shelf_here().set(key, _value(value))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        self._check_writable()
        await (await self._shelf()).add(key, _value(value))

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        self._check_writable()
        await (await self._shelf()).update([(key, _value(value)) for key, value in values])

    async def delete(self, key: str) -> None:
        self._check_writable()
        await (await self._shelf()).pop(key, None)

    def delete_sync(self, key: str) -> None:
        """As :meth:`delete`, in this thread."""
        self._check_writable()
        self._shelf_here().pop(key, None)

    async def delete_dir(self, prefix: str) -> None:
        self._check_writable()
        shelf = await self._shelf()
        folder = _folder(prefix)
        await (shelf.sub(folder) if folder else shelf).clear()

    # --- listing -----------------------------------------------------------------------------------------------------

    async def list(self) -> AsyncIterator[str]:
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncGenerator[str, None]:
        async with aclosing(aiter((await self._shelf()).keys(prefix=prefix))) as keys:
            async for key in keys:
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        await self._shelf()
        part, folder = self._tasks.part, _folder(prefix)
        names = await anyio.to_thread.run_sync(lambda: [*children(part.shelf, folder)])
        for name in dict.fromkeys(name.rstrip("/") for name in names):
            yield name

    async def is_empty(self, prefix: str) -> bool:
        async with aclosing(self.list_prefix(_folder(prefix))) as keys:
            return await anext(keys, None) is None


def _again(
    kind: type[CoshelfStore], target: Target, part: str, options: dict[str, Any], read_only: bool
) -> CoshelfStore:
    return kind(target, part, read_only=read_only, **options)


def _folder(prefix: str) -> str:
    """A path as the beginning of the keys below it."""
    stem = prefix.rstrip("/")
    return stem + "/" if stem else ""


def _value(buffer: Buffer) -> bytes | memoryview:
    if not isinstance(buffer, Buffer):
        raise TypeError(f"a zarr store holds Buffers, and not values of type {type(buffer).__name__}")
    return as_value(buffer.as_buffer_like())


def _buffer(key: str, value: Any, prototype: BufferPrototype | None, byte_range: ByteRequest | None) -> Buffer | None:
    """The bytes that are asked for, without a copy. ``value`` is None if the key does not exist."""
    if value is None:
        return None
    view = view_of(key, value)
    return (prototype or default_buffer_prototype()).buffer.from_bytes(view[_slice(view.nbytes, byte_range)])


def _slice(size: int, byte_range: ByteRequest | None) -> slice:
    match byte_range:
        case None:
            return slice(None)
        case RangeByteRequest(start, end):
            return slice(start, end)
        case OffsetByteRequest(offset):
            return slice(offset, None)
        case SuffixByteRequest(suffix):
            return slice(max(0, size - suffix), None)
    raise ValueError(
        f"Unexpected byte_range, got {byte_range!r}: it is no RangeByteRequest, OffsetByteRequest or Suffix"
    )


def _ranges(
    key: str, value: Any, byte_ranges: Sequence[ByteRequest | None], prototype: BufferPrototype
) -> list[tuple[int, Buffer | None]]:
    if value is None and byte_ranges:
        raise BaseExceptionGroup("chunk read failed", [FileNotFoundError(key)])
    return [(number, _buffer(key, value, prototype, byte_range)) for number, byte_range in enumerate(byte_ranges)]
