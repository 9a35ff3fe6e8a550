"""Values of plain data, loaded through the gate, which runs no code: for what a preview is too short for.

The shelf may be trusted or not: to show a value, its pickle always goes through the gate.
"""

from __future__ import annotations

from typing import Any

from coshelf import records
from coshelf.contract import Engine
from coshelf.errors import CoshelfError, UntrustedValue
from coshelf.mapping.record import Record
from coshelf.trust.gate import Gate
from coshelf.trust.gate.bounds import survey
from coshelf.values.blobs import reference_in
from coshelf.values.envelope import bare
from coshelf.viewer.sizes import in_words

__all__ = ["LARGEST", "NotShown", "buffers_of", "payload_of", "plain_value"]

LARGEST = 16 << 20
"""Bytes of a payload. A larger one is not loaded: a page could not show much of it."""

_gate = Gate()


class NotShown(Exception):
    """A value is not loaded to show it.

    Attributes:
        is_object: whether that is because it is more than plain data.
    """

    def __init__(self, reason: str, *, is_object: bool = False) -> None:
        super().__init__(reason)
        self.is_object = is_object


def plain_value(record: Record[Any, Any], engine: Engine, *, largest: int | None = LARGEST) -> Any:
    """The value of a record. Raises :class:`NotShown` if it is not plain data, too large, or cannot be read."""
    payload = payload_of(record, largest=largest)
    if record.codec != "pickle":
        return _decoded(record)
    try:
        survey(payload)
        return _gate.loads(payload, buffers_of(record, engine) or None)
    except UntrustedValue as error:
        raise NotShown(str(error).splitlines()[0], is_object=True) from None
    except CoshelfError as error:
        raise NotShown(str(error).splitlines()[0]) from None
    except Exception as error:  # of unpickling: any
        raise NotShown(f"it cannot be unpickled: {type(error).__name__}: {error}") from None


def payload_of(record: Record[Any, Any], *, largest: int | None = LARGEST) -> bytes:
    """The payload without its layers. Raises :class:`NotShown` if it is too large, or cannot be opened here."""
    size = max(len(record.raw), _unpacked(record.raw))
    if largest is not None and size > largest:
        raise NotShown(f"it has {in_words(size)}; values of up to {in_words(largest)} are shown")
    try:
        return record.payload()
    except CoshelfError as error:
        raise NotShown(str(error).splitlines()[0]) from None


def buffers_of(record: Record[Any, Any], engine: Engine) -> list[memoryview]:
    """The large buffers beside a record, in place. Raises DamagedRecord if they are missing."""
    reference = reference_in(bare(record.raw))
    return [] if reference is None or engine.blobs is None else engine.blobs.views(reference)


def _unpacked(record: bytes) -> int:
    """The size of a compressed payload when it is decompressed, as its header says; 0 for others."""
    record = bare(record)
    if record[:1] != bytes((records.HEADERED,)):
        return 0
    found = records.read_headers(record)
    header = b"" if found is None else found[0].get(records.COMPRESSION, b"")
    return int.from_bytes(header[5:], "little")


def _decoded(record: Record[Any, Any]) -> Any:
    """The value of a codec that loads no pickles."""
    try:
        return record.decode()
    except CoshelfError as error:
        raise NotShown(str(error).splitlines()[0]) from None
    except RecursionError:
        raise NotShown("it nests too deep") from None
