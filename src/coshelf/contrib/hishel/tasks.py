"""The storage for tasks of an event loop."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from hishel import AsyncBaseStorage, Entry, Headers, Request, Response

from coshelf.contrib.hishel.rows import (
    UNFINISHED,
    Publish,
    Remove,
    Restart,
    Row,
    Saving,
    chunk_key,
    chunk_range,
    entry_key,
    entry_range,
    new_id,
    plain,
)
from coshelf.contrib.hishel.storage import CLOSED, GONE, NEEDS, StorageClosed, logged, needs_restart, new_row
from coshelf.contrib.parts import AsyncPart, Part, Target
from coshelf.errors import CoshelfError, ShelfClosed

if TYPE_CHECKING:
    from coshelf.aio import AsyncShelf
    from coshelf.mapping.record import Record

__all__ = ["AsyncCoshelfStorage"]

_LOG: Final = logging.getLogger(__name__)


class AsyncCoshelfStorage(AsyncBaseStorage):
    """As :class:`~coshelf.contrib.hishel.CoshelfStorage`, for tasks. It needs ``coshelf[aio]``.

    Both may use one shelf at the same time: each finds what the other has stored.

    >>> import asyncio
    >>> from hishel import Request, Response
    >>> async def body():
    ...     yield b"hello"
    >>> async def main():
    ...     storage = AsyncCoshelfStorage("memory:", default_ttl=3600)
    ...     entry = await storage.create_entry(Request("GET", "https://a/"), Response(200, stream=body()), "https://a/")
    ...     assert [part async for part in entry.response.stream] == [b"hello"]
    ...     return len(await storage.get_entries("https://a/"))
    >>> asyncio.run(main())
    1
    """

    def __init__(
        self,
        target: Target,
        *,
        part: str = "hishel",
        default_ttl: float | None = None,
        default_tti: float | None = None,
        max_stream_size: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(default_ttl=default_ttl, default_tti=default_tti, max_stream_size=max_stream_size)
        self._part = AsyncPart(Part(target, part, needs=NEEDS, **options))
        self._unfinished: WeakValueDictionary[uuid.UUID, Saving] = WeakValueDictionary()

    async def create_entry(
        self, request: Request, response: Response, key: str, *, ttl: float | None = None, tti: float | None = None
    ) -> Entry:
        """A new response, which is stored while its stream is read, and found when all of it has been read."""
        await self._shelf()  # raises what is wrong with the shelf
        id = new_id(key)
        row = new_row(key, request, response, self._limits(ttl, tti, time.time()))
        saving = self._unfinished[id] = Saving(id, row, self.max_stream_size)
        return Entry(saving.id, request, replace(response, stream=self._save(saving, response.stream)))

    async def get_entries(self, key: str) -> list[Entry]:
        """The responses of a cache key that are complete and have not expired. Their time without use begins again."""
        shelf = await self._shelf()
        found: list[Entry] = []
        start, stop = entry_range(key)
        with logged("reading"):
            async for record in shelf.records(start=start, stop=stop):
                with logged("reading"):
                    row = Row(*record.decode())
                    id = uuid.UUID(bytes=record.key[1])
                    if (
                        row.key == key
                        and await self._is_whole(shelf, id, row)
                        and await self._restarts(shelf, id, row, record)
                    ):
                        found.append(Entry(id, row.request, row.response(self._read(id, row))))
        return found

    async def update_headers(self, id: uuid.UUID, headers: Headers) -> None:
        """Replace the headers of a response. It keeps its times."""
        shelf = await self._shelf()
        with logged("updating"), contextlib.suppress(KeyError):
            await shelf.modify(entry_key(id), lambda row: tuple(Row(*row)._replace(headers=plain(headers))))

    async def remove_entry(self, id: uuid.UUID) -> None:
        """Remove a response, also one that is not complete yet."""
        unfinished = self._unfinished.get(id)
        if unfinished is not None:
            unfinished.give_up()
        shelf = await self._shelf()
        with logged("removing"):
            await shelf.transact(Remove(id))

    async def close(self) -> None:
        """Close the shelf, if the storage opened it."""
        await self._part.close()

    async def _shelf(self) -> AsyncShelf[Any, Any]:
        try:
            return await self._part.shelf()
        except ShelfClosed as error:
            raise StorageClosed(CLOSED) from error

    async def _is_whole(self, shelf: AsyncShelf[Any, Any], id: uuid.UUID, row: Row) -> bool:
        return not row.chunks or await shelf.keys(prefix=chunk_range(id)).len() == row.chunks

    async def _restarts(self, shelf: AsyncShelf[Any, Any], id: uuid.UUID, row: Row, record: Record[Any, Any]) -> bool:
        """Whether the response still exists when it gets its new time."""
        now = time.time()
        if not needs_restart(row, record.expires, now):
            return True
        with logged("renewing"):
            return await shelf.transact(Restart(id, row, now))
        return True

    async def _read(self, id: uuid.UUID, row: Row) -> AsyncIterator[bytes]:
        if isinstance(row.body, bytes):
            if row.body:
                yield row.body
            return
        shelf = await self._shelf()
        async with contextlib.AsyncExitStack() as stack:
            seen: Any = shelf
            if shelf.capabilities.snapshots is True:
                seen = await stack.enter_async_context(shelf.snapshot())
            for number in range(row.body):
                try:
                    yield await seen[chunk_key(id, number)]
                except KeyError:
                    raise RuntimeError(GONE) from None

    async def _save(self, saving: Saving, stream: Any) -> AsyncIterator[bytes]:
        """Hand the body on, and store it meanwhile. Errors of the shelf do not reach who reads it."""
        is_stored = False
        try:
            if stream is not None:
                async for part in stream:
                    await self._store(saving, saving.add(part))
                    yield part
            rest = None if saving.is_given_up else saving.rest()
            await self._store(saving, iter([rest] if rest else []))
            is_stored = not saving.is_given_up and await self._publish(saving)
        finally:
            self._unfinished.pop(saving.id, None)
            if not is_stored:
                await self._discard(saving)

    async def _store(self, saving: Saving, chunks: Iterator[tuple[Any, bytes]]) -> None:
        try:
            shelf = await self._shelf()
            for key, chunk in chunks:
                await shelf.set(key, chunk, expire=UNFINISHED)
        except CoshelfError:
            saving.give_up()
            _LOG.exception("coshelf: error while storing a body; it is not cached")

    async def _publish(self, saving: Saving) -> bool:
        with logged("storing"):
            shelf = await self._shelf()
            return await shelf.transact(Publish(saving.id, saving.complete, time.time()))
        return False

    async def _discard(self, saving: Saving) -> None:
        with logged("discarding"):
            shelf = await self._shelf()
            for number in range(saving.written):
                await shelf.pop(chunk_key(saving.id, number), None)
