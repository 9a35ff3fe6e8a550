"""Reads what the headers of a record say of its value, without decoding the value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coshelf import records
from coshelf.errors import CoshelfError, FormatTooNew, UnreadableValue, UntrustedValue
from coshelf.keys import shown

__all__ = [
    "BYTES",
    "IDS",
    "JSON",
    "KNOWN",
    "MSGPACK",
    "NAMES",
    "TEXT",
    "codec_of",
    "parts",
    "plain_payload",
    "refuse_unknown",
    "said_of",
    "undecoded",
]

MSGPACK, JSON, BYTES, TEXT = 1, 2, 3, 4
NAMES = {MSGPACK: "msgspec", JSON: "json", BYTES: "bytes", TEXT: "str"}
"""The name of each codec by its number in a record, as in ``codec=``. Pickle has no number."""
IDS = {name: number for number, name in NAMES.items()}

KNOWN = (records.CODEC, records.COMPRESSION, records.ENCRYPTION)
"""The kinds of headers that say how a value is decoded."""


def said_of(headers: dict[int, bytes]) -> str:
    """Codec and layers, the outermost first, as in ``"signed (0a1b2c3d) encrypted (4e5f6071) zstd json"``."""
    words = []
    if records.SIGNATURE in headers:
        words.append(f"signed ({headers[records.SIGNATURE][:4].hex()})")
    if records.ENCRYPTION in headers:
        words.append(f"encrypted ({headers[records.ENCRYPTION][1:5].hex()})")
    if records.BLOB in headers:
        words.append("blob")
    if records.COMPRESSION in headers:
        words.append("zstd")
    codec = codec_of(headers)
    words.append("pickle" if codec is None else NAMES.get(codec, f"codec {codec}"))
    return " ".join(words)


def codec_of(headers: dict[int, bytes]) -> int | None:
    """The number of the codec, None for pickle."""
    data = headers.get(records.CODEC)
    return None if data is None else int.from_bytes(data, "little")


def parts(record: bytes) -> tuple[dict[int, bytes], bytes]:
    """The headers of a record, by kind, and its payload.

    The time at which the entry expires and its tags are left out: they do not matter for the value.

    No header has the kind 0. Here it stands for a record of an unknown form, which :func:`refuse_unknown` refuses.
    """
    tag = record[0]
    if tag == records.PICKLE:
        return {}, record[: -records.TRAILER]
    if tag == records.HEADERED:
        found = records.read_headers(record)
        if found is None:
            return {0: b""}, b""
        if len(found[0].get(records.EXPIRY, b"")) == records.TIME:
            del found[0][records.EXPIRY]
        found[0].pop(records.TAGS, None)
        return found[0], record[found[1] : -records.TRAILER]
    if tag == records.OLD_PICKLE:
        return {}, record[1 : -records.TRAILER]
    return {0: record[:1]}, b""


def refuse_unknown(key: Any, headers: dict[int, bytes], known: Iterable[int] = KNOWN) -> None:
    """Raise the error if a header of :func:`parts` is not known and must be known to read the value."""
    if 0 in headers:
        if not headers[0]:
            raise UnreadableValue(f"the value for key {shown(key)} has headers that do not end", key)
        raise FormatTooNew(
            f"the record for key {shown(key)} has tag {headers[0][0]:#04x}, which only a later version knows"
        )
    if records.SIGNATURE in headers and records.SIGNATURE not in known:
        raise UntrustedValue(f"the value for key {shown(key)} is signed: open the shelf with sign=", "", key)
    unknown = records.needs_later_version(headers, known)
    if unknown is not None:
        raise FormatTooNew(
            f"the value for key {shown(key)} has a header {unknown:#04x}, which only a later version knows"
        )


def plain_payload(key: Any, record: bytes) -> bytes:
    """The pickle of a record without layers, and without its large buffers. Raises the error of :func:`undecoded`."""
    headers, payload = parts(record)
    if headers and headers.keys() != {records.BLOB}:
        raise undecoded(key, record)
    return payload


def undecoded(key: Any, record: bytes) -> CoshelfError:
    """The error of a codec that reads only plain pickles, for a record with headers."""
    headers, _ = parts(record)
    try:
        refuse_unknown(key, headers)
    except CoshelfError as error:
        return error
    return UnreadableValue(
        f"the value for key {shown(key)} is not a plain pickle, but {said_of(headers)}\n"
        "  hint: open it with coshelf.open",
        key,
    )
