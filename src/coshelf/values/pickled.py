"""The codec of most shelves: records of plain pickles, with large buffers in blobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from zlib import crc32

from coshelf import records
from coshelf.errors import FormatTooNew, UnreadableValue, UntrustedValue
from coshelf.keys import FOREIGN, shown
from coshelf.native import behind, page_items
from coshelf.values import buffers
from coshelf.values.blobs import LARGE
from coshelf.values.codec import Layer
from coshelf.values.envelope import bare
from coshelf.values.failures import damaged, refuse_damaged, unwritable
from coshelf.values.headers import plain_payload, undecoded
from coshelf.values.large_buffers import LargeBuffers
from coshelf.values.pickles import Pickles

if TYPE_CHECKING:
    from coshelf.values.layered import LayeredCodec

__all__ = ["OLD", "PickleCodec"]

OLD = bytes([records.OLD_PICKLE])
_STORED_AT_ONCE = 32 * 1024  # bytes: the module in C stores no larger pickle
_VERIFIED, _TRAILER, _RESIDUE = records.VERIFIED_ON_READ, records.TRAILER, records.RESIDUE


class PickleCodec:
    """Values as plain pickles.

    Args:
        pickles: pickles values, and loads pickles.
        large: where large buffers go, and come from.
        reader: makes the codec for values that another process has written with settings; None if they are not read.

    Attributes:
        is_plain: whether the body of plain data without large buffers is what :data:`buffers.first_attempt` returns.
    """

    layers: tuple[Layer, ...] = ()
    lifetime: int | None = None

    def __init__(
        self,
        pickles: Pickles,
        large: LargeBuffers | None = None,
        reader: Callable[[], LayeredCodec] | None = None,
    ) -> None:
        self.protocol = pickles.protocol
        self.is_plain = pickles.protocol == buffers.FIRST_PROTOCOL and not pickles.refuses_objects
        self._pickles = pickles
        self._unpickle = pickles.unpickle
        self._refuses_objects = pickles.refuses_objects
        self._large = large or LargeBuffers()
        self._separates = self._large.are_separate and self.protocol >= buffers.FIRST_PROTOCOL
        self._reader = reader
        self._others: LayeredCodec | None = None

    @property
    def pickles(self) -> Pickles:
        """What pickles values, and loads pickles."""
        return self._pickles

    @property
    def stores_plain_pickles(self) -> bool:
        """Whether a value of plain data is stored as its pickle of the latest protocol, if that is not large."""
        return (
            self.lifetime is None and self._separates and not self._refuses_objects and buffers.LARGE > _STORED_AT_ONCE
        )

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        if not self._separates:
            body = self._pickles.dumps(key, value)
            return body if body[0] == records.PICKLE else OLD + body
        try:  # what buffers.separate() does first; most values need no more
            attempt = None if type(value) is bytearray else buffers.first_attempt(value)
        except (buffers.NotPlain, TypeError) as error:
            body, large = self._separated(key, value, error)
        except Exception as error:
            raise unwritable(key, value, error) from error
        else:
            if attempt is not None and len(attempt) < LARGE and not self._refuses_objects:
                return attempt
            body, large = self._separated(key, value, attempt)
        return self._large.dump(encoded_key, body, large) if large else body

    def _separated(
        self, key: Any, value: Any, attempt: bytes | Exception | None = None
    ) -> tuple[bytes, list[memoryview]]:
        """The pickle of a value, and its large buffers. ``attempt``: of the first attempt. Raises as :meth:`dump`."""
        try:
            body, large = buffers.separate(value, attempt)
        except Exception as error:
            raise unwritable(key, value, error) from error
        if self._refuses_objects:
            self._pickles.refuse_object(key, body, large)
        return body, large

    def fingerprint(self, key: Any, encoded_key: bytes, value: Any, body: bytes | None = None) -> bytes:
        if type(body) is bytes:
            return body
        if not self._separates:
            return self.dump(key, encoded_key, value)
        from hashlib import blake2b  # here: it loads OpenSSL, which an import of coshelf does not need

        body, large = self._separated(key, value)
        return b"".join((body, *(blake2b(buffer).digest() for buffer in large)))

    def load_pages(
        self, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
    ) -> Iterator[tuple[Any, Any]]:
        if page_items is not None:
            return page_items(decode, pages, self.load, behind(self._unpickle), FOREIGN)
        return self._load_pages(decode, pages)

    def _load_pages(
        self, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
    ) -> Iterator[tuple[Any, Any]]:
        # The same as load(), without a call for each record.
        unpickle, verified = self._unpickle, records.VERIFIED_ON_READ
        for page in pages:
            for encoded, record in page:
                key = decode(encoded)
                if key is FOREIGN:
                    continue
                if len(record) <= verified and records.is_intact(encoded, record) and record[0] == records.PICKLE:
                    try:
                        value = unpickle(record)
                    except Exception:
                        value = self.load(key, encoded, record)  # raises the right error
                    yield key, value
                else:
                    yield key, self.load(key, encoded, record)

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        size = len(record)
        # the same as records.is_intact(), without a call
        if size <= _VERIFIED and (size <= _TRAILER or crc32(record, crc32(encoded_key)) != _RESIDUE):
            raise damaged(key, record)
        if record[0] == records.PICKLE:
            try:
                return self._unpickle(record)
            except Exception as error:
                refuse_damaged(key, encoded_key, record, error)
                self._pickles.refuse(key, error)
        try:
            return self._load_other(key, encoded_key, record, copy)
        except (UnreadableValue, UntrustedValue, FormatTooNew) as error:
            refuse_damaged(key, encoded_key, record, error)
            raise

    def _load_other(self, key: Any, encoded_key: bytes, record: bytes, copy: bool) -> Any:
        """The value of a record that is more than a pickle of protocol 2 or later."""
        tag = record[0]
        if tag == records.OLD_PICKLE:
            return self._pickles.loads(key, memoryview(record)[1:])
        if tag != records.HEADERED:
            raise FormatTooNew(f"the record for key {shown(key)} has tag {tag:#04x}, which only a later version knows")
        if record[1] <= records.TAGS:
            # The checksum, which does not fit any more then, was right.
            record = bare(record)
            if record[0] == records.PICKLE:
                return self._pickles.loads(key, record)
            if record[0] == records.OLD_PICKLE:
                return self._pickles.loads(key, memoryview(record)[1:])
        if record[1] == records.BLOB:
            return self._large.load(self._pickles, key, record, copy)
        return self._codec_of_others(key, record).decoded(key, encoded_key, record, copy)

    def opened(self, key: Any, encoded_key: bytes, record: bytes) -> tuple[int | None, bytes]:
        record = bare(record)
        if record[0] != records.HEADERED or record[1] == records.BLOB:
            return None, plain_payload(key, record)
        return self._codec_of_others(key, record).opened(key, encoded_key, record)

    def _codec_of_others(self, key: Any, record: bytes) -> LayeredCodec:
        """The codec that reads records with headers. It is made for the first of them."""
        if self._others is None:
            if self._reader is None:
                raise undecoded(key, record)
            self._others = self._reader()
        return self._others
