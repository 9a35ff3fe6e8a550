"""For those who have no business with values: listing, deleting, copying and checking take no secret and no extra."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from coshelf.errors import UnreadableValue, UnwritableValue
from coshelf.keys import shown
from coshelf.values.pickled import PickleCodec

__all__ = ["UnreadValues"]


class UnreadValues(PickleCodec):
    """Values are neither read nor written."""

    trusts = False
    writes = False

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        raise UnwritableValue(f"the value for key {shown(key)} cannot be stored: it was not opened for that", (key,))

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        raise UnreadableValue(f"the value for key {shown(key)} is not read: it was not opened for that", key)

    def load_pages(
        self, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
    ) -> Iterator[tuple[Any, Any]]:
        for page in pages:
            for encoded, record in page:
                key = decode(encoded)
                yield key, self.load(key, encoded, record)
