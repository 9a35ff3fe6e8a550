"""Pickles that attack the gate: what they can do to what lies on the stack, and how long, how deep and how large."""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import decimal
import enum
import fractions
import functools
import ipaddress
import pathlib
import pickle
import pickletools
import random
import sys
import types
import uuid
import zoneinfo
from typing import Any, ClassVar

import numpy as np
import pytest

from coshelf import keys
from coshelf.errors import DamagedRecord, UntrustedValue
from coshelf.trust.gate import Gate
from coshelf.trust.gate.bounds import MOST_LEVELS, survey
from coshelf.trust.gate.grammar import has_calls_of_scalars, has_flat_tuples, is_without_tuples

REFUSED = (UntrustedValue, TypeError, pickle.UnpicklingError, AttributeError)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def pushed(value: Any) -> bytes:
    """The instructions that put a value on the stack."""
    return pickletools.optimize(pickle.dumps(value, 3))[2:-1]


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def called(function: bytes, *arguments: Any) -> bytes:
    return b"\x80\x03" + function + pushed(arguments) + b"R."


# --- numpy -----------------------------------------------------------------------------------------------------------

RECONSTRUCT = name("numpy._core.multiarray", "_reconstruct") + name("numpy", "ndarray") + pushed((0,)) + b"C\x01b\x87R"
FLOATS, OBJECTS = pushed(np.dtype("f8")), pushed(np.dtype("O"))
INTERFACE = {"shape": (4,), "typestr": "<f8", "data": (4096, False), "version": 3}
NAMESPACE = name("types", "SimpleNamespace") + b")R" + pushed({"__array_interface__": INTERFACE}) + b"b"


def state(kind: bytes, data: bytes) -> bytes:
    return b"(K\x01K\x02\x85" + kind + b"\x89" + data + b"t"


ON_NUMPY = {
    "a call of ndarray": name("numpy", "ndarray") + pushed((5,)) + OBJECTS + b"\x86R",
    "an instance of ndarray": name("numpy", "ndarray") + pushed((5,)) + OBJECTS + b"\x86\x81",
    "a buffer of objects": name("numpy._core.numeric", "_frombuffer")
    + b"("
    + pushed(b"x" * 16)
    + OBJECTS
    + b"K\x02\x85X\x01\0\0\0CtR",
    "bytes as objects": RECONSTRUCT + state(OBJECTS, pushed(b"x" * 16)) + b"b",
    "objects as floats": RECONSTRUCT + state(FLOATS, pushed([{}, {}])) + b"b",
    "an item": pushed(np.arange(3.0)) + b"K\0" + NAMESPACE + b"s",
    "an item of an object array": pushed(np.array([1], object)) + b"K\0Ns",
    "items": pushed(np.arange(3.0)) + b"(K\0K\1u",
    "a second state": RECONSTRUCT + (state(FLOATS, pushed(b"x" * 16)) + b"b") * 2,
    "a second state of a dtype": FLOATS + pushed((3, "<", None, None, None, -1, -1, 0)) + b"b",
    "fields of objects for a dtype in use": pushed(np.dtype("V8"))
    + b"q\0(K\3X\1\0\0\0|NX\1\0\0\0a\x85}X\1\0\0\0a"
    + OBJECTS
    + b"K\0\x86sK\x08K\1K\x10tb",
    "no state": b"(" + RECONSTRUCT + b"l",
    "an array in its own state": RECONSTRUCT + b"q\7" + state(OBJECTS, b"]h\7ah\7a") + b"b",
    "an array in a tuple before it has a state": RECONSTRUCT + b"q\7" + state(FLOATS, pushed(b"x" * 16)) + b"\x862b",
    "an interface": NAMESPACE,
    "characters that are none": name("numpy._core.multiarray", "scalar")
    + pushed(np.dtype("U1"))
    + pushed(b"\xff" * 4)
    + b"\x86R",
    "append": pushed(np.arange(3.0)) + b"Na",
    "add": pushed(np.arange(3.0)) + b"(N\x90",
    "a scalar of objects": name("numpy._core.multiarray", "scalar") + OBJECTS + pushed(b"x" * 8) + b"\x86R",
    "very many elements of no bytes": RECONSTRUCT
    + b"(K\1"
    + pushed((1 << 40,))
    + pushed(np.dtype("V0"))
    + b"\x89"
    + pushed(b"")
    + b"tb",
}


