"""Recognises pictures by their first bytes, and draws small ones of arrays."""

from __future__ import annotations

import struct
import zlib

__all__ = ["kind_of_picture", "png"]

_BEGINNINGS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def kind_of_picture(data: bytes | bytearray | memoryview) -> str | None:
    """The media type of a PNG, JPEG, GIF or WebP; None for other bytes. SVG is never a picture: it can have scripts.

    >>> kind_of_picture(b"GIF89a..."), kind_of_picture(b"<svg>")
    ('image/gif', None)
    """
    start = bytes(data[:12])
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        return "image/webp"
    return next((kind for beginning, kind in _BEGINNINGS if start.startswith(beginning)), None)


def png(rows: list[bytes], width: int, channels: int) -> bytes:
    """A PNG of rows of bytes, one byte for each channel: 1 for grey, 3 for colours, 4 with opacity.

    >>> png([bytes([0, 255])], 2, 1)[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'
    """
    colour = {1: 0, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, len(rows), 8, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
