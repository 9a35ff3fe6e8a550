"""The serializers beside pickle: values as msgpack, JSON, bytes and text. They do not run code from stored bytes.

They refuse a value that would not come back equal. To find that out, msgspec and JSON decode each value again before it
is stored. With msgspec, encoding and decoding cost less than pickling.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from coshelf.errors import TypeMismatch, UnreadableValue, UnwritableValue
from coshelf.keys import shown
from coshelf.system import extras
from coshelf.values.exact import difference
from coshelf.values.headers import BYTES, MSGPACK, NAMES, TEXT

__all__ = ["Serializer", "serializer"]

_FIELD = re.compile(r" - at .*`\$\.?([^`]*)`$")


class Serializer(ABC):
    """Values as bytes, and back."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = NAMES[number]

    @abstractmethod
    def dumps(self, key: Any, value: Any) -> bytes:
        """The bytes for a value. Raises :class:`UnwritableValue` if it would not come back equal."""

    @abstractmethod
    def loads(self, key: Any, payload: bytes) -> Any:
        """The value. Raises :class:`UnreadableValue`, or its subclass :class:`TypeMismatch`."""

    def unwritable(self, key: Any, value: Any, reason: str) -> UnwritableValue:
        return UnwritableValue(
            f"the value for key {shown(key)}, of type {type(value).__qualname__}, cannot be stored with codec "
            f"{self.name!r}: {reason}\n"
            "  hint: convert it, or use a shelf with codec 'pickle', which stores any object",
            (key,),
        )

    def unreadable(self, key: Any, reason: object) -> UnreadableValue:
        return UnreadableValue(f"the value for key {shown(key)} cannot be read as {self.name}: {reason}", key)


def serializer(number: int, kind: Any = None) -> Serializer:
    """The serializer of a codec's number; ``kind`` is the type of the values, None for builtins.

    Raises :class:`~coshelf.errors.MissingExtra`, and TypeError for a type that msgspec does not know.
    """
    if number == BYTES:
        return _Bytes(number)
    if number == TEXT:
        return _Text(number)
    if number == MSGPACK:
        return _Msgspec(number, extras.msgspec(), "msgpack", kind)
    return _Json(number) if kind is None else _Msgspec(number, extras.msgspec(), "json", kind)


class _Checked(Serializer):
    """A serializer that decodes each encoded value again, and compares."""

    _encode: Callable[[Any], bytes]
    _decode: Callable[[bytes], Any]

    def dumps(self, key: Any, value: Any) -> bytes:
        try:
            payload = self._encode(value)
            back = self._decode(payload)
            if back == value:
                return payload
            where = difference(value, back, self._encode)
        except Exception as error:
            raise self.unwritable(key, value, f"{type(error).__name__}: {error}") from error
        if where is not None:
            raise self.unwritable(key, value, where)
        return payload


class _Msgspec(_Checked):
    """msgspec's encodings, validated against a type if one is given."""

    def __init__(self, number: int, module: Any, form: str, kind: Any) -> None:
        super().__init__(number)
        encoding = getattr(module, form)
        self._encode = encoding.Encoder().encode
        self._decode = encoding.Decoder(Any if kind is None else kind).decode
        self._mismatch = module.ValidationError
        self._kind = kind

    def loads(self, key: Any, payload: bytes) -> Any:
        try:
            return self._decode(payload)
        except self._mismatch as error:
            raise self._unfit(key, str(error)) from error
        except Exception as error:
            raise self.unreadable(key, error) from error

    def _unfit(self, key: Any, told: str) -> TypeMismatch:
        name = getattr(self._kind, "__qualname__", repr(self._kind))
        found = _FIELD.search(told)
        return TypeMismatch(
            f"the value for key {shown(key)} does not fit type={name}: {told}\n"
            "  hint: it may have been stored with another type; without type= it is read as builtins",
            found.group(1) if found else "",
            key,
        )


class _Json(_Checked):
    """JSON by the standard library, without NaN and the infinities, which are not valid JSON."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
        decode = json.JSONDecoder(parse_constant=_no_constant).decode
        self._encode = lambda value: encode(value).encode("utf-8", "surrogatepass")
        self._decode = lambda payload: decode(payload.decode("utf-8", "surrogatepass"))

    def loads(self, key: Any, payload: bytes) -> Any:
        try:
            return self._decode(payload)
        except (ValueError, RecursionError) as error:
            raise self.unreadable(key, error) from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")


class _Bytes(Serializer):
    def dumps(self, key: Any, value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise self.unwritable(key, value, "it takes bytes, bytearray and memoryview, and returns bytes")
        return bytes(value)

    def loads(self, key: Any, payload: bytes) -> bytes:
        return payload


class _Text(Serializer):
    def dumps(self, key: Any, value: Any) -> bytes:
        if not isinstance(value, str):
            raise self.unwritable(key, value, "it takes str")
        return value.encode("utf-8", "surrogatepass")

    def loads(self, key: Any, payload: bytes) -> str:
        try:
            return payload.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise self.unreadable(key, error) from error
