"""Keys as bytes: docs/format.md, "Keys"."""

from __future__ import annotations

import contextlib
import enum
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import coshelf
from coshelf.errors import DamagedRecord, InvalidKey
from coshelf.keys import FIRST, LAST, decode, decode_element, encode, encode_element, is_key_type, prefix_end
from coshelf.testing.shelf_machine import canonical, keys, order

GOLDEN = Path(__file__).parent.parent / "golden" / "keys.json"


def described(key: Any, *, element: bool = False, end: bool = True) -> bytes:
    """The encoding written a second time, from the words of docs/format.md and exact arithmetic."""
    if key is None:
        return b"\x10"
    if isinstance(key, (int, float)):
        return described_number(key)
    if isinstance(key, tuple):
        elements = b"".join(described(each, element=True) for each in key)
        return b"\x40" + elements + (b"\x00" if element and end else b"")
    raw = b"\x30" + key.encode("utf-8", "surrogatepass") if isinstance(key, str) else b"\x38" + key
    return raw.replace(b"\x00", b"\x00\xff") + (b"\x00" if end else b"") if element else raw


def described_number(number: float) -> bytes:
    if math.isinf(number):
        return b"\x27" if number > 0 else b"\x11"
    if number == 0:
        return b"\x1c"
    if number < 0:
        positive = described_number(-number)
        return bytes([0x38 - positive[0]]) + bytes(255 - byte for byte in positive[1:])
    if number < 1:
        sign_and_exponent_and_fraction = float(number).hex()
        assert float.fromhex(sign_and_exponent_and_fraction) == number
        mantissa, exponent = math.frexp(number)
        if exponent < -1021:  # a subnormal number is a multiple of 2 ** -1074
            bits = int(Fraction(number) * 2**1074)
        else:
            bits = ((exponent + 1022) << 52) + int(Fraction(mantissa) * 2**53) - 2**52
        return b"\x1d" + bits.to_bytes(8, "big")
    whole = math.floor(number)
    digits = whole.to_bytes((whole.bit_length() + 7) // 8, "big")
    if len(digits) > 8:
        return b"\x26" + len(digits).to_bytes(4, "big") + digits
    rest, tail = Fraction(number) - whole, []
    while rest:
        digit = math.floor(rest * 128)
        rest = rest * 128 - digit
        tail.append(digit * 2 + (1 if rest else 0))
    return bytes([0x1D + len(digits)]) + digits + (bytes(tail) or b"\x00")


# --- the bytes -------------------------------------------------------------------------------------------------------


def test_golden_keys_have_their_bytes() -> None:
    golden = json.loads(GOLDEN.read_text("ascii"))
    assert len(golden) > 60
    for text, stored in golden.items():
        key = eval(text, {"inf": math.inf})
        assert encode(key).hex() == stored, text
        assert decode(bytes.fromhex(stored)) == key, text


def test_golden_keys_are_in_key_order() -> None:
    golden = json.loads(GOLDEN.read_text("ascii"))
    assert list(golden.values()) == sorted(golden.values())
    ranks = [order(eval(text, {"inf": math.inf})) for text in golden]
    assert ranks == sorted(ranks)


@given(keys())
def test_bytes_are_as_the_format_describes(key: Any) -> None:
    assert encode(key) == described(key)
    assert encode_element(key) == described(key, element=True)


@given(st.one_of(st.text(st.characters(exclude_categories=())), st.binary(), keys().map(lambda key: (key,))))
def test_element_without_end_is_the_element_less_its_end(key: Any) -> None:
    assert encode_element(key, end=False) == described(key, element=True, end=False)
    assert encode_element(key, end=False) + b"\x00" == encode_element(key)


@given(keys())
def test_first_byte_is_never_reserved(key: Any) -> None:
    assert FIRST <= encode(key) < LAST


# --- equality and order ----------------------------------------------------------------------------------------------


@given(keys(), keys())
@example(1, True)
@example(0, -0.0)
@example(2**53, float(2**53))
@example(2**64, 2.0**64)
@example((1, "a"), (1.0, "a"))
@example("a", b"a")
def test_keys_are_equal_where_their_bytes_are(one: Any, other: Any) -> None:
    assert (encode(one) == encode(other)) == (order(one) == order(other))


@given(keys(), keys())
@example("a\0", "a")
@example(("a\0",), ("a", None))
@example(("a", 1), ("a\0", 0))
@example(((),), ((None,),))
@example(2**64, 1e300)
@example(2**2000, math.inf)
@example(-(2**64) - 1, -(2.0**64))
@example("\ud800\udc00", "\U00010000")
def test_order_of_bytes_is_order_of_keys(one: Any, other: Any) -> None:
    assert (encode(one) < encode(other)) == (order(one) < order(other))


@given(st.one_of(st.integers(), st.floats(allow_nan=False)), st.one_of(st.integers(), st.floats(allow_nan=False)))
def test_order_of_numbers_is_numeric_whatever_their_type(one: float, other: float) -> None:
    assert (encode(one) < encode(other)) == (one < other)
    assert (encode((one, 0)) < encode((other, 0))) == ((one, 0) < (other, 0))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_neighbouring_floats_are_neighbours(number: float) -> None:
    assert encode(math.nextafter(number, -math.inf)) < encode(number) < encode(math.nextafter(number, math.inf))


@given(st.integers(-(2**70), 2**70))
def test_neighbouring_integers_are_neighbours(number: int) -> None:
    assert encode(number - 1) < encode(number) < encode(number + 1)


@given(keys(), keys())
def test_no_element_begins_another(one: Any, other: Any) -> None:
    first, second = encode_element(one), encode_element(other)
    assert first == second or not second.startswith(first)


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_prefix_of_a_str_is_a_prefix_of_its_bytes(prefix: str, rest: str) -> None:
    assert encode(prefix + rest).startswith(encode(prefix))
    assert encode(prefix) <= encode(prefix + rest) < prefix_end(encode(prefix))


@given(st.lists(keys(), max_size=3).map(tuple), st.lists(keys(), max_size=3).map(tuple))
def test_prefix_of_a_tuple_is_a_prefix_of_its_bytes(prefix: tuple[Any, ...], rest: tuple[Any, ...]) -> None:
    assert encode(prefix + rest).startswith(encode(prefix))


@given(st.binary(min_size=1), st.binary(min_size=1))
def test_prefix_end_is_the_least_above_all_that_begin_so(prefix: bytes, other: bytes) -> None:
    prefix, other = b"\x30" + prefix, b"\x30" + other
    assert (prefix <= other < prefix_end(prefix)) == other.startswith(prefix)


# --- and back --------------------------------------------------------------------------------------------------------


@given(keys())
def test_key_comes_back_in_its_one_form(key: Any) -> None:
    assert repr(decode(encode(key))) == repr(canonical(key))
    assert encode(decode(encode(key))) == encode(key)


@given(st.lists(keys(), max_size=4))
def test_elements_come_back_one_after_the_other(elements: list[Any]) -> None:
    data = b"".join(encode_element(element) for element in elements)
    position, found = 0, []
    while position < len(data):
        element, position = decode_element(data, position)
        found.append(element)
    assert found == elements
    assert position == len(data)


def test_subclasses_come_back_as_their_base() -> None:
    class Text(str):
        __slots__ = ()

    class Raw(bytes):
        pass

    class Pair(tuple[Any, ...]):
        __slots__ = ()

    class Colour(enum.IntEnum):
        RED = 300

    class Name(enum.StrEnum):
        ANN = "ann"

    class Real(float):
        pass

    for key, plain in (
        *((Text("a"), "a"), (Raw(b"a"), b"a"), (Pair((Text("a"), Colour.RED)), ("a", 300))),
        *((Colour.RED, 300), (Name.ANN, "ann"), (Real(0.5), 0.5), (Real(-3.0), -3)),
    ):
        assert encode(key) == encode(plain)
        assert type(decode(encode(key))) is type(plain)


# --- what cannot be a key --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [1j, [], {}, set(), frozenset(), bytearray(b"a"), object(), memoryview(b"a"), int])
def test_other_types_are_a_type_error_that_lists_the_key_types(key: Any) -> None:
    for refused in (key, (key,), ("a", (1, key))):
        with pytest.raises(InvalidKey, match="str, bytes, int, float, bool, None and tuples") as caught:
            encode(refused)
        assert isinstance(caught.value, TypeError)
        assert not is_key_type(refused)


@pytest.mark.parametrize("key", [math.nan, -math.nan, (math.nan,), ("a", (math.nan,))])
def test_nan_is_a_type_error(key: Any) -> None:
    with pytest.raises(InvalidKey, match="NaN"):
        encode(key)
    assert not is_key_type(key)


def nested(depth: int) -> Any:
    key: Any = ()
    for _ in range(depth):
        key = (key,)
    return key


def test_tuples_nest_to_a_hundred_levels_and_no_deeper() -> None:
    deepest = max(depth for depth in range(150) if encodes(nested(depth)))
    assert deepest >= 99
    assert decode(encode(nested(deepest))) == nested(deepest)
    for depth in (deepest + 1, 150, 100_000):
        with pytest.raises(InvalidKey, match="nested"):
            encode(nested(depth))


def encodes(key: Any) -> bool:
    try:
        encode(key)
    except InvalidKey:
        return False
    return True


@given(keys())
def test_what_encodes_is_a_key_type(key: Any) -> None:
    assert is_key_type(key)


# --- damage ----------------------------------------------------------------------------------------------------------

_TAGS = st.sampled_from(range(0x0F, 0x43)).map(lambda tag: bytes([tag]))


@given(st.one_of(st.binary(), st.lists(st.one_of(_TAGS, st.binary(max_size=4))).map(b"".join)))
@example(b"")
@example(b"\x26\xff\xff\xff\xff")
@example(b"\x12\xff\xff\xff\xff")
@example(b"\x1d\x7f\xf8\0\0\0\0\0\0")
@example(b"\x1d\xff\xff\xff\xff\xff\xff\xff\xff")
@example(b"\x1e\x01" + b"\x01" * 50)
@example(b"\x40" * 100_000)
@example(b"\x40" * 200 + b"\0" * 200)
@example(b"\x30\xff")
@example(b"\x40\x30\0\xff\0\x00")
def test_any_bytes_are_a_key_or_damage(data: bytes) -> None:
    with contextlib.suppress(DamagedRecord):
        decode(data)


@given(keys(), st.data())
def test_key_cut_short_is_another_key_or_damage(key: Any, data: st.DataObject) -> None:
    encoded = encode(key)
    cut = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    with contextlib.suppress(DamagedRecord):
        assert order(decode(cut)) != order(key)


@given(st.one_of(st.none(), st.integers(), st.floats(allow_nan=False)), st.binary(min_size=1))
def test_bytes_behind_a_number_are_damage(key: Any, rest: bytes) -> None:
    with pytest.raises(DamagedRecord, match="too many"):
        decode(encode(key) + rest)


class _Index:
    """An integer of another library, which a dict takes for the int that it equals."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __repr__(self) -> str:  # the name of a test, which has to be the same in all of its processes
        return f"{type(self).__name__}({self._number})"

    def __index__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return other == self._number

    def __hash__(self) -> int:
        return hash(self._number)


class _Lookalike(_Index):
    """One that a dict takes for another key, as it does a tensor of no dimension."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


NUMPY_NUMBERS = [
    *(kind(5) for kind in (np.int8, np.uint8, np.int64, np.uint64, np.float16, np.float32, np.float64, np.longdouble)),
    *(np.float32(0.1), np.float16("inf"), np.longdouble(-2.5), np.True_, np.False_, np.int64(-(2**63))),
]


@pytest.mark.parametrize("key", [*NUMPY_NUMBERS, _Index(7), _Index(2**70)], ids=repr)
def test_number_of_another_library_is_the_key_that_it_equals(key: Any) -> None:
    (equal,) = {key: 1}.keys() & {5, 0.5, float(np.float32(0.1)), math.inf, -2.5, 0, 1, -(2**63), 7, 2**70}
    assert encode(key) == encode(equal)
    assert encode((key, "a")) == encode((equal, "a"))
    assert is_key_type(key)
    with coshelf.open("memory:") as shelf:
        shelf[key] = "stored"
        assert shelf[equal] == shelf.get(key) == "stored"
        assert key in shelf
        assert list(shelf.keys(start=key)) == [equal]
        with shelf.sub("part").transaction() as transaction:
            transaction[equal] = "in part"
            assert transaction.pop(key) == "in part"
        del shelf[key]
        assert not shelf


@pytest.mark.parametrize(
    "key",
    [
        np.longdouble(1) / 3,
        np.float32("nan"),
        np.complex64(1),
        np.datetime64(5, "s"),
        np.timedelta64(5, "s"),
        _Lookalike(1),
    ],
    ids=repr,
)
def test_what_equals_no_key_is_none(key: Any) -> None:
    assert not is_key_type(key)
    with pytest.raises(InvalidKey), coshelf.open("memory:") as shelf:
        shelf[key] = 1
    with coshelf.open("memory:") as shelf:
        assert shelf.get(key, "nothing") == "nothing"
        assert key not in shelf


def test_array_is_no_key_though_it_has_an_index() -> None:
    with coshelf.open("memory:") as shelf:
        with pytest.raises(TypeError, match="ndarray"):
            shelf[np.array(5)] = 1
        with pytest.raises(TypeError, match="unhashable"):
            shelf.get(np.array(5))
