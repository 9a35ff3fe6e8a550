"""The preview of a record."""

from __future__ import annotations

import dataclasses
import json
import pickle
from dataclasses import dataclass
from typing import Any

from coshelf import records
from coshelf.errors import MissingExtra
from coshelf.inspection.preview.instructions import instructions
from coshelf.inspection.preview.msgpack import beginning
from coshelf.inspection.preview.outline import follow
from coshelf.screen import is_plain, plain
from coshelf.system import extras
from coshelf.values.blobs import size_of
from coshelf.values.envelope import bare
from coshelf.values.headers import BYTES, JSON, KNOWN, MSGPACK, NAMES, TEXT, codec_of, said_of

__all__ = ["Preview", "payload_of", "preview_of"]

_STEPS = 5_000
_LOOKED_AT = 64 * 1024  # bytes that are read of a value that is not a plain pickle


@dataclass(frozen=True, slots=True)
class Preview:
    """A description of what is stored under a key, without unpickling it.

    Attributes:
        type: the name of the value's class, with its module unless that is builtins; "?" if it is unknown.
        text: the value as Python would write it, shortened.
        size: bytes of the record without its trailer, and of its large buffers.
        stored_as: codec and layers, the outermost first: "pickle 5", "zstd json" and so on.
        names: the classes and functions that unpickling would ask for.
        problem: why the description is not complete; None if it is.
    """

    type: str
    text: str
    size: int
    stored_as: str
    names: tuple[str, ...] = ()
    problem: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """All attributes, for JSON."""
        return dataclasses.asdict(self)


def preview_of(record: bytes, *, length: int = 80, steps: int = _STEPS) -> Preview:
    """The preview of a record. Its texts have no control characters, even if the record has some.

    Args:
        record: body and trailer.
        length: about how many characters ``text`` may have.
        steps: how many instructions are followed at most.
    """
    found = _preview_of(record, length, steps)
    said = (found.type, found.text, found.stored_as, *found.names, found.problem or "")
    if all(map(is_plain, said)):
        return found
    return dataclasses.replace(
        found,
        type=plain(found.type),
        text=plain(found.text),
        stored_as=plain(found.stored_as),
        names=tuple(map(plain, found.names)),
        problem=found.problem and plain(found.problem),
    )


def _preview_of(record: bytes, length: int, steps: int) -> Preview:
    record = bare(record)
    size = len(record) - records.TRAILER
    said, start = payload_of(record)
    if start is not None:
        found = _of_pickle(record, start, size, size, said, length, steps)
        return dataclasses.replace(found, size=size_of(record) - records.TRAILER)
    headers = _headers(record)
    if headers is None:
        return Preview("?", "?", size, said, (), "only a later version knows what this is")
    if records.ENCRYPTION in headers[0]:
        return Preview("?", "?", size, said, (), "it is encrypted")
    payload, problem = record[headers[1] : size], None
    if records.COMPRESSION in headers[0]:
        payload, problem = _decompressed(headers[0][records.COMPRESSION], payload)
        if not payload:
            return Preview("?", "?", size, said, (), problem)
    codec = codec_of(headers[0])
    if codec is None:
        found = _of_pickle(payload, 0, len(payload), size, said.removesuffix("pickle"), length, steps)
        return dataclasses.replace(found, problem=found.problem and (problem or found.problem))
    kind, text, trouble = _told(codec, payload, length, steps)
    return Preview(kind, text, size, said, (), problem or trouble)


def payload_of(record: bytes) -> tuple[str, int | None]:
    """The words for a record's headers, and where its pickle begins; None if it has no pickle in readable form."""
    tag = record[0] if len(record) > records.TRAILER else -1
    if tag == records.PICKLE:
        return "", 0
    if tag == records.OLD_PICKLE:
        return "", 1
    if tag != records.HEADERED:
        return f"tag {tag:#04x}" if tag >= 0 else "nothing", None
    headers = _headers(record)
    if headers is None:
        return f"header {record[1]:#04x}", None
    said = said_of(headers[0])
    is_plain = headers[0].keys() <= {records.SIGNATURE, records.BLOB}
    return (said.removesuffix("pickle"), headers[1]) if is_plain else (said, None)


def _headers(record: bytes) -> tuple[dict[int, bytes], int] | None:
    """The headers of a record and where its payload begins; None if one is unknown and must be known."""
    if len(record) <= records.TRAILER or record[0] != records.HEADERED:
        return None
    found = records.read_headers(record)
    if found is None or records.needs_later_version(found[0], (*KNOWN, records.BLOB, records.SIGNATURE)) is not None:
        return None
    return None if codec_of(found[0]) not in (None, *NAMES) else found


def _of_pickle(data: bytes, start: int, stop: int, size: int, said: str, length: int, steps: int) -> Preview:
    outline = follow(instructions(data, start, stop), steps)
    protocol = data[start + 1] if data[start : start + 1] == b"\x80" and start + 1 < stop else "0 or 1"
    return Preview(
        outline.thing.type,
        outline.thing.written(length),
        size,
        f"{said}pickle {protocol}",
        tuple(outline.names),
        outline.problem,
    )


def _decompressed(header: bytes, payload: bytes) -> tuple[bytes, str | None]:
    """The beginning of the payload, decompressed, and why it is not all of it; None if it is."""
    if int.from_bytes(header[1:5], "little"):
        return b"", "it is compressed with a dictionary"
    try:
        zstd = extras.zstd()
        found: bytes = zstd.ZstdDecompressor().decompress(payload, _LOOKED_AT)
    except MissingExtra:
        return b"", "it is compressed, and Zstandard is not installed here"
    except zstd.ZstdError as error:
        return b"", str(error)
    whole = len(found) == int.from_bytes(header[5:], "little")
    return found, None if whole else f"only the first {_LOOKED_AT:,} bytes are read"


def _told(codec: int, payload: bytes, length: int, steps: int) -> tuple[str, str, str | None]:
    """Type and text of a value that is not a pickle, and why they are not complete; None if they are."""
    if codec == BYTES:
        return "bytes", _cut(repr(payload[: length + 1]), length), None
    if codec == TEXT:
        return "str", _cut(repr(payload[: 4 * length + 4].decode("utf-8", "replace")), length), None
    problem = None
    if codec == MSGPACK:
        value, problem = beginning(payload[:_LOOKED_AT], steps)
    elif len(payload) > _LOOKED_AT:
        return "?", _cut(payload[: 4 * length].decode("utf-8", "replace"), length), "it is too long for a preview"
    else:
        assert codec == JSON
        try:
            value = json.loads(payload.decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError) as error:
            return "?", "?", f"not valid JSON: {error}"
    try:
        data = pickle.dumps(value, 4)  # a pickle of it is described, so that text and type have the usual form
    except RecursionError as error:
        return type(value).__name__, "?", str(error)
    thing = follow(instructions(data), steps).thing
    return thing.type, thing.written(length), problem


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: max(length - 3, 1)]}..."
