"""Takes large buffers out of pickles, and puts them back, without unpickling."""

from __future__ import annotations

import pickletools
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from coshelf.values.blobs import LARGE, MOST_BUFFERS

__all__ = ["has_large_bytes", "inline", "lifted"]

_BINBYTES, _BINBYTES8, _FRAME, _BYTEARRAY8, _NEXT_BUFFER, _READONLY_BUFFER = 0x42, 0x8E, 0x95, 0x96, 0x97, 0x98
_HEAD = 9  # bytes of an instruction with its length field of eight bytes


def lifted(payload: bytes, found: list[memoryview]) -> tuple[bytes, list[memoryview]]:
    """The pickle without its large bytearrays, and all buffers in order. The C pickler does not pass bytearrays on."""
    spans = list(_large(payload, _BYTEARRAY8))[: MOST_BUFFERS - len(found)]
    if not spans:
        return payload, found
    whole, end = memoryview(payload), 0
    parts: list[bytes | memoryview] = []
    buffers: list[memoryview] = []
    passed = _passed_on(payload, spans) if found else [0] * len(spans)
    taken = 0
    for (start, stop), before in zip(spans, passed, strict=True):
        parts += (whole[end:start], bytes((_NEXT_BUFFER,)))
        buffers += (*found[taken:before], whole[start + _HEAD : stop])
        end, taken = stop, before
    return b"".join((*parts, whole[end:])), buffers + found[taken:]


def has_large_bytes(payload: bytes) -> bool:
    """Whether there are large bytes in a pickle."""
    return any(True for _ in _large(payload, _BINBYTES, _BINBYTES8))


def _large(payload: bytes, *codes: int) -> Iterator[tuple[int, int]]:
    """Where in a pickle of protocol 5 the large arguments of these instructions begin and end.

    Large arguments stand between frames, so all instructions within frames are skipped.
    """
    at = 2
    while at < len(payload):
        code = payload[at]
        if code == _FRAME:
            at += _HEAD + int.from_bytes(payload[at + 1 : at + _HEAD], "little")
            continue
        width, size = _argument(payload, at)
        stop = at + 1 + width + size
        if code in codes and size >= LARGE:
            yield at, stop
        at = stop


def _argument(payload: bytes, at: int) -> tuple[int, int]:
    """The size in bytes of an instruction's argument: of its length field, and of the rest.

    It knows the instructions that the C pickler puts outside of frames.
    """
    argument = pickletools.code2op[chr(payload[at])].arg  # type: ignore[attr-defined]
    if argument is None:
        return 0, 0
    width = _LENGTHS.get(argument.n)
    if width is None:
        return 0, int(argument.n)
    return width, int.from_bytes(payload[at + 1 : at + 1 + width], "little")


_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
"""How many bytes of an instruction's argument say how long the rest of it is."""


def _passed_on(payload: bytes, spans: list[tuple[int, int]]) -> list[int]:
    """How many buffers were passed on before each of these places."""
    places = [place or 0 for code, _, place in pickletools.genops(payload) if ord(code.code) == _NEXT_BUFFER]
    return [bisect_left(places, start) for start, _ in spans]


def inline(payload: bytes | memoryview, buffers: Sequence[memoryview]) -> bytes:
    """The same pickle with its buffers in it. Raises ValueError if the number of buffers does not fit."""
    data = bytes(payload)
    codes = [(ord(code.code), place or 0) for code, _, place in pickletools.genops(data)]
    ends = [place for _, place in codes[1:]] + [len(data)]
    parts: list[bytes | memoryview] = []
    left = iter(buffers)
    for (code, start), stop in zip(codes, ends, strict=True):
        if code == _NEXT_BUFFER:
            buffer = next(left, None)
            if buffer is None:
                raise ValueError("the pickle asks for more buffers than there are")
            parts += (bytes((_BYTEARRAY8,)), buffer.nbytes.to_bytes(8, "little"), buffer)
        elif code not in (_FRAME, _READONLY_BUFFER):
            parts.append(data[start:stop])
    return b"".join(parts)
