"""Rewrites the pickles of keys without a memo, so that they are equal to those of :func:`pickled_key`.

diskcache's pickles refer to an object that occurs again: ``(a, a)`` is another key than ``(a, b)`` with equal texts.
Only the instructions of a pickle are read here. Nothing is made of them, so no pickle runs code.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["without_memo"]

_LONGEST = 60_000  # bytes; Python divides longer pickles into frames
_DEEPEST = 500
_SHORTEST_FRAME = 4
_FRAMES_SINCE = 4  # protocol
_MARK = b"("
_PROTO = b"\x80"
_MEMOIZE, _MEMOIZES_SINCE = b"\x94", b"\x04"  # the only instruction that Python writes for it since protocol 4

_STORING = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_RECALLING = frozenset({"GET", "BINGET", "LONG_BINGET"})
_CHANGING = frozenset({"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"})
"""These change the object below their arguments, also if it is in the memo."""
_UNKNOWN = frozenset({"POP", "POP_MARK", "DUP", "NEXT_BUFFER", "READONLY_BUFFER"})


class _Unfit(Exception):
    """The pickle cannot be written without a memo, or is none."""


@dataclass(eq=False, slots=True)
class _Made:
    """An object that instructions make.

    Attributes:
        parts: the instructions, and the objects that they need before them.
        is_being_written: whether this is the case. An object that holds itself has no end without a memo.
    """

    parts: list[bytes | _Made]
    is_being_written: bool = False


_BEGIN: Final = _Made([])
"""What the instruction MARK leaves on the stack."""


def without_memo(data: bytes) -> bytes:
    """The pickle without a memo. A pickle that needs one, or is too large, or is none, is returned as it is."""
    has_none = data[:1] == _PROTO and data[1:2] >= _MEMOIZES_SINCE and _MEMOIZE not in data
    if has_none or len(data) > _LONGEST:
        return data
    try:
        protocol, made = _read(data)
        return _framed(protocol, b"".join(_written(made, 0, [_LONGEST])))
    except (_Unfit, ValueError, IndexError, KeyError, UnicodeDecodeError):
        return data


def _read(data: bytes) -> tuple[bytes, _Made]:
    """The instruction PROTO, if there is one, and the object that the pickle makes."""
    protocol = b""
    stack: list[_Made] = []
    memo: dict[int, _Made] = {}
    for operation, argument, code in _instructions(data):
        name = operation.name
        if name == "PROTO":
            protocol = code
        elif name == "FRAME":
            pass
        elif name in _UNKNOWN:
            raise _Unfit
        elif name == "MARK":
            stack.append(_BEGIN)
        elif name in _STORING:
            memo[len(memo) if name == "MEMOIZE" else int(argument)] = stack[-1]  # type: ignore[call-overload]
        elif name in _RECALLING:
            stack.append(memo[int(argument)])  # type: ignore[call-overload]
        elif name == "STOP":
            if len(stack) != 1:
                raise _Unfit
            return protocol, _Made([stack[0], code])
        else:
            _apply(operation, code, stack)
    raise _Unfit


def _instructions(data: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, object, bytes]]:
    """Each instruction, its argument, and its bytes. Bytes after the end are refused."""
    before: tuple[pickletools.OpcodeInfo, object, int] | None = None
    for operation, argument, at in pickletools.genops(data):
        assert at is not None
        if before is not None:
            yield before[0], before[1], data[before[2] : at]
        before = operation, argument, at
    if before is None or before[2] != len(data) - 1:
        raise _Unfit
    yield before[0], before[1], data[before[2] :]


def _apply(operation: pickletools.OpcodeInfo, code: bytes, stack: list[_Made]) -> None:
    """Take the arguments of an instruction from the stack, and put its result there."""
    needed = operation.stack_before
    arguments: list[bytes | _Made] = []
    if pickletools.markobject in needed:
        at = len(stack) - 1
        while stack[at] is not _BEGIN:
            at -= 1
            if at < 0:
                raise _Unfit
        arguments = [_MARK, *stack[at + 1 :]]
        del stack[at:]
        others = needed.index(pickletools.markobject)
    else:
        others = len(needed)
        if operation.name in _CHANGING:
            arguments = [*stack[-(others - 1) :]]
            del stack[-(others - 1) :]
            others = 1
    if others > len(stack) or len(operation.stack_after) != 1:
        raise _Unfit
    if operation.name in _CHANGING:
        stack[-1].parts += [*arguments, code]
        return
    if others:
        arguments = [*stack[-others:], *arguments]
        del stack[-others:]
    stack.append(_Made([*arguments, code]))


def _written(made: _Made, depth: int, left: list[int]) -> Iterator[bytes]:
    """The instructions that make an object. ``left`` has the number of bytes that they may have."""
    if made is _BEGIN or depth > _DEEPEST or made.is_being_written:
        raise _Unfit
    made.is_being_written = True
    for part in made.parts:
        if isinstance(part, bytes):
            left[0] -= len(part)
            if left[0] < 0:
                raise _Unfit
            yield part
        else:
            yield from _written(part, depth + 1, left)
    made.is_being_written = False


def _framed(protocol: bytes, body: bytes) -> bytes:
    if not protocol or protocol[1] < _FRAMES_SINCE or len(body) < _SHORTEST_FRAME:
        return protocol + body
    return protocol + b"\x95" + len(body).to_bytes(8, "little") + body
