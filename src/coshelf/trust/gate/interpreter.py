"""The gate's own interpreter of pickles, for those that call anything but dates.

Each instruction does one thing to objects of exact types that are listed here. It looks up no method of an object. So
classes, functions, members of enumerations and numpy's objects can lie on the stack, and nothing happens to them.
"""

from __future__ import annotations

import struct
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from pickle import UnpicklingError
from typing import Any

from coshelf.errors import UntrustedValue
from coshelf.trust.gate.instructions import STEPS
from coshelf.trust.gate.known import Known, Machine, Unfinished, refused
from coshelf.trust.gate.states import STATES

__all__ = ["Interpreter"]

_FEWEST_PARTS = 1_000_000  # that constructors may copy or hash in one pickle: a tenth of a second
_PARTS_PER_BYTE = 16
_MARK = object()
_LONG_NUMBERS = ("decimal", "fractions")  # modules of numbers that have many digits and are not ints

_SETTERS: dict[type, Callable[[Any, Any, Any], None]] = {
    each: each.__setitem__ for each in (dict, OrderedDict, defaultdict, Counter)
}
_EXTENDERS: dict[type, Callable[[Any, Iterable[Any]], None]] = {list: list.extend, deque: deque.extend}


class Interpreter:
    """Runs one pickle.

    Args:
        data: the pickle, which :func:`coshelf.trust.gate.bounds.survey` has passed.
        name: returns what a name stands for, or raises.
        buffers: the buffers beside the pickle.
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
        data, steps, at = self.data, STEPS, 0
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
        """Note that these are hashed. Each hash of a tuple hashes all of its parts anew."""
        left = []
        for key in keys:
            kind = type(key)
            if kind is tuple:
                left.append(key)
            elif kind is int and key.bit_length() > 4096:
                self.spend(key.bit_length() >> 9)
            elif kind.__module__ in _LONG_NUMBERS:
                self.spend(_length(key))
        while left:
            parts = left.pop()
            self.spend(len(parts) + 1)
            left.extend(part for part in parts if type(part) is tuple)
            self.parts -= sum(part.bit_length() >> 9 for part in parts if type(part) is int)
            self.parts -= sum(_length(part) for part in parts if type(part).__module__ in _LONG_NUMBERS)

    def known(self, named: Any) -> Known | None:
        """The name that this object stands for, if the pickle asked for it."""
        return self._known.get(id(named))

    def begin(self, finish: Callable[[Machine, Any, Any], Any], arguments: Any) -> Unfinished:
        """An object that is made as soon as its state is there."""
        self.unfinished += 1
        return Unfinished(finish, arguments)

    # --- names, calls and states -------------------------------------------------------------------------------------

    def find(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise UnpicklingError("a name in the pickle is not text")
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
        """The same object. What the program's code made can be changed only if its class is an allowed one."""
        if known.owner is not None:
            self._kept.append(made)
            if known.owner.owns(made):
                self._own.setdefault(id(made), known)
            else:
                self._foreign.add(id(made))
        return made

    def owner(self, target: Any) -> Any:
        """What changes an instance of an allowed class; None for plain data. Refuses what the program made."""
        if id(target) in self._foreign:
            raise refused(f"a pickle that changes {_told(target)}, which the program made", _name_of(target))
        known = self._own.get(id(target))
        return None if known is None else known.owner

    def build(self, target: Any, state: Any) -> Any:
        """The object with its state. It gets a state once, and only if this pickle made it."""
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
            raise UnpicklingError(f"the pickle uses memo entry {index}, which it has not made") from None
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


def _length(number: Any) -> int:
    """How much work one hash of a Decimal or Fraction is. Python keeps no hash of them."""
    parts = getattr(number, "_numerator", 0), getattr(number, "_denominator", 0), number
    return sum(map(sys.getsizeof, parts)) >> 7


def _told(target: Any) -> str:
    return repr(target) if isinstance(target, type) or type(target) is Known else f"an object of {type(target)!r}"


def _name_of(target: Any) -> str:
    named = target if isinstance(target, type) else type(target)
    return f"{named.__module__}.{named.__qualname__}"
