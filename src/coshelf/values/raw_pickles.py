"""The codec for programs that read and write the bytes of pickles, where other programs see the values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from coshelf import records
from coshelf.errors import UnwritableValue
from coshelf.keys import shown
from coshelf.values.blobs import Blobs
from coshelf.values.codec import Layer, load_singly
from coshelf.values.envelope import bare
from coshelf.values.failures import damaged, unreadable
from coshelf.values.headers import plain_payload
from coshelf.values.large_buffers import LargeBuffers
from coshelf.values.pickled import OLD
from coshelf.values.pickles import PROTOCOL

__all__ = ["RawPickles"]


class RawPickles:
    """Values are bytes that hold a pickle. They are the same records as those of :class:`PickleCodec`."""

    protocol = PROTOCOL
    layers: tuple[Layer, ...] = ()
    lifetime: int | None = None

    def __init__(self, blobs: Blobs | None = None) -> None:
        self._large = LargeBuffers(blobs)

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray)) or not value:
            raise UnwritableValue(f"the value for key {shown(key)} is not a pickle but {shown(value)}", (key,))
        return bytes(value) if value[0] == records.PICKLE else OLD + value

    def fingerprint(self, key: Any, encoded_key: bytes, value: Any, body: bytes | None = None) -> bytes:
        return self.dump(key, encoded_key, value)

    def load_pages(
        self, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
    ) -> Iterator[tuple[Any, Any]]:
        return load_singly(self.load, decode, pages)

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> bytes:
        if not records.is_intact(encoded_key, record):
            raise damaged(key, record)
        record = bare(record)
        if record[0] != records.HEADERED or record[1] != records.BLOB:
            return plain_payload(key, record)
        payload, views = self._large.parts(key, record)
        from coshelf.values.pickle_surgery import inline

        try:
            return inline(payload, views)
        except ValueError as error:
            raise unreadable(key, error) from error

    def opened(self, key: Any, encoded_key: bytes, record: bytes) -> tuple[None, bytes]:
        return None, plain_payload(key, record)