@pytest.mark.parametrize("body", ON_NUMPY.values(), ids=ON_NUMPY)
def test_numpy_is_not_in_the_hands_of_a_pickle(gate: Gate, body: bytes) -> None:
    with pytest.raises(REFUSED):
        gate.loads(b"\x80\x03" + body + b".")


def test_names_of_numpy_stand_for_nothing_of_numpy(gate: Gate) -> None:
    for module, attribute in (("numpy", "ndarray"), ("numpy", "dtype"), ("numpy._core.multiarray", "_reconstruct")):
        found = gate.loads(b"\x80\x03" + name(module, attribute) + b".")
        assert type(found).__module__.startswith("coshelf.trust.gate")


def test_the_same_array_twice_is_one_array(gate: Gate) -> None:
    array, kind = np.arange(4), np.dtype([("a", "i4")])
    for protocol in range(6):
        first, second, *kinds = gate.loads(pickle.dumps([array, array, kind, kind], protocol))
        assert first is second
        assert kinds[0] is kinds[1]
        assert first.flags.writeable == pickle.loads(pickle.dumps(array, protocol)).flags.writeable


def test_a_dtype_of_more_fields_than_memory_is_refused(gate: Gate) -> None:
    """Each holds the one before twice, and none takes a byte, so that only their number grows."""
    body = pushed(np.dtype("V0")) + b"q\0"
    for _ in range(40):
        described = b"(K\3X\1\0\0\0|NX\1\0\0\0aX\1\0\0\0b\x86}(X\1\0\0\0ah\0K\0\x86X\1\0\0\0bh\0K\0\x86uK\0K\1K\0t"
        body += b"0" + name("numpy", "dtype") + pushed(("V0", False, True)) + b"R" + described + b"bq\0"
    with pytest.raises(UntrustedValue):
        gate.loads(b"\x80\x03" + body + b".")


# --- every other type ------------------------------------------------------------------------------------------------

SECOND_STATES = {
    "UUID": pushed(uuid.UUID(int=5)) + b"}X\3\0\0\0intK\6sb",
    "UUID in a set": b"(" + pushed(uuid.UUID(int=5)) + b"q\7\x91h\7}X\3\0\0\0intK\6sb\x86",
    "UUID of a number too large": name("uuid", "UUID") + b")\x81}X\3\0\0\0int" + pushed(1 << 128) + b"sb",
    "UUID without a state": b"(" + name("uuid", "UUID") + b")\x81l",
    "SafeUUID": name("uuid", "SafeUUID") + b"K\0\x85R" + pushed({"_value_": 7, "_name_": "x"}) + b"b",
    "SimpleNamespace": name("types", "SimpleNamespace") + b")R}b}X\1\0\0\0aNsb",
    "UserDict": pushed(collections.UserDict(a=1)) + pushed({"data": {}}) + b"b",
    "UserDict of no dict": name("collections", "UserDict") + b")\x81" + pushed({"data": "x"}) + b"b",
    "UserString": pushed(collections.UserString("x")) + pushed({"data": "y"}) + b"b",
    "ChainMap": pushed(collections.ChainMap({})) + pushed({"maps": []}) + b"b",
    "ValueError": name("builtins", "ValueError") + b")R}X\1\0\0\0aNsb}X\1\0\0\0bNsb",
    "traceback of an error": name("builtins", "ValueError") + b")R}X\x0d\0\0\0__traceback__Nsb",
    "Fraction": name("fractions", "Fraction") + b"X\3\0\0\x001/3\x85R" + pushed({"_numerator": 7}) + b"b",
    "path": pushed(__import__("pathlib").PurePosixPath("a")) + pushed({"_str": "b"}) + b"b",
    "address": pushed(__import__("ipaddress").ip_address("1.1.1.1")) + pushed((None, {"_ip": 5})) + b"b",
    "class": name("fractions", "Fraction") + pushed((None, {"x": 1})) + b"b",
    "items of a class": name("builtins", "dict") + b"NNs",
    "append to an array": pushed(__import__("array").array("i", [1])) + b"K\1a",
    "append to a UserList": pushed(collections.UserList([1])) + b"Na",
    "items of a ChainMap": pushed(collections.ChainMap({})) + b"NNs",
    "add to a Counter": name("collections", "Counter") + b")R(N\x90",
    "defaults by a function": name("collections", "defaultdict") + name("_codecs", "encode") + b"\x85R",
    "defaults by an address": name("collections", "defaultdict") + b"X\1\0\0\0x\x85R",
    "state of a zone": name("zoneinfo", "ZoneInfo") + b"X\3\0\0\0UTC\x85R" + pushed({"_key": "x"}) + b"b",
}


