"""What a pickle of plain data may call, with arguments of checked kinds and sizes.

Constructors of the standard library do not check their arguments for harm. Examples are an iterable without end, the
digits of a number that is larger than memory, and the name of a codec, which is the name of a module to import.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from coshelf.stored import shaped

if TYPE_CHECKING:
    from coshelf.trust.gate.known import Machine

__all__ = ["CONSTRUCTORS", "only"]

Arguments = tuple[Any, ...]
Constructor = Callable[["Machine", Arguments], Any]

MOST_BITS = 1 << 16  # of an int that a constructor computes with
_LONGEST = 20_000  # characters of a number
_RATIO = re.compile(r"-?\d+(?:/\d+)?", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*", re.ASCII)
_TYPECODES = frozenset("bBuwhHiIlLqQfd")
_MACHINE_FORMATS = 22  # so many of them are defined for arrays
_SIMPLE = (type(None), bool, int, float, complex, str, bytes)


def _wrong(name: str, arguments: Arguments) -> TypeError:
    given = ", ".join(type(each).__name__ for each in arguments[:5])
    return TypeError(f"a pickle of data does not call {name} with ({given})")


def _is_int(value: Any, bits: int = MOST_BITS) -> bool:
    return type(value) in (int, bool) and value.bit_length() <= bits


def only(name: str, *kinds: type, fewest: int = 1, most: int = 1) -> Constructor:
    """Calls a builtin class. The arguments have exactly these types; their number and the size of ints are limited."""
    import importlib

    module, _, attribute = name.rpartition(".")
    made = getattr(importlib.import_module(module or "builtins"), attribute)

    def make(machine: Machine, arguments: Arguments) -> Any:
        if not fewest <= len(arguments) <= most:
            raise _wrong(name, arguments)
        for each in arguments:
            if type(each) not in kinds or (type(each) is int and not _is_int(each)):
                raise _wrong(name, arguments)
            if type(each) in (list, tuple, set, frozenset, dict):
                machine.spend(len(each))
                if made in (set, frozenset):
                    machine.hashable(each)
        return made(*arguments)

    return make


def _pairs(name: str, made: Callable[..., Any]) -> Constructor:
    """Makes a mapping: empty, from a dict, or from a list of pairs, as Python 2 wrote some."""

    def make(machine: Machine, arguments: Arguments) -> Any:
        if not arguments:
            return made()
        if len(arguments) == 1 and type(arguments[0]) in (dict, OrderedDict):
            machine.spend(len(arguments[0]))
            return made(arguments[0])
        if len(arguments) != 1 or type(arguments[0]) is not list:
            raise _wrong(name, arguments)
        pairs = arguments[0]
        if not all(type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs):
            raise _wrong(name, arguments)
        machine.spend(len(pairs))
        machine.hashable(pair[0] for pair in pairs)
        return made(pairs)

    return make


def _counter(machine: Machine, arguments: Arguments) -> Any:
    if len(arguments) > 1 or (arguments and type(arguments[0]) is not dict):
        raise _wrong("Counter", arguments)
    made: Counter[Any] = Counter()
    if arguments:
        machine.spend(len(arguments[0]))
        dict.update(made, arguments[0])
    return made


def _defaultdict(machine: Machine, arguments: Arguments) -> Any:
    """The factory is a class of plain data or one that is allowed: each look-up of a missing key will call it."""
    factory = arguments[0] if arguments else None
    known = machine.known(factory)
    is_class = known is not None and known.value is factory and (known.owner is not None or isinstance(factory, type))
    if len(arguments) > 1 or not (factory is None or is_class):
        raise _wrong("defaultdict", arguments)
    return defaultdict(factory)


def _deque(machine: Machine, arguments: Arguments) -> Any:
    items, length = (*arguments, *((), None)[len(arguments) :])[:2]
    right = type(items) in (list, tuple) and (length is None or (_is_int(length, 62) and length >= 0))
    if len(arguments) > 2 or not right:
        raise _wrong("deque", arguments)
    machine.spend(len(items))
    return deque(items, length)


def _bytes(kind: type) -> Constructor:
    name = kind.__name__

    def make(machine: Machine, arguments: Arguments) -> Any:
        """Refuses a number, because Python would make that many bytes, out of nothing."""
        if not arguments:
            return kind()
        if isinstance(arguments[0], int):
            raise TypeError(f"a pickle of data does not call {name} with a number")
        if len(arguments) > 1 and arguments[1:] not in (("latin1",), ("latin-1",)):
            raise TypeError(f"a pickle of data does not call {name} with the encoding {arguments[1]!r:.40}")
        if type(arguments[0]) not in ((str,) if len(arguments) > 1 else (bytes, bytearray, memoryview, list)):
            raise _wrong(name, arguments)
        machine.spend(len(arguments[0]) >> 3)
        return kind(*arguments)

    return make


def _encode(machine: Machine, arguments: Arguments) -> bytes:
    """Encodes text as bytes: protocols 0 to 2 store bytes as such a call."""
    if len(arguments) != 2 or type(arguments[0]) is not str or arguments[1] not in ("latin1", "latin-1"):
        raise _wrong("encode", arguments)
    machine.spend(len(arguments[0]) >> 3)
    return arguments[0].encode("latin-1")


def _fraction(machine: Machine, arguments: Arguments) -> Any:
    from fractions import Fraction

    text = arguments[0] if len(arguments) == 1 else None
    if type(text) is str:
        if len(text) > _LONGEST or not _RATIO.fullmatch(text):
            raise _wrong("Fraction", arguments)
    elif not 1 <= len(arguments) <= 2 or not all(_is_int(each) for each in arguments):
        raise _wrong("Fraction", arguments)
    machine.spend(100)
    return Fraction(*arguments)


def _decimal(machine: Machine, arguments: Arguments) -> Any:
    from decimal import Decimal

    if len(arguments) != 1 or not (type(arguments[0]) is str or _is_int(arguments[0])):
        raise _wrong("Decimal", arguments)
    machine.spend(len(arguments[0]) >> 3 if type(arguments[0]) is str else 1)
    return Decimal(arguments[0])


def _is_uuid(_machine: Machine, arguments: Arguments) -> Any:
    from uuid import SafeUUID

    if len(arguments) != 1 or type(arguments[0]) not in (int, type(None)) or arguments[0] not in (0, -1, None):
        raise _wrong("SafeUUID", arguments)
    return SafeUUID(arguments[0])


def _zone_key(arguments: Arguments) -> str:
    key = arguments[0] if arguments else None
    if type(key) is not str or len(key) > 255 or not _ZONE.fullmatch(key):
        raise _wrong("ZoneInfo", arguments)
    return key


def _zone(_machine: Machine, arguments: Arguments) -> Any:
    from zoneinfo import ZoneInfo

    if len(arguments) != 1:
        raise _wrong("ZoneInfo", arguments)
    return ZoneInfo(_zone_key(arguments))


def _unpickled_zone(_machine: Machine, arguments: Arguments) -> Any:
    from zoneinfo import ZoneInfo

    if len(arguments) != 2 or type(arguments[1]) not in (int, bool):
        raise _wrong("ZoneInfo", arguments)
    return ZoneInfo(_zone_key(arguments)) if arguments[1] else ZoneInfo.no_cache(_zone_key(arguments))


def _path(name: str) -> Constructor:
    def make(machine: Machine, arguments: Arguments) -> Any:
        import pathlib

        if not all(type(part) is str for part in arguments):
            raise _wrong(name, arguments)
        machine.spend(10 + sum(len(part) for part in arguments) // 8)
        return getattr(pathlib, name)(*arguments)

    return make


def _address(name: str) -> Constructor:
    """Addresses are pickled as numbers, networks and interfaces as text."""

    def make(_machine: Machine, arguments: Arguments) -> Any:
        import ipaddress

        right = len(arguments) == 1 and (_is_int(arguments[0], 128) or type(arguments[0]) is str)
        if not right or (type(arguments[0]) is str and len(arguments[0]) > 200):
            raise _wrong(name, arguments)
        return getattr(ipaddress, name)(*arguments)

    return make


def _moment(name: str) -> Constructor:
    def make(_machine: Machine, arguments: Arguments) -> Any:
        import datetime as dt
        from zoneinfo import ZoneInfo

        kinds = (bytes, str, int, bool, float, type(None), dt.timezone, dt.timedelta, ZoneInfo)
        if len(arguments) > 9 or not all(type(each) in kinds for each in arguments):
            raise _wrong(name, arguments)
        if any(type(each) is int and each.bit_length() > 128 for each in arguments):
            raise _wrong(name, arguments)
        return getattr(dt, name)(*arguments)

    return make


def _array(machine: Machine, arguments: Arguments) -> Any:
    """Makes an array as protocols 0 to 2 store it: a letter, and a list of numbers."""
    from array import array

    code, *rest = arguments or (None,)
    items = rest[0] if rest else ()
    right = type(code) is str and code in _TYPECODES and type(items) in (list, tuple, bytes, str)
    if len(arguments) > 2 or not right or (type(items) is str and code not in "uw"):
        raise _wrong("array", arguments)
    machine.spend(len(items))
    return array(code, items)


def _array_again(machine: Machine, arguments: Arguments) -> Any:
    from array import _array_reconstructor, array  # type: ignore[attr-defined]

    if len(arguments) != 4 or arguments[0] is not array:
        raise TypeError("a pickle of data does not make arrays of another class")
    _, code, form, data = arguments
    right = type(code) is str and code in _TYPECODES and type(form) is int and 0 <= form < _MACHINE_FORMATS
    if not right or type(data) is not bytes:
        raise _wrong("array", arguments)
    machine.spend(len(data) >> 3)
    return _array_reconstructor(array, code, form, data)


def _memoryview(_machine: Machine, arguments: Arguments) -> Any:
    if len(arguments) != 1 or type(arguments[0]) not in (bytes, bytearray, memoryview):
        raise _wrong("memoryview", arguments)
    return memoryview(arguments[0])


def _shaped(_machine: Machine, arguments: Arguments) -> Any:
    parts: Arguments = arguments if len(arguments) == 3 else (None, None, None)
    buffer, form, shape = parts
    right = type(buffer) in (bytes, bytearray, memoryview) and type(form) is str and type(shape) is tuple
    if not right or not all(_is_int(length, 62) and length >= 0 for length in shape):
        raise _wrong("shaped", arguments)
    return shaped(buffer, form, shape)


def exception(name: str) -> Constructor:
    """Makes an exception. Most keep their arguments unread; those that iterate over one get a tuple or list only."""
    import builtins

    made = getattr(builtins, name, None)

    def make(machine: Machine, arguments: Arguments) -> Any:
        if made is None:
            raise TypeError(f"this Python has no {name}")
        iterated = issubclass(made, SyntaxError) or name in ("ExceptionGroup", "BaseExceptionGroup")
        if iterated and len(arguments) > 1 and type(arguments[1]) not in (tuple, list):
            raise _wrong(name, arguments)
        machine.spend(len(arguments) + (len(arguments[1]) if iterated and len(arguments) > 1 else 0))
        return made(*arguments)

    return make


CONSTRUCTORS: dict[tuple[str, str], Callable[[], Constructor]] = {
    ("builtins", "bool"): lambda: only("bool", bool, int),
    ("builtins", "int"): lambda: only("int", int, bool),
    ("builtins", "float"): lambda: only("float", float),
    ("builtins", "complex"): lambda: only("complex", float, int, complex, fewest=1, most=2),
    ("builtins", "str"): lambda: only("str", str, fewest=0),
    ("builtins", "list"): lambda: only("list", list, tuple, set, frozenset, fewest=0),
    ("builtins", "tuple"): lambda: only("tuple", list, tuple, fewest=0),
    ("builtins", "set"): lambda: only("set", list, tuple, set, frozenset, fewest=0),
    ("builtins", "frozenset"): lambda: only("frozenset", list, tuple, set, frozenset, fewest=0),
    ("builtins", "range"): lambda: only("range", int, bool, most=3),
    ("builtins", "slice"): lambda: only("slice", *_SIMPLE, most=3),
    ("builtins", "object"): lambda: only("object", fewest=0, most=0),
    ("builtins", "dict"): lambda: _pairs("dict", dict),
    ("builtins", "bytes"): lambda: _bytes(bytes),
    ("builtins", "bytearray"): lambda: _bytes(bytearray),
    ("builtins", "memoryview"): lambda: _memoryview,
    ("_codecs", "encode"): lambda: _encode,
    ("collections", "OrderedDict"): lambda: _pairs("OrderedDict", OrderedDict),
    ("collections", "Counter"): lambda: _counter,
    ("collections", "defaultdict"): lambda: _defaultdict,
    ("collections", "deque"): lambda: _deque,
    ("fractions", "Fraction"): lambda: _fraction,
    ("decimal", "Decimal"): lambda: _decimal,
    ("uuid", "SafeUUID"): lambda: _is_uuid,
    ("zoneinfo", "ZoneInfo"): lambda: _zone,
    ("zoneinfo", "ZoneInfo._unpickle"): lambda: _unpickled_zone,
    ("array", "array"): lambda: _array,
    ("array", "_array_reconstructor"): lambda: _array_again,
    ("types", "SimpleNamespace"): lambda: only("types.SimpleNamespace", fewest=0, most=0),
    ("coshelf.stored", "shaped"): lambda: _shaped,
    **{("datetime", name): lambda name=name: _moment(name) for name in "date datetime time timedelta timezone".split()},  # type: ignore[misc]
    **{("pathlib", name): lambda name=name: _path(name) for name in ("PosixPath", "PurePosixPath", "PureWindowsPath")},  # type: ignore[misc]
    **{
        ("ipaddress", f"IPv{version}{kind}"): lambda name=f"IPv{version}{kind}": _address(name)  # type: ignore[misc]
        for version in (4, 6)
        for kind in ("Address", "Interface", "Network")
    },
}
"""For each name, a function that makes its constructor. So only the modules that a pickle asks for are imported."""
