"""A backend for requests-cache: responses that all processes of a machine share.

docs/integrations/requests_cache.md says what is promised.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any, Final

from requests_cache.backends.base import BaseCache, BaseStorage
from requests_cache.models.response import CachedResponse
from requests_cache.serializers import SerializerType, dict_serializer

import coshelf
from coshelf.contrib.parts import Part, Target
from coshelf.mapping.shelf import Shelf

__all__ = ["CoshelfCache", "CoshelfDict"]

_OPTIONS: Final = frozenset(inspect.signature(coshelf.open).parameters) - {"target", "expire"}
_OFFSET: Final = 3600


class CoshelfCache(BaseCache):
    """A backend for requests-cache in a shelf. Threads may share it.

    Args:
        cache_name: a path or URL of a shelf, or an open shelf. An open shelf stays open when the cache is closed.
        part: the part of the shelf that has the responses and redirects.
        serializer: how responses are stored: a serializer of requests-cache, or its name. None: as plain data, which
            needs no trust.
        ttl: let the shelf remove responses some time after they have expired.
        ttl_offset: for how many seconds an expired response stays, to be validated or used when the server fails.
        settings: further arguments of :func:`coshelf.open`, such as ``max_bytes=``. As in all backends, others are
            settings of the session, and are ignored here.

    Raises:
        TypeError: options beside an open shelf.
        CoshelfError: of each method: what :func:`coshelf.open` and the engine raise.

    >>> from requests_cache import CachedSession
    >>> session = CachedSession(backend=CoshelfCache("memory:"), expire_after=3600)
    >>> session.cache.contains(url="https://example.org/")
    False
    """

    def __init__(
        self,
        cache_name: Target = "http_cache.shelf",
        *,
        part: str = "requests_cache",
        serializer: SerializerType | None = None,
        decode_content: bool = False,
        ttl: bool = True,
        ttl_offset: float = _OFFSET,
        **settings: Any,
    ) -> None:
        super().__init__(cache_name=str(cache_name))
        options = {name: value for name, value in settings.items() if name in _OPTIONS}
        place = Part(cache_name, part, needs=("expiry",), **options)
        self.responses = CoshelfDict(
            place, "responses", serializer=serializer, decode_content=decode_content, ttl=ttl, ttl_offset=ttl_offset
        )
        self.redirects = CoshelfDict(place, "redirects", ttl=False)


class CoshelfDict(BaseStorage[str, Any]):
    """A table of responses or redirects in a shelf.

    Args:
        place: a path or URL of a shelf, an open shelf, or a part of one.
        table_name: the name of the table in the part.
        serializer, decode_content, ttl, ttl_offset, settings: as for :class:`CoshelfCache`.
    """

    def __init__(
        self,
        place: Target | Part,
        table_name: str = "responses",
        *,
        serializer: SerializerType | None = None,
        decode_content: bool = False,
        ttl: bool = True,
        ttl_offset: float = _OFFSET,
        **settings: Any,
    ) -> None:
        super().__init__(serializer=serializer or dict_serializer, decode_content=decode_content)
        options = {name: value for name, value in settings.items() if name in _OPTIONS}
        self._part = place if isinstance(place, Part) else Part(place, "requests_cache", needs=("expiry",), **options)
        self.table_name = table_name
        self._ttl, self._offset = ttl, ttl_offset

    @property
    def _shelf(self) -> Shelf[str, Any]:
        return self._part.shelf.sub(self.table_name)

    def __getitem__(self, key: str) -> Any:
        return self.deserialize(key, self._shelf[key])

    def __setitem__(self, key: str, item: Any) -> None:
        lives = item.expires_delta if self._ttl and isinstance(item, CachedResponse) else None
        expire = None if lives is None else max(0, lives) + self._offset
        self._shelf.set(key, self.serialize(item), expire=expire)

    def __delitem__(self, key: str) -> None:
        del self._shelf[key]

    def __contains__(self, key: object) -> bool:
        return key in self._shelf

    def __iter__(self) -> Iterator[str]:
        return iter(self._shelf)

    def __len__(self) -> int:
        return len(self._shelf)

    def bulk_delete(self, keys: Iterable[str]) -> None:
        """Remove those of the keys that exist, in one commit where the engine has that."""
        shelf, given = self._shelf, list(keys)
        if shelf.capabilities.checks == "entry":
            for key in given:
                shelf.pop(key, None)
        elif given:
            shelf.transact(lambda transaction: [transaction.pop(key, None) for key in given])

    def clear(self) -> None:
        """Remove everything in this table, in one commit."""
        self._shelf.clear()

    def close(self) -> None:
        """Close the shelf, if the cache opened it."""
        self._part.close()
