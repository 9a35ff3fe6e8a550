"""Measures how deep a pickle nests and how much hashing it asks for, before it is unpickled.

The survey follows the instructions with a stack and a memo of numbers in the place of objects. It is needed because
Python hashes nested tuples by recursion in C, without a limit, and hashes a tuple anew each time. Forty tuples that
each hold the one before twice take hours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pickle import UnpicklingError

from coshelf.errors import UntrustedValue

__all__ = ["MOST_LEVELS", "Survey", "survey"]

MOST_LEVELS = 1000
"""How deep data may nest: as deep as Python's default limit of recursion. It takes at most some 200 KB of C stack."""

_FEWEST_HASHES = 2_000_000  # parts of keys: a tenth of a second
_HASHES_PER_BYTE = 16
_LONGEST_LINE = 5000  # digits of a number that is written out; Python's own limit is 4300
_BIG = 64  # bytes of an int; larger ones take long to hash, and are not loaded in the quick way

# A value is a number. A scalar is 0. For other values the high bits are the depth, and the low bits are what hashing it
# costs beyond one. A value that can be filled later is the negative of its place in a list of depths.
_DEPTH = 64
_PARTS = (1 << _DEPTH) - 1
_LEVEL = 1 << _DEPTH

_FIXED = [0] * 256
for _codes, _size in ((b"N\x88\x89", 1), (b"K", 2), (b"M", 3), (b"J", 5), (b"G", 9)):
    for _code in _codes:
        _FIXED[_code] = _size
_RUNS = {code: re.compile(rb"(?:%c.{%d})++" % (code, _FIXED[code] - 1), re.DOTALL).match for code in b"KMJG"}
# Instructions that a length follows, and then the data. The numbers are the bytes of the length.
_COUNTED = {0x43: 1, 0x55: 1, 0x58: 4, 0x42: 4, 0x54: 4, 0x8D: 8, 0x8E: 8, 0x96: 8}
_LINES = {0x46: 400, 0x49: _LONGEST_LINE, 0x4C: _LONGEST_LINE, 0x53: 1 << 62, 0x56: 1 << 62}


@dataclass(slots=True)
class Survey:
    """What a pickle has in it.

    Attributes:
        names: whether it asks for anything by name.
        calls: whether it makes or changes instances in other ways than by calling something.
        big: whether there are large ints in it.
    """

    names: bool = False
    calls: bool = False
    big: bool = False


def survey(data: bytes) -> Survey:
    """What is in a pickle.

    Raises :class:`UntrustedValue` if it nests too deep, or if it asks for more hashing or for a larger memo than its
    size can need. Raises ``pickle.UnpicklingError`` if it is not a pickle.
    """
    try:
        return _Surveyor(data).run()
    except (IndexError, KeyError):
        raise UnpicklingError("the instructions of the pickle do not fit together, or it is cut off") from None


