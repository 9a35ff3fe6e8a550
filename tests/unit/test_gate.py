"""The gate: plain data of every kind passes in every protocol, and nothing else does, however it is asked for."""

from __future__ import annotations

import array
import collections
import copyreg
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import os
import pathlib
import pickle
import pickletools
import sys
import types
import uuid
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coshelf.errors import UntrustedValue
from coshelf.trust.gate import Gate

NOW = dt.datetime(2026, 11, 24, 12, 30, 1, 5)  # noqa: DTZ001
DATA: list[Any] = [
    *(None, True, 0, -5, 2**100, 1.5, "text", "\ud800é", b"", b"bytes", bytearray(b""), bytearray(b"x" * 300), ...),
    *(
        (),
        (1,),
        [1, [2]],
        {"a": {1: None}},
        {1, 2},
        set(),
        frozenset((1,)),
        1j,
        range(3),
        slice(1, None, 2),
        NotImplemented,
    ),
    *(NOW, NOW.date(), NOW.time(), NOW - NOW, dt.timedelta(1, 2, 3), dt.UTC),
    *(
        NOW.replace(tzinfo=dt.UTC),
        NOW.replace(tzinfo=dt.timezone(dt.timedelta(hours=2), "x")),
    ),
    *(NOW.replace(tzinfo=zoneinfo.ZoneInfo("UTC")), NOW.time().replace(tzinfo=dt.UTC)),
    *(uuid.UUID(int=5), uuid.SafeUUID.safe, decimal.Decimal("1.50"), decimal.Decimal("NaN").copy_abs() * 0 == 0),
    *(fractions.Fraction(1, 3), pathlib.Path("a/b"), pathlib.PurePosixPath("/a"), pathlib.PureWindowsPath("c:/a")),
    *(ipaddress.ip_address("10.0.0.1"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("::1/64")),
    *(
        collections.OrderedDict(a=1),
        collections.Counter("aab"),
        collections.deque([1], 3),
        collections.ChainMap({1: 2}),
    ),
    *(collections.defaultdict(list, a=[1]), collections.defaultdict(None), collections.UserDict(a=1)),
    *(collections.UserList([1]), collections.UserString("x"), types.SimpleNamespace(a=[1])),
    *(array.array("d", [1.5]), array.array("i"), int, dict, object),
]
ERRORS = [ValueError("x", 1), OSError(2, "no", "f"), KeyError("k"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")]
ARRAYS: list[Any] = [
    *(np.arange(10), np.zeros((2, 3), order="F"), np.array(5), np.zeros(0), np.array(["a", "bc"]), np.zeros(3, "S5")),
    *(np.array([1, "x", None, [2]], dtype=object), np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])),
    *(np.zeros(2, [("p", "f4", (2, 2))]), np.zeros(2, np.dtype([("a", "i1"), ("b", "f8")], align=True))),
    *(np.array(["2020-01-01"], "M8[s]"), np.zeros(3, ">i4"), np.float64(1.5), np.bool_(1), np.datetime64("2020-01-01")),
]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Mine:
    def __init__(self, value: object = 0) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mine) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]

    class Inner(enum.Enum):
        ONE = 1


