"""What is stored for a response, and the steps that change it. Both storages run the same steps.

A response is one entry of the shelf, under ``("entry", id)``. The body is in it if it is small. A larger body is in
entries of its own, ``("chunk", id, number)``. The first half of an id is a hash of the cache key, so the responses of a
key are a range.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from hishel import Headers, Request, Response

from coshelf.mapping.transaction import Transaction

__all__ = [
    "CHUNK",
    "UNFINISHED",
    "Publish",
    "Remove",
    "Restart",
    "Row",
    "Saving",
    "chunk_key",
    "chunk_range",
    "entry_key",
    "entry_range",
    "new_id",
    "plain",
]  # fmt: skip

CHUNK: Final = 131_072
"""Bytes of a chunk. A body of up to that size is in the entry itself."""
UNFINISHED: Final = 3600
"""Seconds after which a chunk expires whose response was never completed, because its process ended."""
_GRACE: Final = 180  # seconds for which chunks outlive their response, so that those who read it get to the end
_HALF: Final = 8  # bytes of an id that are the hash of the key


def _hashed(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=_HALF).digest()


def new_id(key: str) -> uuid.UUID:
    """A new id for a response of a cache key."""
    return uuid.UUID(bytes=_hashed(key) + secrets.token_bytes(_HALF))


def entry_key(id: uuid.UUID) -> tuple[str, bytes]:
    """The key of a response."""
    return "entry", id.bytes


def entry_range(key: str) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    """Start and stop of the responses of a cache key, and of others whose hash is the same."""
    return ("entry", _hashed(key)), ("entry", _hashed(key) + (_HALF + 1) * b"\xff")


def chunk_key(id: uuid.UUID, number: int) -> tuple[str, bytes, int]:
    """The key of a part of a body."""
    return "chunk", id.bytes, number


def chunk_range(id: uuid.UUID) -> tuple[str, bytes]:
    """The beginning of the keys of a body."""
    return "chunk", id.bytes


class Row(NamedTuple):
    """A response as it is stored, as a plain tuple: its cache key, request and response, its times, and its body.

    ``body`` is the body, or the number of its chunks.
    """

    key: str
    method: str
    url: str
    request_headers: dict[str, list[str]]
    status: int
    headers: dict[str, list[str]]
    deadline: float | None
    idle: float | None
    body: bytes | int

    @property
    def chunks(self) -> int:
        """How many chunks the body has beside the entry."""
        return self.body if isinstance(self.body, int) else 0

    @property
    def request(self) -> Request:
        """The request, as hishel has it."""
        return Request(self.method, self.url, Headers(self.request_headers))

    def response(self, stream: Any) -> Response:
        """The response, as hishel has it, with the stream of its body."""
        return Response(self.status, Headers(self.headers), stream)

    def expires(self, now: float) -> float | None:
        """When it expires if it is used now, in seconds since 1970."""
        times = [self.deadline] if self.deadline is not None else []
        return min([*times, now + self.idle] if self.idle is not None else times, default=None)


def plain(headers: Headers) -> dict[str, list[str]]:
    """Headers as a dict of lists."""
    return {name: list(headers.get_list(name) or ()) for name in headers}


class Saving:
    """A body that is stored while it is read: the parts that are to be stored, and whether there is any use in it.

    Attributes:
        id: the id of the response.
        row: the response without its body.
        written: how many chunks are stored.
        is_given_up: nothing is stored any more: it failed, the body is too large, or the response was removed.
    """

    def __init__(self, id: uuid.UUID, row: Row, largest: int | None) -> None:
        self.id, self.row = id, row
        self.written = 0
        self.is_given_up = False
        self._largest = largest
        self._size = 0
        self._buffer = bytearray()

    def add(self, part: bytes) -> Iterator[tuple[tuple[str, bytes, int], bytes]]:
        """Take a part of the body. Give the chunks that are to be stored now, by their keys."""
        if self.is_given_up:
            return
        self._size += len(part)
        if self._largest is not None and self._size > self._largest:
            self.give_up()
            return
        self._buffer += part
        while len(self._buffer) > CHUNK:
            yield self._next(CHUNK)

    def give_up(self) -> None:
        """Store nothing more."""
        self.is_given_up = True
        self._buffer.clear()

    def rest(self) -> tuple[tuple[str, bytes, int], bytes] | None:
        """The last chunk, if there are others."""
        return self._next(len(self._buffer)) if self.written else None

    def _next(self, size: int) -> tuple[tuple[str, bytes, int], bytes]:
        chunk = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.written += 1
        return chunk_key(self.id, self.written - 1), chunk

    @property
    def complete(self) -> Row:
        """The response with its body, or the number of its chunks."""
        return self.row._replace(body=self.written or bytes(self._buffer))


@dataclass(frozen=True, slots=True)
class Publish:
    """Shows a complete response to all who ask for it. False: parts of the body are gone, so nothing was stored."""

    id: uuid.UUID
    row: Row
    now: float

    def __call__(self, transaction: Transaction[Any, Any]) -> bool:
        lives = _lives(self.row, self.now)
        if not _touch_chunks(transaction, self.id, self.row.chunks, lives):
            return False
        transaction.set(entry_key(self.id), tuple(self.row), expire=lives)
        return True


@dataclass(frozen=True, slots=True)
class Restart:
    """Lets a response live on because it was used. False: it is gone."""

    id: uuid.UUID
    row: Row
    now: float

    def __call__(self, transaction: Transaction[Any, Any]) -> bool:
        lives = _lives(self.row, self.now)
        if not transaction.touch(entry_key(self.id), expire=lives):
            return False
        return _touch_chunks(transaction, self.id, self.row.chunks, lives)


@dataclass(frozen=True, slots=True)
class Remove:
    """Removes a response. Those who are reading its body get to the end."""

    id: uuid.UUID

    def __call__(self, transaction: Transaction[Any, Any]) -> None:
        found = transaction.pop(entry_key(self.id), None)
        if found is not None:
            for number in range(Row(*found).chunks):
                transaction.touch(chunk_key(self.id, number), expire=_GRACE)


def _lives(row: Row, now: float) -> float | None:
    expires = row.expires(now)
    return None if expires is None else expires - now


def _touch_chunks(transaction: Transaction[Any, Any], id: uuid.UUID, number: int, lives: float | None) -> bool:
    expire = None if lives is None else lives + _GRACE
    return all(transaction.touch(chunk_key(id, each), expire=expire) for each in range(number))