class _Surveyor:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.found = Survey()
        self.stack: list[int] = []
        self.below: list[list[int]] = []
        self.memo: dict[int, int] = {}
        self.levels: list[int] = [0]
        self.hashes = _FEWEST_HASHES + _HASHES_PER_BYTE * len(data)

    def run(self) -> Survey:
        data, memo, fixed, counted, runs, steps = self.data, self.memo, _FIXED, _COUNTED, _RUNS, _STEPS
        push, at = self.stack.append, 0
        while True:
            code = data[at]
            size = fixed[code]
            if size:
                push(0)
                at += size
                if data[at] == code and data[at + size] == code and code in runs:
                    end = runs[code](data, at).end()  # type: ignore[union-attr]
                    self.stack.extend([0] * ((end - at) // size))
                    at = end
            elif code == 0x94:  # MEMOIZE
                memo[len(memo)] = self.stack[-1]
                at += 1
            elif code == 0x8C:  # SHORT_BINUNICODE
                at += 2 + data[at + 1]
                push(0)
            elif code == 0x68:  # BINGET
                value = memo[data[at + 1]]
                push(value if value >= 0 else self._finished(value))
                at += 2
            elif code == 0x28:  # MARK
                self.below.append(self.stack)
                self.stack = []
                push = self.stack.append
                at += 1
            elif code in steps:
                steps[code](self)
                push = self.stack.append
                at += 1
            elif code in counted:
                width = counted[code]
                at += 1 + width
                at += int.from_bytes(data[at - width : at], "little")
                push(0)
            elif code == 0x2E:  # STOP
                self.stack.pop()
                return self.found
            else:
                at = self._rare(code, at)
                push = self.stack.append

    # --- containers --------------------------------------------------------------------------------------------------

    def _deepest(self, values: list[int]) -> int:
        """The depth of a container of these. Raises if that is too much."""
        if not any(values):
            return 1
        depth = max(values) >> _DEPTH
        if min(values) < 0:
            depth = max(depth, *(self.levels[-value] for value in values if value < 0))
        if depth >= MOST_LEVELS:
            raise UntrustedValue(f"data nested more than {MOST_LEVELS} levels deep is not unpickled", "deep nesting")
        return depth + 1

    def _new(self, depth: int = 1) -> None:
        """Push something that can be filled."""
        self.levels.append(depth)
        self.stack.append(1 - len(self.levels))

    def _fill(self, values: list[int]) -> None:
        """Put values into the container on top. Python's pickler fills a container only where it made it."""
        target = self.stack[-1]
        if target >= 0:
            raise UntrustedValue("a pickle of data does not change what it did not just make", "change")
        if any(values):
            self.levels[-target] = max(self.levels[-target], self._deepest(values))

    def _hash(self, keys: list[int]) -> None:
        self.hashes -= len(keys)
        if any(keys):
            self.hashes -= sum(key & _PARTS for key in keys if key > 0)
        if self.hashes < 0:
            raise UntrustedValue("a pickle of data does not ask for more hashing than its size can need", "hashing")

    def _marked(self) -> list[int]:
        marked, self.stack = self.stack, self.below.pop()
        return marked

    def _taken(self, count: int) -> list[int]:
        stack = self.stack
        if len(stack) < count:
            raise IndexError
        taken = stack[-count:]
        del stack[-count:]
        return taken

    def _tuple(self, parts: list[int]) -> None:
        if any(parts):
            hashed = len(parts) + sum(part & _PARTS for part in parts if part > 0)
            self.stack.append(self._deepest(parts) << _DEPTH | min(hashed, 1 << 62))
        else:
            self.stack.append(_LEVEL | len(parts))

    def _put(self, index: int) -> None:
        """Note a value. Python's pickler numbers them upward from 0 or 1."""
        if index > len(self.data):
            raise UntrustedValue(f"a pickle of {len(self.data)} bytes has no {index} parts to note", "memo index")
        self.memo[index] = self.stack[-1]

    def _give(self, index: int) -> None:
        value = self.memo[index]
        self.stack.append(value if value >= 0 else self._finished(value))

    def _finished(self, value: int) -> int:
        """The number of a value that is not filled any more."""
        return self.levels[-value] << _DEPTH

    # --- instructions without an argument ----------------------------------------------------------------------------

    def list_of(self) -> None:
        self._new(self._deepest(self._marked()))

    def dict_of(self) -> None:
        parts = self._marked()
        self._hash(parts[::2])
        self._new(self._deepest(parts))

    def tuple_of(self) -> None:
        self._tuple(self._marked())

    def frozenset_of(self) -> None:
        parts = self._marked()
        self._hash(parts)
        self.stack.append(self._deepest(parts) << _DEPTH)

    def append(self) -> None:
        self._fill(self._taken(1))

    def appends(self) -> None:
        self._fill(self._marked())

    def setitem(self) -> None:
        parts = self._taken(2)
        self._hash(parts[:1])
        self._fill(parts)

    def setitems(self) -> None:
        parts = self._marked()
        self._hash(parts[::2])
        self._fill(parts)

    def additems(self) -> None:
        parts = self._marked()
        self._hash(parts)
        self._fill(parts)

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._marked()

    def dup(self) -> None:
        value = self.stack[-1]
        self.stack.append(value if value >= 0 else self._finished(value))

    def stack_global(self) -> None:
        self.found.names = True
        self._taken(2)
        self.stack.append(0)

    def reduce(self) -> None:
        self._new(self._deepest(self._taken(2)))

    def newobj(self) -> None:
        self.found.calls = True
        self._new(self._deepest(self._taken(2)))

    def newobj_ex(self) -> None:
        self.found.calls = True
        self._new(self._deepest(self._taken(3)))

    def build(self) -> None:
        self.found.calls = True
        self._fill(self._taken(1))

    def obj(self) -> None:
        self.found.calls = True
        self._new(self._deepest(self._marked()))

    def next_buffer(self) -> None:
        self.found.calls = True
        self.stack.append(0)

    def readonly_buffer(self) -> None:
        self.found.calls = True

    # --- instructions with one ---------------------------------------------------------------------------------------

    def _rare(self, code: int, at: int) -> int:
        """Follow an instruction that today's picklers rarely write. Returns where the next one is."""
        data = self.data
        at += 1
        if code == 0x80:  # PROTO
            return at + 1
        if code == 0x95:  # FRAME
            if at + 8 + int.from_bytes(data[at : at + 8], "little") > len(data):
                raise IndexError
            return at + 8
        if code in (0x8A, 0x8B):  # LONG1, LONG4
            width = 1 if code == 0x8A else 4
            size = int.from_bytes(data[at : at + width], "little")
            self.found.big = self.found.big or size > _BIG
            self.stack.append(size // _BIG)
            return at + width + size
        if code in (0x71, 0x72):  # BINPUT, LONG_BINPUT
            width = 1 if code == 0x71 else 4
            self._put(int.from_bytes(data[at : at + width], "little"))
            return at + width
        if code == 0x6A:  # LONG_BINGET
            self._give(int.from_bytes(data[at : at + 4], "little"))
            return at + 4
        if code in (0x82, 0x83, 0x84):  # EXT1, EXT2, EXT4
            self.found.names = self.found.calls = True
            self.stack.append(0)
            return at + {0x82: 1, 0x83: 2, 0x84: 4}[code]
        return self._lines(code, at)

    def _lines(self, code: int, at: int) -> int:
        """Follow an instruction of protocol 0, whose arguments are lines. Returns where the next one is."""
        end = self.data.find(b"\n", at)
        if end < 0:
            raise IndexError
        if code in _LINES:
            if end - at > _LINES[code]:
                raise UntrustedValue(f"a pickle of data does not write a number in {end - at} digits", "long number")
            self.found.big = self.found.big or (code in (0x49, 0x4C) and end - at > 2 * _BIG)
            self.stack.append(0)
        elif code in (0x70, 0x67):  # PUT, GET
            if end - at > 20:
                raise IndexError
            try:
                index = int(self.data[at:end])
            except ValueError:
                raise IndexError from None
            if code == 0x70:
                self._put(index)
            else:
                self._give(index)
        elif code in (0x63, 0x69):  # GLOBAL, INST
            end = self.data.find(b"\n", end + 1)
            if end < 0:
                raise IndexError
            self.found.names = True
            if code == 0x63:
                self.stack.append(0)
            else:
                self.found.calls = True
                self._new(self._deepest(self._marked()))
        else:
            raise UnpicklingError(f"a pickle of data has no instruction {bytes((code,))!r}")
        return end + 1


_STEPS = {
    ord("]"): lambda self: self._new(), ord("}"): lambda self: self._new(), 0x8F: lambda self: self._new(),
    ord(")"): lambda self: self.stack.append(_LEVEL), ord("l"): _Surveyor.list_of, ord("d"): _Surveyor.dict_of,
    ord("t"): _Surveyor.tuple_of, 0x85: lambda self: self._tuple(self._taken(1)),
    0x86: lambda self: self._tuple(self._taken(2)), 0x87: lambda self: self._tuple(self._taken(3)),
    0x91: _Surveyor.frozenset_of, ord("a"): _Surveyor.append, ord("e"): _Surveyor.appends, ord("s"): _Surveyor.setitem,
    ord("u"): _Surveyor.setitems, 0x90: _Surveyor.additems, ord("0"): _Surveyor.pop, ord("1"): _Surveyor._marked,
    ord("2"): _Surveyor.dup, 0x93: _Surveyor.stack_global, ord("R"): _Surveyor.reduce, 0x81: _Surveyor.newobj,
    0x92: _Surveyor.newobj_ex, ord("b"): _Surveyor.build, ord("o"): _Surveyor.obj, 0x97: _Surveyor.next_buffer,
    0x98: _Surveyor.readonly_buffer,
}  # fmt: skip