class Runs:
    """A pickle that calls a function when it is loaded."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.mark.parametrize("value", DATA, ids=repr)
def test_plain_data_passes_in_every_protocol(gate: Gate, value: Any) -> None:
    for protocol in PROTOCOLS:
        try:
            data = pickle.dumps(value, protocol)
        except (TypeError, AttributeError, pickle.PicklingError):
            continue  # this Python cannot store it so
        loaded = gate.loads(data)
        assert loaded == value
        assert type(loaded) is type(value)


@pytest.mark.parametrize("value", ERRORS, ids=repr)
def test_errors_pass_in_every_protocol(gate: Gate, value: Any) -> None:
    for protocol in PROTOCOLS:
        assert repr(gate.loads(pickle.dumps(value, protocol))) == repr(value)


@pytest.mark.parametrize("value", ARRAYS, ids=lambda value: f"{value.dtype}{value.shape}")
def test_numpy_arrays_and_scalars_pass_as_pickle_loads_them(gate: Gate, value: Any) -> None:
    for protocol in PROTOCOLS:
        data = pickle.dumps(value, protocol)
        loaded, expected = gate.loads(data), pickle.loads(data)
        assert (loaded.dtype, loaded.shape, type(loaded)) == (expected.dtype, expected.shape, type(expected))
        assert repr(loaded) == repr(expected)


def test_what_another_version_of_python_named_otherwise_passes(gate: Gate) -> None:
    assert gate.loads(b"\x80\x04\x8c\x0epathlib._local\x8c\tPosixPath\x93\x8c\x01a\x85R.") == pathlib.PosixPath("a")
    assert gate.loads(b"c__builtin__\nset\n((lI1\natR.") == {1}
    assert gate.loads(b"\x80\x02cUserDict\nIterableUserDict\n)\x81}U\x04data}sb.") == collections.UserDict()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "function",
    [os.system, eval, exec, print, open, __import__, getattr, setattr, type, compile, input, breakpoint, globals, vars],
    ids=lambda function: function.__name__,
)
def test_functions_are_not_called(gate: Gate, function: Callable[..., Any], protocol: int, tmp_path: Path) -> None:
    with pytest.raises((UntrustedValue, TypeError)):
        gate.loads(pickle.dumps(Runs(function, f"touch {tmp_path}/ran"), protocol))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_classes_of_others_are_refused_by_name(gate: Gate, protocol: int) -> None:
    with pytest.raises(UntrustedValue, match=r"test_gate\.Mine is not plain data") as caught:
        gate.loads(pickle.dumps([1, Mine(5)], protocol))
    assert caught.value.name.endswith("test_gate.Mine")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_allowed_classes_pass(protocol: int) -> None:
    gate = Gate([Mine, Mine.Inner])
    value = {"a": [Mine([1, NOW, Mine(2)])]}
    assert gate.loads(pickle.dumps(value, protocol)) == value
    if protocol >= 4:
        assert gate.loads(pickle.dumps(Mine.Inner.ONE, protocol)) is Mine.Inner.ONE
    with pytest.raises(UntrustedValue):
        gate.loads(pickle.dumps([Mine(1), Runs(os.getcwd)], protocol))


def test_allow_takes_classes_and_functions_alone() -> None:
    for wrong in ("collections.Counter", 5, None):
        with pytest.raises(TypeError, match="allow takes"):
            Gate([wrong])  # type: ignore[list-item]


def name(module: str, attribute: str) -> bytes:
    """The instructions that put what a name stands for on the stack."""
    return f"c{module}\n{attribute}\n".encode()


BYPASSES = {
    "dotted name through an allowed module": b"\x80\x04\x8c\x0bcollections\x8c\x0c_sys.version\x93.",
    "dotted name through an allowed class": b"\x80\x04\x8c\x08builtins\x8c\x0ddict.fromkeys\x93\x8c\x01a\x85R.",
    "subclasses of object": b"\x80\x04\x8c\x08builtins\x8c\x15object.__subclasses__\x93)R.",
    "getattr of another pair": name("builtins", "getattr") + name("uuid", "UUID") + b"V__init__\n\x86R.",
    "getattr of another name": name("builtins", "getattr") + name("zoneinfo", "ZoneInfo") + b"V__class__\n\x86R.",
    "getattr of Python 2": name("__builtin__", "getattr") + name("zoneinfo", "ZoneInfo") + b"Vkey\n\x86R.",
    "os by its inner name": name("posix", "system") + b"(Vtrue\ntR.",
    "INST": b"(Vtrue\nios\nsystem\n.",
    "OBJ": b"(" + name("os", "system") + b"Vtrue\no.",
    "NEWOBJ": name("subprocess", "Popen") + b"(Vtrue\nt\x81.",
    "persistent id": b"Pos\n.",
    "codec with another codec": name("_codecs", "encode") + b"(Vx\nVzlib\ntR.",
    "object of any class": name("copyreg", "_reconstructor")
    + b"("
    + name("collections", "Counter")
    + name("builtins", "object")
    + b"NtR.",
    "lots of bytes": name("builtins", "bytearray") + b"(I100000000000\ntR.",
    "lots of other bytes": name("builtins", "bytes") + b"(I100000000000\ntR.",
}


@pytest.mark.parametrize("data", BYPASSES.values(), ids=BYPASSES)
def test_known_ways_around_are_closed(gate: Gate, data: bytes) -> None:
    assert list(pickletools.genops(data))[-1][0].name == "STOP"  # it is refused for what it asks, not for its form
    with pytest.raises((UntrustedValue, TypeError, pickle.UnpicklingError)):
        gate.loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b"cantigravity",
        b"iantigravity",
        b"(iantigravity",
        b"\x80\x04cantigravity.",
        b"c",
        b"Pthis.",
        b"Q.",
        b"cthis.s.",
    ],
)
def test_names_without_the_end_of_a_line_are_none_for_the_unpickler_in_c(gate: Gate, data: bytes) -> None:
    """What has no line and none of the other instructions that name something goes to ``pickle.loads`` itself."""
    with pytest.raises(pickle.UnpicklingError):
        gate.loads(data)
    assert "antigravity" not in sys.modules
    assert "this" not in sys.modules


def test_instructions_that_name_something_are_those_that_are_looked_for() -> None:
    naming = {"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
    found = {code.name for code in pickletools.opcodes if "find_class" in code.doc or "registry" in code.doc}
    assert found - naming <= {"REDUCE", "PERSID", "BINPERSID"}
    for code in pickletools.opcodes:
        if code.name in naming:
            takes_lines = code.arg is not None and "newline" in code.arg.doc
            assert takes_lines or code.code.encode("latin-1") in b"\x93\x82\x83\x84"


@pytest.mark.parametrize("data", [memoryview, bytearray], ids=lambda kind: kind.__name__)
def test_what_is_no_bytes_is_looked_at_as_well(gate: Gate, data: Any) -> None:
    with pytest.raises(UntrustedValue):
        gate.loads(data(pickle.dumps(Runs(os.getcwd), 0)))


CHANGES = {
    "class": name("fractions", "Fraction"),
    "class with __setstate__": name("uuid", "UUID"),
    "class of C": name("collections", "deque"),
    "function": name("_codecs", "encode"),
    "class in Python": name("collections", "UserDict"),
    "path": name("pathlib", "PosixPath"),
    "numpy's class": name("numpy", "ndarray"),
    "numpy's function": name("numpy.core.multiarray", "_reconstruct"),
}


@pytest.mark.parametrize("what", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("state", [b"(dVchanged\nI1\ns", b"N(dVchanged\nI1\ns\x86"], ids=["dict", "slots"])
def test_classes_and_functions_are_not_changed(gate: Gate, what: bytes, state: bytes) -> None:
    with pytest.raises((UntrustedValue, TypeError, AttributeError, pickle.UnpicklingError, ValueError)):
        gate.loads(what + state + b"b.")
    for one in (fractions.Fraction, uuid.UUID, collections.UserDict, pathlib.PosixPath, np.ndarray):
        assert not hasattr(one, "changed")


def test_allowed_class_is_not_changed() -> None:
    module = Mine.__module__
    with pytest.raises(UntrustedValue, match="does not change"):
        Gate([Mine]).loads(name(module, "Mine") + b"N(dVvalue\nI1\ns\x86b.")
    assert not hasattr(Mine, "value")


def test_extensions_that_the_program_registered_are_refused(gate: Gate) -> None:
    copyreg.add_extension("os", "getcwd", 0xF1)
    try:
        data = (
            pickle.dumps(Runs(os.getcwd), 2)
            .replace(b"cposix\ngetcwd\n", b"\x82\xf1")
            .replace(b"cos\ngetcwd\n", b"\x82\xf1")
        )
        assert b"\x82\xf1" in data
        pickle.loads(data)  # now it is in pickle's cache, too
        with pytest.raises(UntrustedValue, match="extension"):
            gate.loads(data)
        assert gate.loads(pickle.dumps({"a": NOW})) == {"a": NOW}
    finally:
        copyreg.remove_extension("os", "getcwd", 0xF1)


def state_of(array: Any) -> list[Any]:
    return list(array.__reduce__()[2])


@pytest.mark.parametrize(
    ("part", "wrong"),
    [(1, (10**6,)), (1, (-1,)), (1, "x"), (2, "f8"), (4, b"short"), (4, [1]), (0, 7), (2, np.dtype(object))],
    ids=repr,
)
def test_numpy_states_that_do_not_fit_are_refused(gate: Gate, part: int, wrong: Any) -> None:
    class Wrong:
        def __reduce__(self) -> Any:
            made, arguments, state = np.arange(3.0).__reduce__()
            changed = list(state)
            changed[part] = wrong
            return made, arguments, tuple(changed)

    with pytest.raises(UntrustedValue):
        gate.loads(pickle.dumps(Wrong()))


def test_numpy_dtypes_with_strange_offsets_are_refused(gate: Gate) -> None:
    class Wrong:
        def __init__(self, changed: dict[int, Any]) -> None:
            self.changed = changed

        def __reduce__(self) -> Any:
            made, arguments, state = np.dtype([("a", "i4"), ("b", "f8")]).__reduce__()
            return made, arguments, tuple(self.changed.get(at, part) for at, part in enumerate(state))

    f8 = np.dtype("f8")
    for changed in (
        {4: {"a": (np.dtype("i4"), 0), "b": (f8, 10**6)}}, {4: {"a": (f8, -8), "b": (f8, 0)}}, {5: 1}, {7: 63},
        {5: 10**9, 7: 63}, {4: {"a": (np.dtype(object), 0), "b": (f8, 8)}}, {3: ("a",)}, {4: None}, {2: (f8, (10,))},
    ):  # fmt: skip
        with pytest.raises(UntrustedValue):
            gate.loads(pickle.dumps(Wrong(changed)))


@pytest.mark.parametrize("name", ["bytes", "bytearray"])
@pytest.mark.parametrize("arguments", [("a", "idna"), ("a", "no_such"), ("a", "latin1", "ignore"), (10**9,)])
def test_bytes_are_made_of_data_alone(gate: Gate, name: str, arguments: tuple[Any, ...]) -> None:
    """The name of a codec is that of a module, which would be imported."""
    made = b"".join(b"I%d\n" % each if isinstance(each, int) else b"V%s\n" % each.encode() for each in arguments)
    before = set(sys.modules)
    with pytest.raises(TypeError, match="a pickle of data does not call"):
        gate.loads(b"c__builtin__\n%s\n(%stR." % (name.encode(), made))
    assert not {each for each in set(sys.modules) - before if each.startswith("encodings")}


class _Described:
    """A dtype with a state of somebody's making."""

    def __init__(self, kind: str, state: tuple[Any, ...]) -> None:
        self.made = (np.dtype, (kind, False, True), state)

    def __reduce__(self) -> Any:
        return self.made