@pytest.mark.parametrize("body", SECOND_STATES.values(), ids=SECOND_STATES)
def test_what_was_made_is_not_changed(gate: Gate, body: bytes) -> None:
    with pytest.raises(REFUSED):
        gate.loads(b"\x80\x03" + body + b".")
    assert uuid.SafeUUID.safe.value == 0
    assert uuid.SafeUUID.safe.name == "safe"


def test_states_that_python_writes_are_given(gate: Gate) -> None:
    error = ImportError("x", name="a", path="b")
    error.add_note("seen")
    error.more = [1]  # type: ignore[attr-defined]
    parent = types.SimpleNamespace(name="parent", child=None)
    parent.child = types.SimpleNamespace(name="child", parent=parent)
    for protocol in range(6):
        found = gate.loads(pickle.dumps(error, protocol))
        assert (found.args, found.name, found.path, found.more) == (("x",), "a", "b", [1])
        assert found.__notes__ == ["seen"]
        again = gate.loads(pickle.dumps(parent, protocol))
        assert again.child.parent is again


class Colour(enum.Enum):
    RED = 1


class Listing(list[Any]):
    """Appending to it is a method of the class here, which a pickle may not call."""

    calls: ClassVar[list[Any]] = []

    @classmethod
    def append(cls, item: Any) -> None:  # type: ignore[override]
        cls.calls.append(item)

    add = append


class Stack(list[Any]):
    pass


class Point:
    pass


@functools.lru_cache
def cached() -> Point:
    return Point()


@functools.cache
def cached_list() -> list[int]:
    return []


PROGRAMS_OWN = {
    "member of an enumeration": name(__name__, "Colour") + b"K\1\x85R" + pushed({"_value_": 2}) + b"b",
    "what a cache gives": name(__name__, "cached") + b")R" + pushed({"x": 1}) + b"b",
    "a list of a cache": name(__name__, "cached_list") + b")R(NNe",
    "the cache itself": name(__name__, "cached") + pushed({"x": 1}) + b"b",
    "append of a class": name(__name__, "Listing") + b")\x81Na",
    "extend of a class": name(__name__, "Listing") + b")\x81(NNe",
    "add of a class": name(__name__, "Listing") + b")\x81(N\x90",
    "a second state": name(__name__, "Point") + b")\x81" + (pushed({"x": 1}) + b"b") * 2,
    "another class": name(__name__, "Point") + b")\x81N}X\x09\0\0\0__class__" + name("builtins", "int") + b"s\x86b",
}


@pytest.mark.parametrize("body", PROGRAMS_OWN.values(), ids=PROGRAMS_OWN)
def test_what_is_the_programs_own_is_not_changed(body: bytes) -> None:
    with pytest.raises(REFUSED):
        Gate([Colour, Listing, Point, cached, cached_list]).loads(b"\x80\x03" + body + b".")
    assert (Colour.RED.value, vars(cached()), cached_list(), Listing.calls) == (1, {}, [], [])
    assert not hasattr(cached, "x")


def test_allowed_containers_are_filled() -> None:
    made = Stack([1, 2])
    made.label = "x"  # type: ignore[attr-defined]
    for protocol in range(6):
        found = Gate([Stack]).loads(pickle.dumps([made, made], protocol))
        assert found[0] is found[1]
        assert (type(found[0]), found[0], found[0].label) == (Stack, [1, 2], "x")


# --- how deep --------------------------------------------------------------------------------------------------------

MANY = 300_000


