"""Python keys as bytes whose order is the order of the keys.

The model is FoundationDB's tuple layer, with one difference: equal keys are one key, as in a dict. So a number has the
same form in each type, and the order of numbers is numeric. docs/format.md has the bytes.

>>> encode(1) == encode(1.0) == encode(True)
True
>>> decode(encode(("users", 17, b"\\x00", None)))
('users', 17, b'\\x00', None)
>>> sorted([b"b", "a", (1, 2), 2.5, None, -7, (1,)], key=encode)
[None, -7, 2.5, 'a', b'b', (1,), (1, 2)]
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from coshelf.errors import DamagedRecord, InvalidKey
from coshelf.native import faster
from coshelf.screen import plain

__all__ = [
    "FIRST",
    "FOREIGN",
    "HIGH",
    "LAST",
    "STR",
    "TUPLE",
    "Key",
    "decode",
    "decode_element",
    "encode",
    "encode_element",
    "is_key_type",
    "prefix_end",
    "shown",
]

Key: TypeAlias = "str | bytes | int | float | bool | None | tuple[Key, ...]"

# One tag byte per type, in the order of the types. Tags below FIRST are for coshelf's own rows; 0xFF is never used.
FIRST = b"\x10"
LAST = b"\xff"
_NONE = 0x10
_NEGATIVE_INFINITY = 0x11
_NEGATIVE_BIG = 0x12
_ZERO = 0x1C  # before it come the tags for negative integer parts of 8 to 1 bytes, then for -1 < x < 0
_NEGATIVE_FRACTION = 0x1B
_POSITIVE_FRACTION = 0x1D
_POSITIVE_BIG = 0x26  # _ZERO + 1 + n is the tag for a positive integer part of n bytes, 1 to 8
_POSITIVE_INFINITY = 0x27
_STR = 0x30
_BYTES = 0x38
_TUPLE = 0x40
STR = bytes([_STR])
TUPLE = bytes([_TUPLE])
# The first tag after str. A namespace treats the keys below and above str separately (namespace.py).
HIGH = bytes([_BYTES])


class _Foreign:
    pass


FOREIGN: Final = _Foreign()
"""Instead of a key that lies among those of a namespace but does not belong to it."""

_MAX_DEPTH = 100
_SHOWN = 200
_COMPLEMENT = bytes(255 - i for i in range(256))
_SMALL = {n: bytes([_ZERO + 2, n, 0]) for n in range(1, 256)}
_SMALL[0] = bytes([_ZERO])

_ALLOWED = "str, bytes, int, float, bool, None and tuples of these"
_INSTEAD = {
    "list": "tuple(key)",
    "set": "tuple(sorted(key))",
    "frozenset": "tuple(sorted(key))",
    "dict": "tuple(sorted(key.items()))",
    "ndarray": "tuple(key.tolist())",
    "PurePath": "str(key)",
    "Decimal": "str(key)",
    "Fraction": "str(key)",
    "UUID": "str(key)",
    "Enum": "key.name or key.value",
    "date": "key.isoformat()",
    "time": "key.isoformat()",
    "timedelta": "key.total_seconds()",
    "bytearray": "bytes(key)",
    "memoryview": "bytes(key)",
    "slice": "keys(start=, stop=), items(start=, stop=) or values(start=, stop=), which read a range",
}
"""What to use instead of an object of a common type. Its class is recognised by name, so that nothing is imported."""


def encode(key: Any) -> bytes:
    """Encode a key, so that bytes have the order of keys. Raises :class:`InvalidKey` for other types and for NaN."""
    if isinstance(key, str):
        try:
            return STR + str.encode(key)
        except UnicodeEncodeError:
            return STR + str.encode(key, "utf-8", "surrogatepass")
    if type(key) is int:
        small = _SMALL.get(key)
        return small if small is not None else _number(key)
    if isinstance(key, bytes):
        return bytes([_BYTES]) + key
    if isinstance(key, tuple):
        return TUPLE + b"".join(encode_element(element, 1) for element in key)
    return encode_element(key)


def encode_element(key: Any, depth: int = 0, *, end: bool = True) -> bytes:
    """Encode a key as an element of a tuple: no encoded element is a prefix of another.

    With ``end=False`` the last terminator is left out. Then the result is a prefix of every element that begins with
    this str, bytes or tuple.
    """
    if isinstance(key, str):
        return _delimited(_STR, str.encode(key, "utf-8", "surrogatepass"), end)
    if isinstance(key, bytes):
        return _delimited(_BYTES, key, end)
    if key is None:
        return bytes([_NONE])
    if isinstance(key, (int, float)):
        return _number(key)
    if isinstance(key, tuple):
        if depth > _MAX_DEPTH:
            raise InvalidKey(f"key is a tuple nested more than {_MAX_DEPTH} levels deep")
        body = b"".join(encode_element(element, depth + 1) for element in key)
        return TUPLE + body + (b"\x00" if end else b"")
    number = _equal_number(key)
    if number is not None:
        return _number(number)
    raise InvalidKey(f"a key cannot be of type {type(key).__name__}: keys are {_ALLOWED}{_instead_of(key)}")


def _instead_of(key: Any) -> str:
    """A line that says which key to use instead of an object of a common type, or nothing."""
    if hasattr(type(key), "__dataclass_fields__"):
        way = "dataclasses.astuple(key)"
    else:
        way = next((_INSTEAD[kind.__name__] for kind in type(key).__mro__ if kind.__name__ in _INSTEAD), "")
    return way and f"\n  hint: use {way}"


def is_key_type(key: Any) -> bool:
    """Whether an object could be a key. No other object is ever in a shelf."""
    if isinstance(key, float):
        return not math.isnan(key)
    if isinstance(key, tuple):
        return all(is_key_type(element) for element in key)
    return key is None or isinstance(key, (str, bytes, int)) or _equal_number(key) is not None


def _equal_number(key: Any) -> float | None:
    """The Python number that is the same dict key as a number of another library; None if there is no such number.

    Integers are recognised by ``__index__``. Floats and bools of numpy do not have it, so their class is compared.
    """
    names = {name.__name__ for name in type(key).__mro__ if name.__module__ == "numpy"}
    try:
        number = float(key) if "floating" in names else bool(key) if names & {"bool", "bool_"} else operator.index(key)
        return number if hash(key) == hash(number) and key == number else None
    except (TypeError, ValueError, OverflowError):  # not a number, an array, or an object that cannot be hashed
        return None


def shown(key: Any) -> str:
    """A key for a message: its repr, cut, with control characters and invisible characters escaped."""
    try:
        text = repr(key)
    except Exception as error:  # an int of too many digits, or a subclass with a repr of its own
        return f"<{type(key).__name__} that cannot be shown: {type(error).__name__}>"
    return plain(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}...")


def prefix_end(prefix: bytes) -> bytes:
    """The smallest bytes greater than everything that begins with ``prefix``."""
    stripped = prefix.rstrip(b"\xff")
    if not stripped:
        return LAST
    return stripped[:-1] + bytes([stripped[-1] + 1])


def _delimited(tag: int, data: bytes, end: bool) -> bytes:
    return bytes([tag]) + data.replace(b"\x00", b"\x00\xff") + (b"\x00" if end else b"")


def _number(value: float) -> bytes:
    if isinstance(value, float):
        if math.isnan(value):
            raise InvalidKey("NaN cannot be a key: it is not equal to itself")
        if math.isinf(value):
            return bytes([_POSITIVE_INFINITY if value > 0 else _NEGATIVE_INFINITY])
    whole = int(value)  # this also turns bool and other subclasses of int into int
    if value == 0:
        return bytes([_ZERO])
    negative = value < 0
    magnitude = -whole if negative else whole
    if magnitude == 0:  # 0 < |value| < 1: the bits of a positive double are in numeric order
        body = struct.pack(">d", abs(value))
        return _signed(negative, _NEGATIVE_FRACTION if negative else _POSITIVE_FRACTION, body)
    length = (magnitude.bit_length() + 7) // 8
    if length > 8:
        body = struct.pack(">I", length) + magnitude.to_bytes(length, "big")
        return _signed(negative, _NEGATIVE_BIG if negative else _POSITIVE_BIG, body)
    body = magnitude.to_bytes(length, "big") + _fraction(abs(value) - magnitude)
    return _signed(negative, _ZERO - 1 - length if negative else _ZERO + 1 + length, body)


def _signed(negative: bool, tag: int, body: bytes) -> bytes:
    return bytes([tag]) + (body.translate(_COMPLEMENT) if negative else body)


def _fraction(fraction: float) -> bytes:
    """Seven binary digits a byte. The lowest bit says whether more follow, so order and end are right."""
    if not fraction:
        return b"\x00"
    digits = bytearray()
    while fraction:
        fraction *= 128
        digit = int(fraction)
        fraction -= digit
        digits.append(digit << 1 | (1 if fraction else 0))
    return bytes(digits)


def decode(data: bytes) -> Any:
    """The key from which :func:`encode` made these bytes. Raises :class:`DamagedRecord` for other bytes."""
    tag = data[0] if data else 0
    if tag == _STR:
        try:
            return data[1:].decode()
        except UnicodeDecodeError:
            return _text(data[1:])
    if tag == _BYTES:
        return data[1:]
    if tag == _TUPLE:
        return tuple(_elements(data, 1, 1, len(data)))
    key, position = decode_element(data, 0, 0)
    if position != len(data):
        raise DamagedRecord(f"stored key has {len(data) - position} bytes too many: {data[:40]!r}")
    return key


def decode_element(data: bytes, position: int, depth: int = 0) -> tuple[Any, int]:
    """Decode one element of a tuple from ``position`` on. Return it and the position behind it."""
    try:
        return _decode_element(data, position, depth)
    except (IndexError, struct.error) as error:
        raise DamagedRecord(f"stored key ends too early: {data[:40]!r}") from error


def _decode_element(data: bytes, position: int, depth: int) -> tuple[Any, int]:
    tag = data[position]
    position += 1
    if tag in (_STR, _BYTES):
        raw, position = _undelimited(data, position)
        return (_text(raw) if tag == _STR else raw), position
    if tag == _NONE:
        return None, position
    if tag == _TUPLE and depth <= _MAX_DEPTH:
        elements = []
        while data[position] != 0:
            element, position = _decode_element(data, position, depth + 1)
            elements.append(element)
        return tuple(elements), position + 1
    if _NEGATIVE_INFINITY <= tag <= _POSITIVE_INFINITY:
        return _decode_number(tag, data, position)
    raise DamagedRecord(f"stored key has an unknown type 0x{tag:02x}: {data[:40]!r}")


def _elements(data: bytes, position: int, depth: int, stop: int) -> Iterable[Any]:
    while position < stop:
        element, position = decode_element(data, position, depth)
        yield element


def _undelimited(data: bytes, position: int) -> tuple[bytes, int]:
    start = position
    while True:
        position = data.find(b"\x00", position)
        if position < 0:
            raise IndexError
        if data[position + 1 : position + 2] != b"\xff":
            return data[start:position].replace(b"\x00\xff", b"\x00"), position + 1
        position += 2


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise DamagedRecord(f"stored key is not UTF-8: {raw[:40]!r}") from error


def _decode_number(tag: int, data: bytes, position: int) -> tuple[float, int]:
    if tag == _ZERO:
        return 0, position
    if tag in (_NEGATIVE_INFINITY, _POSITIVE_INFINITY):
        return (math.inf if tag == _POSITIVE_INFINITY else -math.inf), position
    negative = tag < _ZERO
    start = position - 1

    def take(count: int) -> bytes:
        nonlocal position
        taken = data[position : position + count]
        if len(taken) != count:
            raise IndexError
        position += count
        return taken.translate(_COMPLEMENT) if negative else taken

    value: float
    if tag in (_NEGATIVE_FRACTION, _POSITIVE_FRACTION):
        value = struct.unpack(">d", take(8))[0]
    elif tag in (_NEGATIVE_BIG, _POSITIVE_BIG):
        value = int.from_bytes(take(struct.unpack(">I", take(4))[0]), "big")
    else:
        whole = take(abs(tag - _ZERO) - 1)
        value = int.from_bytes(whole, "big")
        if whole[0] and data[position] == (0xFF if negative else 0):  # an int in its usual form: the most frequent case
            return (-value if negative else value), position + 1
        scale = 1.0
        while True:
            byte = take(1)[0]
            scale /= 128
            if byte >> 1:
                value += (byte >> 1) * scale
            if not byte & 1:
                break
            if scale < 1e-30:
                raise DamagedRecord(f"stored key is not a number: {data[:40]!r}")
    value = -value if negative else value
    # NaN cannot be a key. Another form of a number would be a second key for it, or another number.
    if (isinstance(value, float) and math.isnan(value)) or _number(value) != data[start:position]:
        raise DamagedRecord(f"stored key has a number in another form than coshelf writes: {data[:40]!r}")
    return value, position


encode = faster("encode_key", encode)
decode = faster("decode_key", decode)
