"""What a record with headers is, in words, without decoding it."""

from __future__ import annotations

from typing import Any

from coshelf import records
from coshelf.errors import CoshelfError, FormatTooNew, UnreadableValue, UntrustedValue
from coshelf.keys import shown

__all__ = ["BYTES", "IDS", "JSON", "KNOWN", "MSGPACK", "NAMES", "TEXT", "codec_of", "said_of", "undecoded"]

MSGPACK, JSON, BYTES, TEXT = 1, 2, 3, 4
NAMES = {MSGPACK: "msgspec", JSON: "json", BYTES: "bytes", TEXT: "str"}
"""What a codec's number in a record stands for, as ``codec=`` names it. Pickle has none."""
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


def undecoded(key: Any, record: bytes) -> CoshelfError:
    """The error of a codec that reads pickles alone, for a record with headers."""
    found = records.read_headers(record)
    if found is None:
        return UnreadableValue(f"the value for key {shown(key)} has headers that do not end", key)
    if records.SIGNATURE in found[0]:
        return UntrustedValue(f"the value for key {shown(key)} is signed: open the shelf with sign=", "", key)
    unknown = records.needs_later_version(found[0], KNOWN)
    if unknown is not None:
        return FormatTooNew(
            f"the value for key {shown(key)} has a header {unknown:#04x}, which only a later version knows"
        )
    return UnreadableValue(
        f"the value for key {shown(key)} is no plain pickle, but {said_of(found[0])}\n"
        "  hint: open it with coshelf.open",
        key,
    )
