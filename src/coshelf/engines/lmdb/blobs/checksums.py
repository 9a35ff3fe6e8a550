"""CRC-32 of much, by the fastest there is: zlib takes as long as writing a file into the page cache does, or longer.

zlib-ng's has the processor multiply polynomials, and takes a tenth of that. Both come to the same sum.
"""

from __future__ import annotations

import functools
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Sum", "fastest"]


class Sum(NamedTuple):
    """A way to CRC-32.

    Attributes:
        crc32: takes bytes, and the sum of what comes before them.
        is_cheap: whether it takes little beside writing the bytes.
    """

    crc32: Callable[[memoryview | bytes, int], int]
    is_cheap: bool


PLAIN = Sum(zlib.crc32, is_cheap=False)


@functools.cache
def fastest() -> Sum:
    """What there is here."""
    try:
        from zlib_ng import zlib_ng
    except ImportError:
        return PLAIN
    return Sum(zlib_ng.crc32, is_cheap=True)
