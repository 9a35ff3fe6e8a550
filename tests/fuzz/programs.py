"""Pickles made to attack the gate: every type of plain data, and every instruction that could touch it, once and twice.

The first programs go through all combinations of a subject, an instruction, what the instruction is given, how often,
and what holds the subject meanwhile. The others are made by chance, of more steps.
"""

from __future__ import annotations

import functools
import pickle
import pickletools
import random
from typing import Any

import samples

__all__ = ["TOUCHES", "combinations", "program", "quick_program", "subjects", "touched"]

_NAMES = [
    *(
        "builtins list",
        "builtins dict",
        "builtins set",
        "builtins int",
        "builtins str",
        "builtins bytes",
        "builtins range",
    ),
    *("builtins slice", "builtins memoryview", "builtins bytearray", "builtins complex", "builtins object"),
    *("builtins getattr", "builtins ValueError", "builtins SyntaxError", "builtins ExceptionGroup", "builtins OSError"),
    *("builtins UnicodeDecodeError", "builtins ImportError", "copyreg _reconstructor", "_codecs encode", "array array"),
    *("array _array_reconstructor", "collections OrderedDict", "collections defaultdict", "collections Counter"),
    *("collections deque", "collections ChainMap", "collections UserDict", "collections UserList"),
    *("collections UserString", "datetime date", "datetime datetime", "datetime timedelta", "datetime timezone"),
    *("decimal Decimal", "fractions Fraction", "ipaddress IPv4Address", "ipaddress IPv6Network", "pathlib PosixPath"),
    *("types SimpleNamespace", "uuid UUID", "uuid SafeUUID", "zoneinfo ZoneInfo", "zoneinfo ZoneInfo._unpickle"),
    *("coshelf.stored shaped", "numpy ndarray", "numpy dtype", "numpy._core.multiarray _reconstruct"),
    *("numpy.core.multiarray scalar", "numpy._core.numeric _frombuffer", "numpy.core.numeric _frombuffer"),
    *("targets Colour", "targets Listing", "targets cached", "targets Point"),
]
_HOLDERS = [b"", b"q\xfa", b"q\xfa]h\xfaa0", b"q\xfa}h\xfaNs0", b"q\xfa(h\xfa\x91" + b"0", b"q\xfa(h\xfah\xfatq\xfb0"]


def _body(value: Any, protocol: int = 3) -> bytes:
    """The instructions that push a value."""
    return pickletools.optimize(pickle.dumps(value, protocol))[2:-1]


def _named(name: str) -> bytes:
    return b"c%s\n%s\n" % tuple(part.encode() for part in name.split(" "))


@functools.cache
def subjects() -> list[bytes]:
    """Everything that plain data can be, and the names that it is made by."""
    found = [_named(name) for name in _NAMES]
    values: list[Any] = [*samples.VALUES, [], {}, set(), (), object(), memoryview]
    try:
        import numpy as np

        values += [np.arange(6.0), np.arange(6).reshape(2, 3).T, np.float64(1.5), np.array(["a", "b"]), np.dtype("f8")]
        values += [np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]), np.datetime64("2026-11-24"), np.zeros(2, "V8")]
        values += [np.array([1, "x"], object), np.dtype([("a", "i4", (2,))]), np.array(True), np.zeros((0, 3), "S3")]
    except ImportError:
        pass
    for value in values:
        found += [_body(value, protocol) for protocol in (2, 3) if _can(value, protocol)]
    found += [_named("builtins memoryview") + _body(bytearray(8)) + b"\x85R"]
    found += [
        _named("numpy._core.numeric _frombuffer")
        + b"("
        + _body(bytearray(16))
        + _f8()
        + b"K\x02\x85X\x01\x00\x00\x00CtR"
    ]
    found += [
        _named("targets Colour") + b"K\x01\x85R",
        _named("targets Listing") + b")\x81",
        _named("targets cached") + b")R",
    ]
    found += [
        _named("targets Point") + b")\x81",
        _reconstruct(),
        _named("numpy dtype") + _body(("V8", False, True)) + b"R",
    ]
    found += [_named("uuid UUID") + b")\x81", _named("collections UserString") + b")\x81"]
    return found


