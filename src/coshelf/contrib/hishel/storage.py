"""The storage for threads."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final
from weakref import WeakValueDictionary

from hishel import BaseStorage, Entry, Headers, Request, Response

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
from coshelf.contrib.parts import Part, Target
from coshelf.errors import CoshelfError, ShelfClosed
from coshelf.mapping.record import Record
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.snapshot import Snapshot

__all__ = ["CLOSED", "GONE", "NEEDS", "CoshelfStorage", "StorageClosed", "logged", "needs_restart", "new_row"]

CLOSED: Final = "the storage is closed"
NEEDS: Final = ("expiry", "checks=batch")
GONE: Final = "the cached response was removed before it was read"
_LOG: Final = logging.getLogger(__name__)


class StorageClosed(ShelfClosed, RuntimeError):
    """The storage has been closed. A RuntimeError, as the storages of hishel raise it."""


def new_row(key: str, request: Request, response: Response, limits: tuple[float | None, float | None]) -> Row:
    """A response as it is stored, without its body."""
    return Row(key, request.method, request.url, plain(request.headers), response.status_code, plain(response.headers),
               *limits, b"")  # fmt: skip


class CoshelfStorage(BaseStorage):
    """A storage for hishel in a shelf. Threads may share it.

    As hishel asks, an error of the shelf is logged, and the request goes to the server. But an error of opening the
    shelf is raised, because it does not go away by itself.

    Args:
        target: a path or URL of a shelf, or an open shelf. An open shelf stays open when the storage is closed.
        part: the part of the shelf that has the responses.
        default_ttl: seconds after which a response expires, counted from the request. None: never.
        default_tti: seconds after which a response expires that was not used. None: never.
        max_stream_size: bytes of the largest body that is stored. None: any size.
        options: further arguments of :func:`coshelf.open`, such as ``max_bytes=``.

    Raises:
        TypeError: options beside an open shelf.
        CoshelfError: at the first use: what :func:`coshelf.open` raises.

    >>> from hishel import Request, Response
    >>> storage = CoshelfStorage("memory:", default_ttl=3600)
    >>> entry = storage.create_entry(Request("GET", "https://a/"), Response(200, stream=iter([b"hello"])), "https://a/")
    >>> b"".join(entry.response.stream)                    # it is stored when it has been read
    b'hello'
    >>> [b"".join(entry.response.stream) for entry in storage.get_entries("https://a/")]
    [b'hello']
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
        self._part = Part(target, part, needs=NEEDS, **options)
        self._unfinished: WeakValueDictionary[uuid.UUID, Saving] = WeakValueDictionary()

    def create_entry(
        self, request: Request, response: Response, key: str, *, ttl: float | None = None, tti: float | None = None
    ) -> Entry:
        """A new response, which is stored while its stream is read, and found when all of it has been read."""
        self._shelf  # noqa: B018 (it raises what is wrong with the shelf)
        id = new_id(key)
        row = new_row(key, request, response, self._limits(ttl, tti, time.time()))
        saving = self._unfinished[id] = Saving(id, row, self.max_stream_size)
        stream = self._save(saving, response.stream or ())
        return Entry(saving.id, request, replace(response, stream=stream))

    def get_entries(self, key: str) -> list[Entry]:
        """The responses of a cache key that are complete and have not expired. Their time without use begins again."""
        shelf = self._shelf
        found: list[Entry] = []
        start, stop = entry_range(key)
        with logged("reading"):
            for record in shelf.records(start=start, stop=stop):
                with logged("reading"):
                    row = Row(*record.decode())
                    id = uuid.UUID(bytes=record.key[1])
                    if row.key == key and self._is_whole(shelf, id, row) and self._restarts(shelf, id, row, record):
                        found.append(Entry(id, row.request, row.response(self._read(id, row))))
        return found

    def update_headers(self, id: uuid.UUID, headers: Headers) -> None:
        """Replace the headers of a response. It keeps its times."""
        shelf = self._shelf
        with logged("updating"), contextlib.suppress(KeyError):
            shelf.modify(entry_key(id), lambda row: tuple(Row(*row)._replace(headers=plain(headers))))

    def remove_entry(self, id: uuid.UUID) -> None:
        """Remove a response, also one that is not complete yet."""
        unfinished = self._unfinished.get(id)
        if unfinished is not None:
            unfinished.give_up()
        shelf = self._shelf
        with logged("removing"):
            shelf.transact(Remove(id))

    def close(self) -> None:
        """Close the shelf, if the storage opened it."""
        self._part.close()

    @property
    def _shelf(self) -> Shelf[Any, Any]:
        try:
            return self._part.shelf
        except ShelfClosed as error:
            raise StorageClosed(CLOSED) from error

    def _is_whole(self, shelf: Shelf[Any, Any], id: uuid.UUID, row: Row) -> bool:
        return not row.chunks or sum(1 for _ in shelf.keys(prefix=chunk_range(id))) == row.chunks

    def _restarts(self, shelf: Shelf[Any, Any], id: uuid.UUID, row: Row, record: Record[Any, Any]) -> bool:
        """Whether the response still exists when it gets its new time."""
        now = time.time()
        if not needs_restart(row, record.expires, now):
            return True
        with logged("renewing"):
            return shelf.transact(Restart(id, row, now))
        return True

    def _read(self, id: uuid.UUID, row: Row) -> Iterator[bytes]:
        if isinstance(row.body, bytes):
            if row.body:
                yield row.body
            return
        with _instant(self._shelf) as shelf:
            for number in range(row.body):
                try:
                    yield shelf[chunk_key(id, number)]
                except KeyError:
                    raise RuntimeError(GONE) from None

    def _save(self, saving: Saving, stream: Any) -> Iterator[bytes]:
        """Hand the body on, and store it meanwhile. Errors of the shelf do not reach who reads it."""
        is_stored = False
        try:
            for part in stream:
                self._store(saving, saving.add(part))
                yield part
            rest = None if saving.is_given_up else saving.rest()
            self._store(saving, iter([rest] if rest else []))
            is_stored = not saving.is_given_up and self._publish(saving)
        finally:
            self._unfinished.pop(saving.id, None)
            if not is_stored:
                self._discard(saving)

    def _store(self, saving: Saving, chunks: Iterator[tuple[Any, bytes]]) -> None:
        try:
            for key, chunk in chunks:
                self._shelf.set(key, chunk, expire=UNFINISHED)
        except CoshelfError:
            saving.give_up()
            _LOG.exception("coshelf: error while storing a body; it is not cached")

    def _publish(self, saving: Saving) -> bool:
        with logged("storing"):
            return self._shelf.transact(Publish(saving.id, saving.complete, time.time()))
        return False

    def _discard(self, saving: Saving) -> None:
        with logged("discarding"):
            for number in range(saving.written):
                self._shelf.pop(chunk_key(saving.id, number), None)


def needs_restart(row: Row, expires: float | None, now: float) -> bool:
    """Whether the time without use is worth a write: half of it is over."""
    later = row.expires(now)
    return row.idle is not None and expires is not None and later is not None and later - expires >= row.idle / 2


@contextlib.contextmanager
def logged(what: str) -> Iterator[None]:
    """Log errors of the shelf, and go on after the block."""
    try:
        yield
    except CoshelfError:
        _LOG.exception("coshelf: error while %s a cached response", what)


@contextlib.contextmanager
def _instant(shelf: Shelf[Any, Any]) -> Iterator[Shelf[Any, Any] | Snapshot[Any, Any]]:
    """The shelf as it is now, where the engine has snapshots: no chunk goes while a body is read."""
    if shelf.capabilities.snapshots is not True:
        yield shelf
        return
    with shelf.snapshot() as snapshot:
        yield snapshot
