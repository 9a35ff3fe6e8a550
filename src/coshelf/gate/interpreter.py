"""The gate's own interpreter of pickles, for those that call anything but dates.

Each instruction does one thing to objects of exact types that are listed here. No method of an object is looked up, so
that classes, functions, members of enumerations and numpy's objects can lie on the stack and nothing happens to them.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from pickle import UnpicklingError, decode_long
from typing import Any

from coshelf.errors import UntrustedValue
from coshelf.gate.known import Known, Unfinished, refused
from coshelf.gate.states import STATES

__all__ = ["Interpreter"]

_FEWEST_PARTS = 1_000_000  # that constructors may copy or hash in one pickle: a tenth of a second
_PARTS_PER_BYTE = 16
_MARK = object()

_SETTERS: dict[type, Callable[[Any, Any, Any], None]] = {
    each: each.__setitem__ for each in (dict, OrderedDict, defaultdict, Counter)
}
_EXTENDERS: dict[type, Callable[[Any, Iterable[Any]], None]] = {list: list.extend, deque: deque.extend}


class Interpreter:
    """Runs one pickle.

    Args:
        data: the pickle, which :func:`coshelf.gate.bounds.survey` has passed.
        name: gives what a name stands for, or raises.
        buffers: what lies beside the pickle.
    """

    def __init__(self, data: bytes, name: Callable[[str, str], Known], buffers: Iterable[Any] | None) -> None:
        self.data = data
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.unfinished = 0
        self.parts = _FEWEST_PARTS + _PARTS_PER_BYTE * len(data)
        self._name = name
        self._known: dict[int, Known] = {}
        self._own: dict[int, Known] = {}
        self._foreign: set[int] = set()
        self._given: set[int] = set()
        self._kept: list[Any] = []  # so that no id is used again
        self._buffers = None if buffers is None else iter(buffers)

    def run(self) -> Any:
        """The value."""
        data, steps, at = self.data, _STEPS, 0
        try:
            while True:
                code = data[at]
                if code == 0x2E:  # STOP
                    break
                step = steps[code]
                if step is None:
                    raise UnpicklingError(f"a pickle of data has no instruction {bytes((code,))!r}")
                at = step(self, at + 1)
            value = self.stack.pop()
        except (IndexError, struct.error):
            raise UnpicklingError("the instructions of the pickle do not fit together, or it is cut off") from None
        if self.unfinished:
            raise refused("an object without its state")
        return value

    # --- what constructors ask for -----------------------------------------------------------------------------------

    def spend(self, parts: int) -> None:
        """Note that parts are copied or hashed. Raises if that is more than a pickle of this size needs."""
        self.parts -= parts
        if self.parts < 0:
            raise refused(f"a pickle of {len(self.data)} bytes that asks for more work than its size can need")

    def hashable(self, keys: Iterable[Any]) -> None:
        """Note that these are hashed. Tuples are hashed with all that they hold, again and again."""
        left = []
        for key in keys:
            kind = type(key)
            if kind is tuple:
                left.append(key)
            elif kind is int and key.bit_length() > 4096:
                self.spend(key.bit_length() >> 9)
        while left:
            parts = left.pop()
            self.spend(len(parts) + 1)
            left.extend(part for part in parts if type(part) is tuple)
            self.parts -= sum(part.bit_length() >> 9 for part in parts if type(part) is int)

    def known(self, named: Any) -> Known | None:
        """What the pickle asked for by name, by the object that stands for it."""
        return self._known.get(id(named))

    def begin(self, finish: Callable[[Interpreter, Any, Any], Any], arguments: Any) -> Unfinished:
        """An object that is made as soon as its state is there."""
        self.unfinished += 1
        return Unfinished(finish, arguments)

    # --- names, calls and states -------------------------------------------------------------------------------------

    def find(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise UnpicklingError("a name in the pickle is no text")
        known = self._name(module, name)
        self._known[id(known.value)] = known
        self.stack.append(known.value)

    def call(self, called: Any, arguments: Any) -> Any:
        known = self._known.get(id(called))
        if known is None or type(arguments) is not tuple:
            raise refused(f"a call of {type(called).__name__}")
        return self.noted(known.make(self, arguments), known)

    def new(self, called: Any, arguments: Any, named: dict[str, Any]) -> Any:
        """An instance of a class that is not called."""
        known = self._known.get(id(called))
        if known is None or type(arguments) is not tuple or type(named) is not dict:
            raise refused(f"an instance of {type(called).__name__}")
        return self.noted(known.new(self, arguments, named), known)

    def noted(self, made: Any, known: Known) -> Any:
        """The same object. What the program's code made is its own, unless it is an instance of an allowed class."""
        if known.owner is not None:
            self._kept.append(made)
            if known.owner.owns(made):
                self._own.setdefault(id(made), known)
            else:
                self._foreign.add(id(made))
        return made

    def owner(self, target: Any) -> Any:
        """What changes an instance of an allowed class that this pickle made; None if it is one of plain data."""
        if id(target) in self._foreign:
            raise refused(f"a pickle that changes {_told(target)}, which the program made", _name_of(target))
        known = self._own.get(id(target))
        return None if known is None else known.owner

    def build(self, target: Any, state: Any) -> Any:
        """The object with its state: given to it once, and never to one that something else made."""
        if type(target) is Unfinished:
            if target.made is not None:
                raise refused("a second state")
            target.made = target.finish(self, target.arguments, state)
            self.unfinished -= 1
            return target.made
        owner = self.owner(target)
        give = STATES.get(type(target)) if owner is None else owner.build
        if give is None:
            raise UntrustedValue(f"a pickle of data does not change {_told(target)}", _name_of(target))
        if id(target) in self._given:
            raise refused(f"a second state of {type(target).__name__}")
        self._given.add(id(target))
        self._kept.append(target)
        give(self, target, state)
        return target

    # --- the stack and the memo --------------------------------------------------------------------------------------

    def marked(self) -> list[Any]:
        marked, self.stack = self.stack, self.below.pop()
        return marked

    def give(self, index: int) -> None:
        try:
            value = self.memo[index]
        except KeyError:
            raise UnpicklingError(f"the pickle has noted nothing as {index}") from None
        if type(value) is Unfinished:
            if value.made is None:
                raise refused("an object within its own state")
            value = value.made
        self.stack.append(value)

    def fill(self, target: Any, items: list[Any]) -> None:
        owner = self.owner(target)
        extend = _EXTENDERS.get(type(target)) if owner is None else owner.extend
        if extend is None:
            raise refused(f"a pickle that adds to {_told(target)}", _name_of(target))
        extend(target, items)

    def set_items(self, target: Any, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        if len(keys) != len(values):
            raise UnpicklingError("a key of the pickle has no value")
        self.hashable(keys)
        owner = self.owner(target)
        put = _SETTERS.get(type(target)) if owner is None else owner.set_item
        if put is None:
            raise refused(f"a pickle that sets items of {_told(target)}", _name_of(target))
        for key, value in zip(keys, values, strict=True):
            put(target, key, value)

    def add(self, target: Any, items: list[Any]) -> None:
        self.hashable(items)
        owner = self.owner(target)
        if owner is not None:
            owner.add(target, items)
        elif type(target) is set:
            target.update(items)
        else:
            raise refused(f"a pickle that adds to {_told(target)}", _name_of(target))

    def next_buffer(self) -> Any:
        if self._buffers is None:
            raise UnpicklingError("the pickle asks for buffers that are not beside it")
        found = next(self._buffers, _MARK)
        if found is _MARK:
            raise UnpicklingError("the pickle asks for more buffers than there are")
        return found

    def line(self, at: int) -> tuple[bytes, int]:
        """What is before the end of the line, and where the next begins."""
        end = self.data.find(b"\n", at)
        if end < 0:
            raise IndexError
        return self.data[at:end], end + 1

    def counted(self, at: int, width: int) -> tuple[bytes, int]:
        """Bytes behind their length, and where they end."""
        start = at + width
        end = start + int.from_bytes(self.data[at:start], "little")
        if end > len(self.data):
            raise IndexError
        return self.data[start:end], end


def _told(target: Any) -> str:
    return repr(target) if isinstance(target, type) or type(target) is Known else f"an object of {type(target)!r}"


def _name_of(target: Any) -> str:
    named = target if isinstance(target, type) else type(target)
    return f"{named.__module__}.{named.__qualname__}"


# --- instructions: where the machine is, to where the next one is ----------------------------------------------------

_Step = Callable[[Interpreter, int], int]
_STEPS: list[_Step | None] = [None] * 256


def _step(*codes: int) -> Callable[[_Step], _Step]:
    def note(step: _Step) -> _Step:
        for code in codes:
            _STEPS[code] = step
        return step

    return note


def _constant(code: int, value: Any) -> None:
    def step(machine: Interpreter, at: int) -> int:
        machine.stack.append(value)
        return at

    _STEPS[code] = step


def _empty(code: int, kind: Callable[[], Any]) -> None:
    def step(machine: Interpreter, at: int) -> int:
        machine.stack.append(kind())
        return at

    _STEPS[code] = step


def _fixed(code: int, form: str) -> None:
    read = struct.Struct(form)

    def step(machine: Interpreter, at: int) -> int:
        machine.stack.append(read.unpack_from(machine.data, at)[0])
        return at + read.size

    _STEPS[code] = step


def _sized(code: int, width: int, decode: Callable[[bytes], Any]) -> None:
    def step(machine: Interpreter, at: int) -> int:
        found, at = machine.counted(at, width)
        machine.stack.append(decode(found))
        return at

    _STEPS[code] = step


def _lined(code: int, decode: Callable[[bytes], Any]) -> None:
    def step(machine: Interpreter, at: int) -> int:
        found, at = machine.line(at)
        machine.stack.append(decode(found))
        return at

    _STEPS[code] = step


def _int(line: bytes) -> Any:
    """``00`` and ``01`` are how protocols 0 and 1 say False and True."""
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
def _proto(machine: Interpreter, at: int) -> int:
    if machine.data[at] > 5:
        raise ValueError(f"unsupported pickle protocol: {machine.data[at]}")
    return at + 1


@_step(0x95)
def _frame(_machine: Interpreter, at: int) -> int:
    return at + 8


@_step(0x94)
def _memoize(machine: Interpreter, at: int) -> int:
    machine.memo[len(machine.memo)] = machine.stack[-1]
    return at


@_step(0x71)
def _binput(machine: Interpreter, at: int) -> int:
    machine.memo[machine.data[at]] = machine.stack[-1]
    return at + 1


@_step(0x72)
def _long_binput(machine: Interpreter, at: int) -> int:
    machine.memo[int.from_bytes(machine.data[at : at + 4], "little")] = machine.stack[-1]
    return at + 4


@_step(0x70)
def _put(machine: Interpreter, at: int) -> int:
    line, at = machine.line(at)
    machine.memo[int(line)] = machine.stack[-1]
    return at


@_step(0x68)
def _binget(machine: Interpreter, at: int) -> int:
    machine.give(machine.data[at])
    return at + 1


@_step(0x6A)
def _long_binget(machine: Interpreter, at: int) -> int:
    machine.give(int.from_bytes(machine.data[at : at + 4], "little"))
    return at + 4


@_step(0x67)
def _get(machine: Interpreter, at: int) -> int:
    line, at = machine.line(at)
    machine.give(int(line))
    return at


@_step(0x28)
def _mark(machine: Interpreter, at: int) -> int:
    machine.below.append(machine.stack)
    machine.stack = []
    return at


@_step(0x30)
def _pop(machine: Interpreter, at: int) -> int:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.marked()
    return at


@_step(0x31)
def _pop_mark(machine: Interpreter, at: int) -> int:
    machine.marked()
    return at


@_step(0x32)
def _dup(machine: Interpreter, at: int) -> int:
    if type(machine.stack[-1]) is Unfinished:
        raise refused("an object without its state")
    machine.stack.append(machine.stack[-1])
    return at


@_step(0x74)
def _tuple(machine: Interpreter, at: int) -> int:
    parts = machine.marked()
    machine.stack.append(tuple(parts))
    return at


@_step(0x85, 0x86, 0x87)
def _tuple_of_few(machine: Interpreter, at: int) -> int:
    count = machine.data[at - 1] - 0x84
    parts = machine.stack[-count:]
    if len(parts) < count:
        raise IndexError
    del machine.stack[-count:]
    machine.stack.append(tuple(parts))
    return at


@_step(0x6C)
def _list(machine: Interpreter, at: int) -> int:
    parts = machine.marked()
    machine.stack.append(parts)
    return at


@_step(0x64)
def _dict(machine: Interpreter, at: int) -> int:
    parts = machine.marked()
    made: dict[Any, Any] = {}
    machine.set_items(made, parts)
    machine.stack.append(made)
    return at


@_step(0x91)
def _frozenset(machine: Interpreter, at: int) -> int:
    parts = machine.marked()
    machine.hashable(parts)
    machine.stack.append(frozenset(parts))
    return at


@_step(0x61)
def _append(machine: Interpreter, at: int) -> int:
    item = machine.stack.pop()
    machine.fill(machine.stack[-1], [item])
    return at


@_step(0x65)
def _appends(machine: Interpreter, at: int) -> int:
    items = machine.marked()
    machine.fill(machine.stack[-1], items)
    return at


@_step(0x73)
def _setitem(machine: Interpreter, at: int) -> int:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.set_items(machine.stack[-1], [key, value])
    return at


@_step(0x75)
def _setitems(machine: Interpreter, at: int) -> int:
    items = machine.marked()
    machine.set_items(machine.stack[-1], items)
    return at


@_step(0x90)
def _additems(machine: Interpreter, at: int) -> int:
    items = machine.marked()
    machine.add(machine.stack[-1], items)
    return at


@_step(0x63)
def _global(machine: Interpreter, at: int) -> int:
    module, at = machine.line(at)
    name, at = machine.line(at)
    machine.find(module.decode(), name.decode())
    return at


@_step(0x93)
def _stack_global(machine: Interpreter, at: int) -> int:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.find(module, name)
    return at


@_step(0x52)
def _reduce(machine: Interpreter, at: int) -> int:
    arguments, called = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.call(called, arguments))
    return at


