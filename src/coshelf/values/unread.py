"""The codec for programs that list, delete, copy and check entries. It needs no secret and no extra."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from coshelf.errors import UnreadableValue, UnwritableValue
from coshelf.keys import shown
from coshelf.values.codec import Layer, load_singly
from coshelf.values.headers import plain_payload
from coshelf.values.pickles import PROTOCOL

__all__ = ["UnreadValues"]


class UnreadValues:
    """Values are neither read nor written."""

    protocol = PROTOCOL
    layers: tuple[Layer, ...] = ()
    lifetime: int | None = None

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> NoReturn:
        raise UnwritableValue(
            f"the value for key {shown(key)} cannot be stored: the shelf was not opened for that", (key,)
        )

    def fingerprint(self, key: Any, encoded_key: bytes, value: Any, body: bytes | None = None) -> NoReturn:
        self.dump(key, encoded_key, value)

    def load_pages(
        self, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
    ) -> Iterator[tuple[Any, Any]]:
        return load_singly(self.load, decode, pages)

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> NoReturn:
        raise UnreadableValue(f"the value for key {shown(key)} is not read: the shelf was not opened for that", key)

    def opened(self, key: Any, encoded_key: bytes, record: bytes) -> tuple[None, bytes]:
        return None, plain_payload(key, record)
