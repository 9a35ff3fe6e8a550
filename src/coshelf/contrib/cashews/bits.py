"""Counters of some bits each, packed into bytes."""

from __future__ import annotations

from coshelf.errors import CoshelfError

__all__ = ["Bits", "InvalidBits"]


class InvalidBits(CoshelfError, ValueError):
    """An index is negative, or a size is not at least 1."""


class Bits:
    """Counters of ``size`` bits. The counter ``index`` has the bits from ``index * size`` on.

    >>> bits = Bits(b"", 4)
    >>> bits.add(1, 20), bits.add(1, -3), bits.get(1), bits.get(1_000), bytes(bits.packed)
    (15, 12, 12, 0, b'\\xc0')
    """

    def __init__(self, packed: bytes, size: int) -> None:
        if size < 1:
            raise InvalidBits(f"a counter has at least 1 bit, not {size}")
        self.packed = bytearray(packed)
        self._size = size
        self._most = (1 << size) - 1

    def get(self, index: int) -> int:
        """The number of a counter. 0 if nothing was added to it."""
        first, shift, length = self._place(index)
        return int.from_bytes(self.packed[first : first + length], "little") >> shift & self._most

    def add(self, index: int, by: int) -> int:
        """Add to a counter, from 0 to the most that it can hold. Return its number."""
        first, shift, length = self._place(index)
        missing = first + length - len(self.packed)
        if missing > 0:
            self.packed.extend(bytes(missing))
        around = int.from_bytes(self.packed[first : first + length], "little")
        old = around >> shift & self._most
        new = min(max(old + by, 0), self._most)
        self.packed[first : first + length] = (around + (new - old << shift)).to_bytes(length, "little")
        return new

    def _place(self, index: int) -> tuple[int, int, int]:
        """The first byte of a counter, the bits before it in that byte, and the number of its bytes."""
        if index < 0:
            raise InvalidBits(f"the index of a counter is 0 or more, not {index}")
        first, shift = divmod(index * self._size, 8)
        return first, shift, (shift + self._size + 7) // 8