def _can(value: Any, protocol: int) -> bool:
    try:
        pickle.dumps(value, protocol)
    except (TypeError, pickle.PicklingError):
        return False
    return True


def _f8() -> bytes:
    return (
        _named("numpy dtype") + _body(("f8", False, True)) + b"R" + _body((3, "<", None, None, None, -1, -1, 0)) + b"b"
    )


def _reconstruct() -> bytes:
    return (
        _named("numpy._core.multiarray _reconstruct") + _named("numpy ndarray") + _body((0,)) + _body(b"b") + b"\x87R"
    )


@functools.cache
def operands() -> list[bytes]:
    """States, arguments and items: what fits, what nearly does, and what would take for ever or run something."""
    interface = {"shape": (4,), "typestr": "<f8", "data": (4096, False), "version": 3}
    values: list[Any] = [
        *(None, 0, 1, -1, 10**9, 1 << 200, "x", "idna", b"", b"x" * 16, "1e99999999", "9" * 4000),
        *((), (1,), [], [1, 2]),
        *({}, {"a": 1}, {"maps": [{}]}, {"int": 5}, {"int": "x"}, {"int": 1 << 999}, {"int": 5, "is_safe": 0}),
        *(
            {"data": {}},
            {"data": [1]},
            {"_value_": 5, "_name_": "x"},
            {"__class__": 1},
            {"__array_interface__": interface},
        ),
        *((None, {"x": 1}), ({"x": 1}, {"__class__": 1}), (range(10**18),), (range(10**18), 0), ("1e9999999",)),
        *((b"", "idna"), ("a" * 50, "punycode"), (10**9,), (1, 2), ([1, 2], 3), ([],), ({},)),
        *(
            ("d", [1.5]),
            ("x", (1, 2, 3, 4)),
            ("msg", range(10**18)),
            (10**18,),
            (1 << 4000, 3),
            (3, "<", None, None, None, -1, -1, 0),
        ),
        *((3, "|", None, ("a",), {"a": (1, 0)}, 8, 1, 16), ("V8", False, True), ("O8", False, True)),
        *((bytearray(16), "d", (2,)), ("utf-8", b"x", 5, 9, "r")),
    ]
    found = [_body(value) for value in values if _can(value, 3)]
    array_of = b"(K\x01K\x02\x85" + _f8() + b"\x89"
    found += [array_of + _body(b"x" * 16) + b"t", array_of + _body(b"x" * 8) + b"t", array_of + _body([{}, []]) + b"t"]
    objects = (
        _named("numpy dtype") + _body(("O8", False, True)) + b"R" + _body((3, "|", None, None, None, -1, -1, 63)) + b"b"
    )
    found += [b"(K\x01K\x02\x85" + objects + b"\x89" + _body(each) + b"t" for each in ([{}, []], b"x" * 16)]
    found += [b"(" + _body(bytearray(16)) + kind + b"K\x02\x85X\x01\x00\x00\x00Ct" for kind in (_f8(), objects)]
    fields = (
        b"(K\x03X\x01\x00\x00\x00|NX\x01\x00\x00\x00a\x85}X\x01\x00\x00\x00a" + objects + b"K\x00\x86sK\x08K\x01K\x10t"
    )
    found += [
        fields,
        b"h\xfa",
        b"h\xfa\x85",
        b"h\xfah\xfa\x86",
        b"(" + _named("collections UserDict") + _named("builtins object") + b"Nt",
    ]
    found += [_named("numpy ndarray") + b"(K\x05t" + b"\x86", _body(samples.VALUES[-1])]
    return found


TOUCHES = [
    b"%sb",
    b"%sa",
    b"(%se",
    b"N%ss",
    b"%sNs",
    b"(N%su",
    b"(%sNu",
    b"(%s\x90",
    b"%sR",
    b"%s\x81",
    b"%s}\x92",
    b"2%sb0",
    b"\x98%s0",
]


def touched(number: int) -> list[str]:
    """The instructions of a touch."""
    return [code.name for code, _, _ in pickletools.genops(TOUCHES[number] % b"N" + b".")]


def combinations() -> int:
    """How many programs there are of one subject and one instruction."""
    return len(subjects()) * len(operands()) * len(TOUCHES) * len(_HOLDERS) * 2