@_step(0x81)
def _newobj(machine: Interpreter, at: int) -> int:
    arguments, called = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.new(called, arguments, {}))
    return at


@_step(0x92)
def _newobj_ex(machine: Interpreter, at: int) -> int:
    named, arguments, called = machine.stack.pop(), machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.new(called, arguments, named))
    return at


def _old_instance(machine: Interpreter, called: Any, arguments: list[Any]) -> None:
    """As Python 2 made instances: without arguments the class is not called."""
    known = machine.known(called)
    if known is not None and not arguments and known.begins:
        machine.stack.append(machine.new(called, (), {}))
    else:
        machine.stack.append(machine.call(called, tuple(arguments)))


@_step(0x69)
def _inst(machine: Interpreter, at: int) -> int:
    module, at = machine.line(at)
    name, at = machine.line(at)
    arguments = machine.marked()
    machine.find(module.decode(), name.decode())
    _old_instance(machine, machine.stack.pop(), arguments)
    return at


@_step(0x6F)
def _obj(machine: Interpreter, at: int) -> int:
    called, *arguments = machine.marked() or [None]
    _old_instance(machine, called, arguments)
    return at


@_step(0x62)
def _build(machine: Interpreter, at: int) -> int:
    state = machine.stack.pop()
    machine.stack[-1] = machine.build(machine.stack[-1], state)
    return at


@_step(0x97)
def _next_buffer(machine: Interpreter, at: int) -> int:
    machine.stack.append(machine.next_buffer())
    return at


@_step(0x98)
def _readonly_buffer(machine: Interpreter, at: int) -> int:
    buffer = machine.stack[-1]
    if type(buffer) not in (bytes, bytearray, memoryview):
        raise UnpicklingError("what the pickle marks as read-only is no buffer")
    view = memoryview(buffer)
    if not view.readonly:
        machine.stack[-1] = view.toreadonly()
    return at


def _extension(machine: Interpreter, at: int) -> int:
    raise UntrustedValue(f"extension {machine.data[at]} of copyreg is no plain data", f"extension {machine.data[at]}")


for _code in (0x82, 0x83, 0x84):
    _STEPS[_code] = _extension
