"""The instructions of pickles, as steps of the gate's interpreter. Each step returns where the next instruction is."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pickle import UnpicklingError, decode_long
from typing import Any, TypeAlias

from coshelf.errors import UntrustedValue
from coshelf.trust.gate.known import Machine, Unfinished, refused

__all__ = ["STEPS"]

_Step: TypeAlias = Callable[[Machine, int], int]
STEPS: list[_Step | None] = [None] * 256


def _step(*codes: int) -> Callable[[_Step], _Step]:
    def note(step: _Step) -> _Step:
        for code in codes:
            STEPS[code] = step
        return step

    return note


def _constant(code: int, value: Any) -> None:
    def step(machine: Machine, at: int) -> int:
        machine.stack.append(value)
        return at

    STEPS[code] = step


def _empty(code: int, kind: Callable[[], Any]) -> None:
    def step(machine: Machine, at: int) -> int:
        machine.stack.append(kind())
        return at

    STEPS[code] = step


def _fixed(code: int, form: str) -> None:
    read = struct.Struct(form)

    def step(machine: Machine, at: int) -> int:
        machine.stack.append(read.unpack_from(machine.data, at)[0])
        return at + read.size

    STEPS[code] = step


def _sized(code: int, width: int, decode: Callable[[bytes], Any]) -> None:
    def step(machine: Machine, at: int) -> int:
        found, at = machine.counted(at, width)
        machine.stack.append(decode(found))
        return at

    STEPS[code] = step


def _lined(code: int, decode: Callable[[bytes], Any]) -> None:
    def step(machine: Machine, at: int) -> int:
        found, at = machine.line(at)
        machine.stack.append(decode(found))
        return at

    STEPS[code] = step


def _int(line: bytes) -> Any:
    """Reads an int. Protocols 0 and 1 write False and True as ``00`` and ``01``."""
    return line == b"01" if line in (b"00", b"01") else int(line)


def _quoted(line: bytes) -> str:
    """A str of Python 2 between quotes."""
    import codecs

    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise UnpicklingError("the STRING opcode argument must be quoted")
    return codecs.escape_decode(line[1:-1])[0].decode("ascii")


for _code, _value in ((0x4E, None), (0x88, True), (0x89, False), (0x29, ())):
    _constant(_code, _value)
for _code, _kind in ((0x5D, list), (0x7D, dict), (0x8F, set)):
    _empty(_code, _kind)
for _code, _form in ((0x4B, "<B"), (0x4D, "<H"), (0x4A, "<i"), (0x47, ">d")):
    _fixed(_code, _form)
for _code, _width in ((0x8C, 1), (0x58, 4), (0x8D, 8)):
    _sized(_code, _width, lambda text: text.decode("utf-8", "surrogatepass"))
for _code, _width in ((0x55, 1), (0x54, 4)):
    _sized(_code, _width, lambda text: text.decode("ascii"))
for _code, _width in ((0x43, 1), (0x42, 4), (0x8E, 8)):
    _sized(_code, _width, bytes)
for _code, _width, _decode in ((0x8A, 1, decode_long), (0x8B, 4, decode_long), (0x96, 8, bytearray)):
    _sized(_code, _width, _decode)
for _code, _read in (
    (0x49, _int), (0x4C, lambda line: int(line.removesuffix(b"L"))), (0x46, float), (0x53, _quoted),
    (0x56, lambda line: line.decode("raw-unicode-escape")),
):  # fmt: skip
    _lined(_code, _read)


@_step(0x80)
def _proto(machine: Machine, at: int) -> int:
    if machine.data[at] > 5:
        raise ValueError(f"unsupported pickle protocol: {machine.data[at]}")
    return at + 1


@_step(0x95)
def _frame(_machine: Machine, at: int) -> int:
    return at + 8


@_step(0x94)
def _memoize(machine: Machine, at: int) -> int:
    machine.memo[len(machine.memo)] = machine.stack[-1]
    return at


@_step(0x71)
def _binput(machine: Machine, at: int) -> int:
    machine.memo[machine.data[at]] = machine.stack[-1]
    return at + 1


@_step(0x72)
def _long_binput(machine: Machine, at: int) -> int:
    machine.memo[int.from_bytes(machine.data[at : at + 4], "little")] = machine.stack[-1]
    return at + 4


@_step(0x70)
def _put(machine: Machine, at: int) -> int:
    line, at = machine.line(at)
    machine.memo[int(line)] = machine.stack[-1]
    return at


@_step(0x68)
def _binget(machine: Machine, at: int) -> int:
    machine.give(machine.data[at])
    return at + 1


@_step(0x6A)
def _long_binget(machine: Machine, at: int) -> int:
    machine.give(int.from_bytes(machine.data[at : at + 4], "little"))
    return at + 4


@_step(0x67)
def _get(machine: Machine, at: int) -> int:
    line, at = machine.line(at)
    machine.give(int(line))
    return at


@_step(0x28)
def _mark(machine: Machine, at: int) -> int:
    machine.below.append(machine.stack)
    machine.stack = []
    return at


@_step(0x30)
def _pop(machine: Machine, at: int) -> int:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.marked()
    return at


@_step(0x31)
def _pop_mark(machine: Machine, at: int) -> int:
    machine.marked()
    return at


@_step(0x32)
def _dup(machine: Machine, at: int) -> int:
    if type(machine.stack[-1]) is Unfinished:
        raise refused("an object without its state")
    machine.stack.append(machine.stack[-1])
    return at


@_step(0x74)
def _tuple(machine: Machine, at: int) -> int:
    parts = machine.marked()
    machine.stack.append(tuple(parts))
    return at


@_step(0x85, 0x86, 0x87)
def _tuple_of_few(machine: Machine, at: int) -> int:
    count = machine.data[at - 1] - 0x84
    parts = machine.stack[-count:]
    if len(parts) < count:
        raise IndexError
    del machine.stack[-count:]
    machine.stack.append(tuple(parts))
    return at


@_step(0x6C)
def _list(machine: Machine, at: int) -> int:
    parts = machine.marked()
    machine.stack.append(parts)
    return at


@_step(0x64)
def _dict(machine: Machine, at: int) -> int:
    parts = machine.marked()
    made: dict[Any, Any] = {}
    machine.set_items(made, parts)
    machine.stack.append(made)
    return at


@_step(0x91)
def _frozenset(machine: Machine, at: int) -> int:
    parts = machine.marked()
    machine.hashable(parts)
    machine.stack.append(frozenset(parts))
    return at


@_step(0x61)
def _append(machine: Machine, at: int) -> int:
    item = machine.stack.pop()
    machine.fill(machine.stack[-1], [item])
    return at


@_step(0x65)
def _appends(machine: Machine, at: int) -> int:
    items = machine.marked()
    machine.fill(machine.stack[-1], items)
    return at


@_step(0x73)
def _setitem(machine: Machine, at: int) -> int:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.set_items(machine.stack[-1], [key, value])
    return at


@_step(0x75)
def _setitems(machine: Machine, at: int) -> int:
    items = machine.marked()
    machine.set_items(machine.stack[-1], items)
    return at


@_step(0x90)
def _additems(machine: Machine, at: int) -> int:
    items = machine.marked()
    machine.add(machine.stack[-1], items)
    return at


@_step(0x63)
def _global(machine: Machine, at: int) -> int:
    module, at = machine.line(at)
    name, at = machine.line(at)
    machine.find(module.decode(), name.decode())
    return at


@_step(0x93)
def _stack_global(machine: Machine, at: int) -> int:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.find(module, name)
    return at


@_step(0x52)
def _reduce(machine: Machine, at: int) -> int:
    arguments, called = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.call(called, arguments))
    return at


@_step(0x81)
def _newobj(machine: Machine, at: int) -> int:
    arguments, called = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.new(called, arguments, {}))
    return at


@_step(0x92)
def _newobj_ex(machine: Machine, at: int) -> int:
    named, arguments, called = machine.stack.pop(), machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.new(called, arguments, named))
    return at


def _old_instance(machine: Machine, called: Any, arguments: list[Any]) -> None:
    """Make an instance as Python 2 did: without arguments the class is not called."""
    known = machine.known(called)
    if known is not None and not arguments and known.begins:
        machine.stack.append(machine.new(called, (), {}))
    else:
        machine.stack.append(machine.call(called, tuple(arguments)))


@_step(0x69)
def _inst(machine: Machine, at: int) -> int:
    module, at = machine.line(at)
    name, at = machine.line(at)
    arguments = machine.marked()
    machine.find(module.decode(), name.decode())
    _old_instance(machine, machine.stack.pop(), arguments)
    return at


@_step(0x6F)
def _obj(machine: Machine, at: int) -> int:
    called, *arguments = machine.marked() or [None]
    _old_instance(machine, called, arguments)
    return at


@_step(0x62)
def _build(machine: Machine, at: int) -> int:
    state = machine.stack.pop()
    machine.stack[-1] = machine.build(machine.stack[-1], state)
    return at


@_step(0x97)
def _next_buffer(machine: Machine, at: int) -> int:
    machine.stack.append(machine.next_buffer())
    return at


@_step(0x98)
def _readonly_buffer(machine: Machine, at: int) -> int:
    buffer = machine.stack[-1]
    if type(buffer) not in (bytes, bytearray, memoryview):
        raise UnpicklingError("what the pickle marks as read-only is not a buffer")
    view = memoryview(buffer)
    if not view.readonly:
        machine.stack[-1] = view.toreadonly()
    return at


def _extension(machine: Machine, at: int) -> int:
    raise UntrustedValue(f"extension {machine.data[at]} of copyreg is not plain data", f"extension {machine.data[at]}")


for _code in (0x82, 0x83, 0x84):
    STEPS[_code] = _extension