def program(chance: random.Random, number: int | None = None) -> bytes:
    """A program: one of all combinations by its number, or one of several steps by chance."""
    if number is not None:
        number, twice = divmod(number, 2)
        number, holder = divmod(number, len(_HOLDERS))
        number, touch = divmod(number, len(TOUCHES))
        number, operand = divmod(number, len(operands()))
        body = subjects()[number % len(subjects())] + _HOLDERS[holder]
        body += (TOUCHES[touch] % operands()[operand]) * (1 + twice)
        return _ended(body)
    body = b""
    for _ in range(chance.randrange(1, 4)):
        body += chance.choice(subjects()) + chance.choice(_HOLDERS)
        for _ in range(chance.randrange(4)):
            given = chance.choice(operands() if chance.random() < 0.7 else subjects())
            body += (chance.choice(TOUCHES) % given) * chance.choice((1, 1, 2))
        body += chance.choice((b"", b"\x94", b"0h\xfa", b"\x85", b"2\x86", b"q\xfc", b"h\xfc", b"h\xfb"))
    return _ended(body)


_QUICK_NAMES = (
    *(b"OrderedDict", b"defaultdict", b"Counter", b"deque", b"Decimal", b"Fraction", b"IPv", b"PosixPath", b"UUID"),
    *(b"ZoneInfo", b"getattr", b"timedelta", b"timezone", b"list"),
)
QUICK_TOUCHES = [
    *(b"%sR", b"\x85R", b"\x86R", b"\x87R", b")R", b"%s\x85R", b"%s\x85\x94R", b"%s%s\x86R", b"%s%s\x87R", b"(%s%stR"),
    *(b"%sa", b"(%s%se", b"%s%ss", b"(%s%s%s%su", b"(%s%s\x90", b"q\xfa", b"\x94", b"h\xfa", b"h\xfa%ss", b"%sh\xfas"),
    *(b"h\xfa)R", b"h\xfa%s\x85R", b"}%sh\xfas\x85R", b")%s\x86R", b"h\xfa\x85R", b"]h\xfaa", b"}h\xfaNs", b")\x81"),
    *(b")\x81}\x8c\x03int%ssb", b"%sb", b"%s\x81", b"(h\xfah\xfat", b"\x8fh\xfa\x90", b"h\xfah\xfaR", b"h\xfah\xfas"),
]


@functools.cache
def _quick_parts() -> tuple[list[bytes], list[bytes]]:
    """Names and values as protocol 4 writes them, which is what the quick ways know."""
    pairs = [tuple(part.encode() for part in name.split(" ")) for name in _NAMES]
    names = [b"".join(b"\x8c%c%s" % (len(part), part) for part in pair) + b"\x93" for pair in pairs]
    values = [pickletools.optimize(pickle.dumps(value, 4)) for value in samples.VALUES if _can(value, 4)]
    return names, [value[11 if value[2:3] == b"\x95" else 2 : -1] for value in values]


def quick_program(chance: random.Random) -> bytes:
    """A program that is near to what goes to the interpreter's own unpickler: in protocol 4, small or large."""
    names, values = _quick_parts()
    known = [name for name in names if any(each in name for each in _QUICK_NAMES)]
    body = b""
    for _ in range(chance.randrange(1, 5)):
        name = chance.choice(known if chance.random() < 0.8 else names)
        body += chance.choice((b"", b"", chance.choice(values))) + name + chance.choice((b"", b"q\xfa"))
        for _ in range(chance.randrange(4)):
            touch = chance.choice(QUICK_TOUCHES[:9] if chance.random() < 0.4 else QUICK_TOUCHES)
            given = [chance.choice(values if chance.random() < 0.8 else names) for _ in range(touch.count(b"%s"))]
            body += touch % tuple(given)
    padding = b"\x8c\xff" + b"x" * 255
    return b"\x80\x04](" + body + padding * chance.choice((0, 0, 4)) + chance.choice((b"e.", b"e.", b"0e.", b"."))


def _ended(body: bytes) -> bytes:
    """With all that is left on the stack as the value."""
    return b"\x80\x03(" + body + b"l."
