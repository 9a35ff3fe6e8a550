"""The instructions of a pickle, in order. Long arguments are cut, and never copied."""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

__all__ = ["Instruction", "instructions"]

_EXCERPT = 240  # bytes of an argument that are read
_BEGINNING = 4_096  # of a bytes argument, for what describes its own content
_BY_CODE = {ord(each.code): each for each in pickletools.opcodes}
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}


class Instruction(NamedTuple):
    """One instruction.

    Attributes:
        at: its place, in bytes from the beginning.
        name: as in :mod:`pickletools`.
        argument: int, float, str or bytes; str and bytes may be cut. None if the instruction has no argument.
        size: stored bytes of a str or bytes argument; 0 for others.
        beginning: of a bytes argument that is cut, more of its beginning.
    """

    at: int
    name: str
    argument: Any = None
    size: int = 0
    beginning: bytes = b""

    def __str__(self) -> str:
        shown = "" if self.argument is None else f" {self.argument!r}"
        return f"{self.at:8}: {self.name}{shown}{f'... ({self.size:,} bytes)' if self.is_cut else ''}"

    @property
    def is_cut(self) -> bool:
        """Whether the argument was cut."""
        return self.size > _EXCERPT


def instructions(data: bytes, start: int = 0, stop: int | None = None) -> Iterator[Instruction]:
    """The instructions of the pickle in ``data[start:stop]`` up to its STOP.

    Raises ValueError at bytes that are not an instruction.

    >>> [each.name for each in instructions(b"N.")]
    ['NONE', 'STOP']
    """
    stop = len(data) if stop is None else stop
    at = start
    while at < stop:
        kind = _BY_CODE.get(data[at])
        if kind is None:
            raise ValueError(f"byte {at - start}, {data[at]:#04x}, is not an instruction of a pickle")
        argument, size, end = _argument(kind.arg, data, at + 1, stop)
        is_long = size > _EXCERPT and isinstance(argument, bytes)
        more = data[end - size : end - size + _BEGINNING] if is_long else b""
        yield Instruction(at - start, kind.name, argument, size, more)
        if kind.name == "STOP":
            return
        at = end
    raise ValueError("it ends before its STOP")


def _argument(kind: Any, data: bytes, at: int, stop: int) -> tuple[Any, int, int]:
    """The argument at this place, the size of a str or bytes argument, and where the next instruction is."""
    if kind is None:
        return None, 0, at
    if kind.n == pickletools.UP_TO_NEWLINE:
        return _lines(kind.name, data, at, stop)
    if kind.n in _LENGTHS:
        begin = at + _LENGTHS[kind.n]
        size = int.from_bytes(data[at:begin], "little", signed=kind.name == "long4")
        end = begin + size
        if not begin <= end <= stop:
            raise ValueError(f"an argument of {size:,} bytes does not fit into what is left")
        argument = _counted(kind.name, data[begin : min(end, begin + _EXCERPT)], size)
        return argument, 0 if kind.name.startswith("long") else size, end
    end = at + kind.n
    if end > stop:
        raise ValueError("it ends within an instruction")
    return _FIXED[kind.name](data[at:end]), 0, end


def _lines(kind: str, data: bytes, at: int, stop: int) -> tuple[Any, int, int]:
    found, begin = [], at
    for _ in range(2 if kind == "stringnl_noescape_pair" else 1):
        end = data.find(b"\n", begin, stop)
        if end < 0:
            raise ValueError("a line has no end")
        found.append(data[begin : min(end, begin + _EXCERPT)])
        size, begin = end - begin, end + 1
    if len(found) == 2:
        return " ".join(_text(line) for line in found), 0, begin
    if kind == "floatnl":
        return _number(float, found[0]), 0, begin
    if kind.startswith("decimalnl"):
        return _number(int, found[0].removesuffix(b"L")) if size < _EXCERPT else f"int of {size:,} digits", 0, begin
    if kind == "stringnl" and found[0][:1] in (b"'", b'"'):
        found[0], size = found[0][1:].removesuffix(found[0][:1]), size - 2
    if kind == "unicodestringnl":
        return found[0].decode("raw-unicode-escape", "backslashreplace"), size, begin
    return _text(found[0]), size, begin


def _number(kind: Callable[[bytes], Any], line: bytes) -> Any:
    """The number in a line. Protocols 0 and 1 write False and True as the ints ``00`` and ``01``."""
    return line == b"01" if kind is int and line in (b"00", b"01") else kind(line)


def _counted(kind: str, excerpt: bytes, size: int) -> Any:
    if kind.startswith("long"):
        return int.from_bytes(excerpt, "little", signed=True) if size <= 64 else f"int of {size:,} bytes"
    return excerpt if kind.startswith("byte") else _text(excerpt, whole=size <= len(excerpt))


def _text(excerpt: bytes, *, whole: bool = True) -> str:
    """The text. If it was cut within a character, that character is left out."""
    if not whole:
        while excerpt and excerpt[-1] & 0xC0 == 0x80:
            excerpt = excerpt[:-1]
        excerpt = excerpt[:-1] if excerpt[-1:] >= b"\xc0" else excerpt
    return excerpt.decode("utf-8", "backslashreplace")


_FIXED: dict[str, Callable[[bytes], Any]] = {
    "uint1": lambda data: data[0],
    "uint2": lambda data: int.from_bytes(data, "little"),
    "uint4": lambda data: int.from_bytes(data, "little"),
    "uint8": lambda data: int.from_bytes(data, "little"),
    "int4": lambda data: int.from_bytes(data, "little", signed=True),
    "float8": lambda data: struct.unpack(">d", data)[0],
}
