"""Bytes in hexadecimal, with offsets: a window of them, whatever the size of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["WINDOW", "Line", "lines"]

WINDOW = 1024
"""Bytes of a page."""

_PER_LINE = 16


class Line(NamedTuple):
    """Sixteen bytes.

    Attributes:
        offset: of the first of them.
        codes: in hexadecimal, in two halves.
        characters: as ASCII, with a dot for all others.
    """

    offset: int
    codes: str
    characters: str


def lines(data: bytes | memoryview, start: int, count: int = WINDOW) -> Iterator[Line]:
    """The lines of a window. Nothing but the window is copied.

    >>> [tuple(line) for line in lines(b"a<b>" * 5, 16)]
    [(16, '61 3c 62 3e', 'a<b>')]
    """
    for offset in range(start, min(start + count, len(data)), _PER_LINE):
        some = bytes(data[offset : min(offset + _PER_LINE, start + count)])
        half = _PER_LINE // 2
        codes = "  ".join(part.hex(" ") for part in (some[:half], some[half:]) if part)
        yield Line(offset, codes, "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in some))