@pytest.mark.parametrize(
    "state",
    [
        (3, "<", None, None, None, -1, -1, 0),  # without its unit numpy followed a null pointer
        (4, "<", None, None, None, -1, -1, 0, None),
        (4, "<", None, None, None, -1, -1, 0, (None, (b"parsec", 1, 1, 1))),
        (4, "<", None, None, None, -1, -1, 0, (None, (b"s", 0, 1, 1))),
        (4, "<", None, None, None, -1, -1, 0, (None, (b"s", 1, 7, 1))),
        (4, "<", None, None, None, -1, -1, 0, ({"title": 1}, (b"s", 1, 1, 1))),
        (4, "<", ("f8", (2,)), None, None, 8, -1, 0, (None, (b"s", 1, 1, 1))),
    ],
)
def test_dates_of_numpy_without_a_unit_are_refused(gate: Gate, state: tuple[Any, ...]) -> None:
    with pytest.raises(UntrustedValue):
        gate.loads(pickle.dumps([_Described("m8", state)]))


@pytest.mark.parametrize(
    "kind",
    [
        *("m8", "M8[s]", "m8[25s]", "i4", "U3", "S2", "O", "?", "c16", ">i2", ">M8[D]", "V7", ">U4"),
        *([("a", "i4"), ("b", "f8", (2,))], [("t", "M8[ns]")], ("i4", (2, 3)), [("x", ">i4"), ("s", "U5")]),
        {"names": ["a"], "formats": ["i4"], "offsets": [4], "itemsize": 16},
    ],
    ids=str,
)
@pytest.mark.parametrize("protocol", range(6))
def test_dtypes_come_back_as_numpy_makes_them(gate: Gate, kind: Any, protocol: int) -> None:
    dtype = np.dtype(kind)
    found = gate.loads(pickle.dumps(dtype, protocol))
    assert found == dtype
    assert (found.alignment, found.flags, found.metadata) == (dtype.alignment, dtype.flags, dtype.metadata)
    aligned = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    assert gate.loads(pickle.dumps(aligned, protocol)).isalignedstruct
