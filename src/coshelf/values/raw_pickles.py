"""Pickles as they are: who reads and writes bytes sees the pickles that others see the values of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from coshelf import records
from coshelf.errors import FormatTooNew, UnwritableValue
from coshelf.keys import shown
from coshelf.values.headers import undecoded
from coshelf.values.pickled import OLD, PickleCodec, damaged, unreadable

__all__ = ["RawPickles"]


class RawPickles(PickleCodec):
    """Values are bytes that hold a pickle. What :class:`PickleCodec` stores is read as its pickle, and the reverse."""

    trusts = False

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray)) or not value:
            raise UnwritableValue(f"the value for key {shown(key)} is no pickle but {shown(value)}", (key,))
        return bytes(value) if value[0] == records.PICKLE else OLD + value

    def load_pages(
        self, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
    ) -> Iterator[tuple[Any, Any]]:
        for page in pages:
            for encoded, record in page:
                key = decode(encoded)
                yield key, self.load(key, encoded, record)

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> bytes:
        if not records.is_intact(encoded_key, record):
            raise damaged(key, record)
        if record[0] == records.PICKLE:
            return record[: -records.TRAILER]
        if record[0] == records.OLD_PICKLE:
            return record[1 : -records.TRAILER]
        if record[0] == records.HEADERED and record[1] == records.BLOB:
            payload, views = self._beside(key, record)
            from coshelf.values.pickle_surgery import inline

            try:
                return inline(payload, views)
            except ValueError as error:
                raise unreadable(key, error) from error
        if record[0] == records.HEADERED:
            raise undecoded(key, record)
        raise FormatTooNew(f"the record for key {shown(key)} has tag {record[0]:#04x}, which is no pickle's")
