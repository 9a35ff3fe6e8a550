"""Reads the beginning of a msgpack value without msgspec, which need not be installed for a preview."""

from __future__ import annotations

import struct
from typing import Any

__all__ = ["beginning"]

_DEEPEST = 20
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i",
    0xD3: ">q",
}  # fmt: skip
_LENGTHS = {
    0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4,
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


def beginning(data: bytes, steps: int) -> tuple[Any, str | None]:
    """The beginning of a value, in builtins, and why it is not the whole value; None if it is.

    >>> beginning(bytes.fromhex("82a16101a1629202c0"), 100)
    ({'a': 1, 'b': [2, None]}, None)
    """
    reader = _Reader(data, steps)
    value = reader.value(0)
    if reader.problem is None and reader.at != len(data):
        reader.problem = "bytes follow that are not part of it"
    return value, reader.problem


class _Reader:
    def __init__(self, data: bytes, steps: int) -> None:
        self.data = data
        self.at = 0
        self.steps = steps
        self.problem: str | None = None

    def value(self, depth: int) -> Any:
        self.steps -= 1
        if self.steps < 0 or depth > _DEEPEST:
            return self._end("it is longer or deeper than a preview goes")
        first = self._take(1)
        if not first:
            return None
        code = first[0]
        if code <= 0x7F or code >= 0xE0:
            return code if code <= 0x7F else code - 256
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code in _NUMBERS:
            return self._number(_NUMBERS[code])
        if code <= 0x8F or code in (0xDE, 0xDF):
            return self._map(code & 15 if code <= 0x8F else self._length(code), depth)
        if code <= 0x9F or code in (0xDC, 0xDD):
            return self._list(code & 15 if code <= 0x9F else self._length(code), depth)
        if code <= 0xBF or code in (0xD9, 0xDA, 0xDB):
            return self._take(code & 31 if code <= 0xBF else self._length(code)).decode("utf-8", "replace")
        if code in (0xC4, 0xC5, 0xC6):
            return self._take(self._length(code))
        if code == 0xC1:
            return self._end("it has a byte that msgpack does not use")
        size = 1 << code - 0xD4 if code >= 0xD4 else self._length(code)
        return {"extension": self._number(">b"), "data": self._take(size)}

    def _end(self, problem: str) -> None:
        self.problem = self.problem or problem
        self.steps = 0

    def _take(self, size: int) -> bytes:
        found = self.data[self.at : self.at + size]
        self.at += size
        if len(found) < size:
            self._end("it ends too early")
        return found

    def _number(self, form: str) -> Any:
        found = self._take(struct.calcsize(form))
        return None if self.problem else struct.unpack(form, found)[0]

    def _length(self, code: int) -> int:
        return int.from_bytes(self._take(_LENGTHS[code]), "big")

    def _list(self, count: int, depth: int) -> list[Any]:
        found: list[Any] = []
        while len(found) < count and self.problem is None:
            found.append(self.value(depth + 1))
        return found

    def _map(self, count: int, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        while count and self.problem is None:
            count -= 1
            name = self.value(depth + 1)
            name = tuple(name) if isinstance(name, list) else name
            try:
                found[name] = self.value(depth + 1)
            except TypeError:
                self._end("it has a key that cannot be hashed")
        return found
