"""Lists the keys of entries and rows, by the names of their objects."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from coshelf.engines.objects.client import Client, Listed
from coshelf.engines.objects.names import before, key_of, name_of
from coshelf.errors import Unsupported

__all__ = ["Listing"]


class Listing:
    """The objects in the folder of the entries."""

    def __init__(self, client: Client, folder: str, where: str) -> None:
        self._client = client
        self._folder = folder
        self._where = where

    def name(self, key: bytes) -> str:
        """The name of the object for a key."""
        return f"{self._folder}/{name_of(key)}"

    def pages(self, start: bytes, stop: bytes) -> Iterator[list[bytes]]:
        """The keys of a range, by pages, each one request."""
        for page in self.listed(start, stop):
            yield [key for key, _ in page]

    def listed(self, start: bytes, stop: bytes) -> Iterator[list[tuple[bytes, Listed]]]:
        """The keys of a range with their objects, by pages, each one request."""
        if start >= stop:
            return
        first, end = self.name(start), self.name(stop)
        low = before(name_of(start))
        last = ""
        for page in self._client.pages(self._folder, f"{self._folder}/{low}" if low else ""):
            if page[0].name <= last or any(a.name >= b.name for a, b in pairwise(page)):
                raise Unsupported(f"{self._where}: the server lists names in no order, so that no range can be read")
            last = page[-1].name
            keys = [(self._key(listed), listed) for listed in page if listed.size and first <= listed.name < end]
            if found := [(key, listed) for key, listed in keys if key is not None]:
                yield found
            if last >= end:
                return

    def _key(self, listed: Listed) -> bytes | None:
        return key_of(listed.name.removeprefix(f"{self._folder}/"))
