"""Converts records of one engine for another: large buffers are in the record, or in the other engine's blobs."""

from __future__ import annotations

from dataclasses import dataclass

from coshelf import records
from coshelf.errors import DamagedRecord, Unsupported
from coshelf.inspection.reports import shown_key
from coshelf.values.blobs import LARGE, Blobs, Body, unpack
from coshelf.values.envelope import NOTHING, Envelope, bare, enclosed, envelope_of
from coshelf.values.pickle_surgery import inline, lifted

__all__ = ["Apart", "take_apart"]

_FIRST_FRAMED = 4  # protocol
_FIRST_WITH_BUFFERS = 5


@dataclass(frozen=True, slots=True)
class Apart:
    """The parts of a record.

    Attributes:
        headers: the data of the headers by kind, without that of a blob; empty for a plain pickle.
        payload: the bytes after the headers; for a plain pickle the whole body.
        buffers: the large buffers in its blob.
        envelope: when the entry expires, and its tags. The headers are without these.
    """

    headers: dict[int, bytes]
    payload: bytes
    buffers: list[memoryview]
    envelope: Envelope = NOTHING

    @property
    def size(self) -> int:
        return len(self.payload) + sum(buffer.nbytes for buffer in self.buffers)

    def body(self, key: bytes, blobs: Blobs | None) -> bytes:
        """The body for an engine with these blobs, or without. Raises :class:`Unsupported` if it is impossible."""
        return enclosed(self._body(key, blobs), self.envelope)

    def _body(self, key: bytes, blobs: Blobs | None) -> bytes:
        payload, buffers = self.payload, self.buffers
        if blobs is None:
            if not buffers:
                return self._with(self.headers, payload)
            if self.headers:
                raise Unsupported("its large buffers lie in a blob, and cannot be put back into a value of this kind")
            return self._inlined()
        if not buffers and not self.headers and len(payload) >= LARGE and _protocol(payload) >= _FIRST_WITH_BUFFERS:
            payload, buffers = lifted(payload, [])
        if not buffers:
            return self._with(self.headers, payload)
        blob = blobs.write(key, buffers)
        headers = self.headers | {records.BLOB: blob.reference.pack()}
        return Body.of(self._with(headers, payload), blob)

    @staticmethod
    def _with(headers: dict[int, bytes], payload: bytes) -> bytes:
        return records.write_headers(sorted(headers.items())) + payload if headers else payload

    def _inlined(self) -> bytes:
        try:
            return inline(self.payload, self.buffers)
        except ValueError as error:
            raise Unsupported(f"its large buffers cannot be put back into its pickle: {error}") from None

    def is_same(self, other: Apart) -> bool:
        """Whether both are the same value, wherever their buffers lie."""
        if self.headers != other.headers or self.envelope != other.envelope:
            return False
        if self.payload == other.payload and self.buffers == other.buffers:
            return True
        if self.headers or (not self.buffers and not other.buffers and len(self.payload) < LARGE):
            return False
        return self._without_frames() == other._without_frames()

    def _without_frames(self) -> bytes:
        """The pickle with all buffers in it, in a form that does not depend on where they were."""
        if self.payload[:1] != bytes((records.PICKLE,)) or _protocol(self.payload) < _FIRST_FRAMED:
            return self.payload
        return self._inlined()


def take_apart(key: bytes, record: bytes, blobs: Blobs | None) -> Apart:
    """The parts of an engine's record. Raises DamagedRecord, and MissingBlob if its blob is missing."""
    if not records.is_intact(key, record):
        raise DamagedRecord(f"its {len(record)} bytes do not match their checksum", shown_key(key))
    envelope = envelope_of(record)
    record = bare(record)
    if record[0] != records.HEADERED:
        return Apart({}, record[: -records.TRAILER], [], envelope)
    found = records.read_headers(record)
    if found is None:
        raise DamagedRecord("its headers are not valid", shown_key(key))
    headers, start = found
    payload = record[start : -records.TRAILER]
    packed = headers.pop(records.BLOB, None)
    if packed is None:
        return Apart(headers, payload, [], envelope)
    reference = unpack(packed)
    if reference is None or blobs is None:
        raise DamagedRecord("it names a blob, and there is none", shown_key(key))
    return Apart(headers, payload, blobs.views(reference), envelope)


def _protocol(pickle: bytes) -> int:
    return pickle[1] if pickle[:1] == bytes((records.PICKLE,)) and len(pickle) > 1 else 0