def chain(made: bytes) -> bytes:
    """Each part holds the one that was noted before it, and none stands within another."""
    return b"".join(b"0" + made % (b"j" + number.to_bytes(4, "little")) for number in range(MANY // 10))


DEEP = {
    "tuples": b")" + b"\x85" * MANY,
    "tuples as a key": b"})" + b"\x85" * MANY + b"Ns",
    "tuples in a set": b"\x8f()" + b"\x85" * MANY + b"\x90",
    "lists": b"]" * MANY + b"a" * (MANY - 1),
    "lists of two": b"](N" * MANY + b"N" + b"e" * MANY,
    "dicts": b"}N" * MANY + b"N" + b"s" * MANY,
    "frozensets": b"(" * MANY + b"\x91" * MANY,
    "tuples by the memo": b")\x94" + chain(b"%s\x85\x94"),
    "lists by the memo": b"]\x94" + chain(b"]\x94%sa"),
    "lists of protocol 0": b"(l" * MANY + b"a" * (MANY - 1),
    "slices": name("builtins", "slice") + b"q\0" + b"h\0" * MANY + b"N" + b"\x85R" * MANY,
    "deques": b"\x8c\x0bcollections\x8c\x05deque\x93q\0" + b"h\0)R" * 2_000 + b"N" + b"a" * 2_000,
    "ordered dicts": b"\x8c\x0bcollections\x8c\x0bOrderedDict\x93q\0" + b"h\0)RN" * 2_000 + b"N" + b"s" * 2_000,
    "errors by their cause": name("builtins", "ValueError") + b"q\0" + b"h\0" * MANY + b"N" + b"\x85R" * MANY,
}


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
def test_data_nested_too_deep_is_refused_before_it_is_made(gate: Gate, body: bytes) -> None:
    with pytest.raises(UntrustedValue, match="levels deep"):
        gate.loads(b"\x80\x04" + body + b".")


def test_data_as_deep_as_python_pickles_it_passes(gate: Gate) -> None:
    for kind in (list, tuple):
        value: Any = kind()
        for _ in range(400):
            value = kind((value, "text"))
        assert repr(gate.loads(pickle.dumps(value))) == repr(value)
    assert sys.getrecursionlimit() <= MOST_LEVELS


def test_lists_that_the_memo_nests_deeper_do_no_harm(gate: Gate) -> None:
    """Lists and dicts are not hashed, and Python itself counts how deep it goes in them."""
    body = b"".join(b"]\x94j" + number.to_bytes(4, "little") + b"a" for number in range(MANY))
    value = gate.loads(b"\x80\x04](]\x94" + body + b"e.")
    deepest, others = value.pop(), value
    for use in (repr, pickle.dumps):
        with pytest.raises(RecursionError):
            use(deepest)
    del others, value, deepest


def test_keys_that_nest_deep_are_damaged() -> None:
    for data in (b"\x40" * MANY, b"\x40" * MANY + b"\0" * MANY):
        with pytest.raises(DamagedRecord):
            keys.decode(data)


# --- how long, and how large -----------------------------------------------------------------------------------------

HUGE = pushed((1 << 800_000) - 1)
SLOW = {
    "a deque of a range": called(name("collections", "deque"), range(10**18), 0),
    "a list of a range": called(name("builtins", "list"), range(10**18)),
    "a set of a range": called(name("builtins", "set"), range(10**18)),
    "an error that goes through a range": called(name("builtins", "SyntaxError"), "x", range(10**18)),
    "a group of errors of a range": called(name("builtins", "ExceptionGroup"), "x", range(10**18)),
    "a fraction with an exponent": called(name("fractions", "Fraction"), "1e9999999"),
    "a fraction of large ints": called(name("fractions", "Fraction"), (1 << 800_000) - 1, (1 << 799_999) - 3),
    "a large range": called(name("builtins", "range"), 0, 1 << 800_000, 3),
    "the int of a decimal": b"\x80\x03"
    + name("builtins", "int")
    + called(name("decimal", "Decimal"), "1e99999999")[2:-1]
    + b"\x85R.",
    "punycode": called(name("builtins", "str"), b"a" * 200_000, "punycode"),
    "a codec": called(name("builtins", "str"), b"", "idna"),
    "a long address": called(name("ipaddress", "IPv6Address"), "1" * 100_000),
    "a network of a large int": called(name("ipaddress", "IPv4Network"), 1 << 4000),
    "many digits": b"I" + b"9" * 400_000 + b"\n.",
    "many digits of a long": b"L" + b"9" * 400_000 + b"L\n.",
    "many digits of a float": b"F" + b"9" * 400_000 + b"\n.",
    "tuples of themselves as a key": b"\x80\x04})" + b"2\x86" * 60 + b"Ns.",
    "the same in a large pickle": b"\x80\x04})" + b"2\x86" * 600 + b"Ns.",
    "tuples of themselves by the memo": b"\x80\x04})\x94"
    + b"".join(b"h%ch%c\x86\x94" % (n, n) for n in range(60))
    + b"Ns.",
    "tuples of tuples that were lists": b"\x80\x03"
    + name("builtins", "tuple")
    + b"q\0N"
    + b"q\1h\0]h\1ah\1a\x85R" * 60
    + b"q\1}h\1Ns.",
    "a large int as a key again and again": b"\x80\x04" + HUGE + b"\x94}(" + b"h\0N" * 100_000 + b"u.",
    "a large tuple as a key again and again": b"\x80\x04(" + b"N" * 100_000 + b"t\x94}(" + b"h\0N" * 100_000 + b"u.",
    "a list copied again and again": b"\x80\x03"
    + name("builtins", "list")
    + b"q\0]("
    + b"N" * 100_000
    + b"e\x85q\1]("
    + b"h\0h\1R" * 100_000
    + b"e.",
    "a Counter of a large dict again and again": b"\x80\x04"
    b"\x8c\x0bcollections\x94\x8c\x07Counter\x94\x93q\0}("
    + b"".join(b"J%sN" % number.to_bytes(4, "little") for number in range(20_000))
    + b"uq\1](h\0"
    + b"h\1\x85Rh\0" * 5_000
    + b"e.",
    "a long decimal as a key again and again": b"\x80\x03"
    + name("decimal", "Decimal")
    + pushed("9" * 500_000)
    + b"\x85Rq\1}("
    + b"h\1N" * 100_000
    + b"u.",
    "a long decimal in a key again and again": b"\x80\x03"
    + name("decimal", "Decimal")
    + pushed("9" * 500_000)
    + b"\x85R\x85q\1}("
    + b"h\1N" * 100_000
    + b"u.",
    "a UUID of a long text again and again": b"\x80\x04\x8c\x04uuid\x8c\x04UUID\x93q\0"
    + pushed("0" * 32 + "-" * 300_000)
    + b"q\1](h\0"
    + b"h\1\x85Rh\0" * 20_000
    + b"e.",
    "a large memo": b"\x80\x04N" + b"N0" * 600 + b"r\xff\xff\xff\x7f.",
    "a large memo of protocol 0": b"\x80\x04" + b"N0" * 600 + b"Np2147483647\n.",
}


@pytest.mark.parametrize("data", SLOW.values(), ids=SLOW)
def test_what_would_take_very_long_or_much_is_refused(gate: Gate, data: bytes) -> None:
    before = set(sys.modules)
    with pytest.raises((*REFUSED, OverflowError)):
        gate.loads(data)
    assert not {each for each in set(sys.modules) - before if each.startswith("encodings.")}


# --- the quick ways --------------------------------------------------------------------------------------------------

UUID = uuid.UUID(int=5 << 90)
ROWS: list[Any] = [
    [
        {"id": number, "name": f"n{number}", "part": number / 3, "tags": ["a", "b"], "none": None}
        for number in range(200)
    ],
    [(number, f"name {number}", number / 7) for number in range(300)],
    {(number, "x"): {number, -number} for number in range(300)},
    [uuid.UUID(int=number << 100) for number in range(60)],
    ["x" * 400, b"y" * 70_000, 1 << 200, -5, frozenset((1, 2))] * 3,
    collections.Counter(str(number) for number in range(300)),
    collections.OrderedDict((number, [number]) for number in range(300)),
    [[1, "two"], *[((1, 2), ((3,), 4))] * 300],
]


@pytest.mark.parametrize("value", ROWS, ids=lambda value: type(value).__name__)
def test_large_data_passes_by_whichever_way(gate: Gate, value: Any) -> None:
    for protocol in range(6):
        data = pickle.dumps(value, protocol)
        assert gate.loads(data) == value
        survey(data)


NAMES = [collections.Counter, collections.deque, pathlib.PosixPath, decimal.Decimal, int, list, uuid.UUID, dt.date]
CHECKED: list[Any] = [
    *(collections.Counter("aab"), collections.OrderedDict(a=[1]), collections.deque([1, (2, "x")], 7)),
    *(UUID, uuid.UUID(int=0), uuid.UUID(int=(1 << 128) - 1), uuid.UUID(int=5, is_safe=uuid.SafeUUID.safe)),
    *(
        collections.defaultdict(list, a=[1]),
        collections.defaultdict(collections.Counter),
        collections.defaultdict(None),
    ),
    *(pathlib.PosixPath("/a/b"), pathlib.PureWindowsPath("c:/a"), decimal.Decimal("1.50"), decimal.Decimal("9" * 500)),
    *(fractions.Fraction(-1, 3), fractions.Fraction(7 << 900, 3), ipaddress.ip_network("10.0.0.0/8"), dt.UTC),
    *(dt.datetime(2026, 11, 24, tzinfo=zoneinfo.ZoneInfo("UTC")), dt.datetime(2026, 11, 24, tzinfo=dt.UTC)),
    *(
        {decimal.Decimal(1): {pathlib.PosixPath("a")}},
        [(pathlib.PosixPath("a"), 1), {"x": (1.5, fractions.Fraction(1))}],
    ),
]


@pytest.mark.parametrize(
    "padding", [[], ["x" * 200] * 9, [1 << 80] * 500, list(range(3000)), [[n] for n in range(1500)]]
)
def test_values_of_checked_calls_come_back_by_whichever_way(gate: Gate, padding: list[Any]) -> None:
    for value in CHECKED:
        for protocol in range(6):
            found = gate.loads(pickle.dumps([value, value, padding], protocol))
            assert found == [value, value, padding]
            assert repr(found) == repr([value, value, padding])
            assert found[0] is found[1] or isinstance(value, dt.tzinfo)


@pytest.mark.parametrize("padding", [[], ["x" * 200] * 9])
def test_a_class_in_a_value_is_the_class_itself(gate: Gate, padding: list[Any]) -> None:
    """Where it is called, a function of the gate stands for it, and that is never given away."""
    for kind in NAMES:
        for value in (kind, [kind, collections.Counter("a")], {kind: (kind, kind)}, collections.deque([kind], 5)):
            assert gate.loads(pickle.dumps([value, padding])) == [value, padding]


def test_a_function_of_the_gate_is_not_changed(gate: Gate) -> None:
    for module, attribute in (
        ("collections", "Counter"),
        ("pathlib", "PosixPath"),
        ("uuid", "UUID"),
        ("builtins", "int"),
    ):
        named = b"".join(b"\x8c%c%s" % (len(part), part.encode()) for part in (module, attribute)) + b"\x93"
        for change in (b"}\x8c\1aNsb", b"N}\x8c\1aNs\x86b", b"\x8c\1aNs", b"(\x8c\1aNu", b"Na", b"(NNe", b"(N\x90"):
            for padding in (b"", b"\x8c\xff" + b"x" * 255 + b"0"):
                with pytest.raises(REFUSED):
                    gate.loads(b"\x80\x04" + padding * 4 + named + change + b".")


SMALL: list[Any] = [
    *(
        [{"a": 1, "b": ["x", {"c": None}]}] * 2,
        [(1, "x"), (2, "y"), (3.5,)],
        [dt.date(2026, 11, 24), dt.date(2026, 1, 1)],
    ),
    *([uuid.UUID(int=1 << 127)], {"a": {1, 2}, "b": b"x", "c": 1 << 80}, "x" * 300),
]


def test_quick_ways_take_only_what_their_grammar_says() -> None:
    """Whatever a pickle is changed to: of what these take, each instruction is one that cannot do harm."""
    chance, taken = random.Random(5), collections.Counter[str]()
    scalars = "NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 BINFLOAT LONG1 SHORT_BINUNICODE BINUNICODE BINUNICODE8 "
    scalars += "SHORT_BINBYTES BINBYTES BINBYTES8"
    filling = (
        "EMPTY_LIST EMPTY_DICT EMPTY_SET MARK APPEND APPENDS SETITEM SETITEMS ADDITEMS MEMOIZE BINPUT LONG_BINPUT "
    )
    filling += "BINGET LONG_BINGET PROTO FRAME STOP"
    plain = set(f"{scalars} {filling}".split())
    flat = plain | {"EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE"}
    calls = flat | {"STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD"}
    codes = [code.code.encode("latin-1") for code in pickletools.opcodes]
    for _ in range(4000):
        data = pickle.dumps(chance.choice(SMALL), 4)
        at = chance.randrange(2, len(data))
        data = data[:at] + chance.choice(codes) + data[at + chance.randrange(2) :]
        for accepts, may in ((is_without_tuples, plain), (has_flat_tuples, flat), (has_calls_of_scalars, calls)):
            if accepts(data):
                taken[accepts.__name__] += 1
                with contextlib.suppress(UnicodeDecodeError):  # which no unpickler loads either
                    assert {code.name for code, _, _ in pickletools.genops(data)} <= may
    assert min(taken[each.__name__] for each in (is_without_tuples, has_flat_tuples, has_calls_of_scalars)) > 50
