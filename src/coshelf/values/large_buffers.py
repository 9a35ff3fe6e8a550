"""Stores large buffers of pickles in the blobs of an engine, and reads them. docs/format.md, "Blobs".

The buffers leave a value while it is pickled, and come back while it is loaded. So this is not a layer, which turns
bytes into bytes. A record with a blob has no layers either, because a layer would not change the blob.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coshelf import records
from coshelf.errors import FormatTooNew, UnreadableValue
from coshelf.keys import shown
from coshelf.values.blobs import Blobs, Body, MissingBlob, unpack
from coshelf.values.pickles import Pickles

__all__ = ["LargeBuffers"]


class LargeBuffers:
    """The large buffers of an engine. ``blobs`` is None if it has no blobs: then buffers stay in the pickles."""

    def __init__(self, blobs: Blobs | None = None) -> None:
        self._blobs = blobs
        self.are_separate = blobs is not None

    def dump(self, encoded_key: bytes, payload: bytes, large: list[memoryview]) -> bytes:
        """The body for a pickle and the buffers beside it."""
        assert self._blobs is not None
        blob = self._blobs.write(encoded_key, large)
        return Body.of(records.write_headers([(records.BLOB, blob.reference.pack())]) + payload, blob)

    def load(self, pickles: Pickles, key: Any, record: bytes, copy: bool) -> Any:
        """The value of a record that names a blob."""
        payload, views = self.parts(key, record)
        large: Iterable[Any] = map(bytearray, views) if copy else views
        return pickles.loads(key, payload, large)

    def parts(self, key: Any, record: bytes) -> tuple[memoryview, list[memoryview]]:
        """The pickle in a record that names a blob, and the buffers of that blob."""
        found = records.read_headers(record)
        reference = None if found is None else unpack(found[0][records.BLOB])
        if found is None or reference is None:
            raise UnreadableValue(f"the value for key {shown(key)} has a header for a blob that does not name one", key)
        headers, start = found
        unknown = records.needs_later_version(headers, (records.BLOB,))
        if unknown is not None or self._blobs is None:
            raise FormatTooNew(
                f"the record for key {shown(key)} has the header {unknown or records.BLOB:#04x}, unknown here"
            )
        try:
            return memoryview(record)[start : -records.TRAILER], self._blobs.views(reference)
        except MissingBlob as error:
            raise MissingBlob(
                f"the large buffers of the value for key {shown(key)} are missing: {error}\n"
                "  hint: they lie in the folder beside the shelf; copy and move it together with the shelf",
                key,
            ) from None
