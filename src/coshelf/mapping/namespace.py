"""Which keys a shelf sees: all of them, or those under the name of a ``sub``.

In ``sub("users")`` the str key ``k`` is the shelf's ``"users/" + k``, and any other key is its tuple ``("users/", k)``.
So the keys of a namespace are in up to three ranges: below str, str, above str.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coshelf.errors import InvalidKey
from coshelf.keys import (
    FIRST,
    FOREIGN,
    HIGH,
    LAST,
    STR,
    TUPLE,
    decode,
    decode_element,
    encode,
    encode_element,
    prefix_end,
)
from coshelf.native import faster_under

__all__ = ["Namespace", "Range"]

Range = tuple[bytes, bytes]


class Namespace:
    """The keys under a prefix of str keys; the empty prefix is the whole shelf.

    Attributes:
        prefix: the beginning of the str keys; "", or a text that ends in "/".
        ranges: the encoded ranges ``[start, stop)`` in which the keys lie, in the order of the keys.
        exact: for each range, whether all keys in it are the namespace's.
        encode: the engine's bytes for a key. Raises :class:`InvalidKey`.
        start: what the bytes of its str keys begin with; None for the whole shelf.
        decode: the key of bytes that lie in :attr:`ranges`, or :data:`FOREIGN` for a longer tuple of the shelf.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.start: bytes | None = None
        self.encode: Callable[[Any], bytes] = encode
        self.decode: Callable[[bytes], Any] = decode
        if not prefix:
            self.ranges: tuple[Range, ...] = ((FIRST, LAST),)
            self.exact: tuple[bool, ...] = (True,)
            return
        self._str = self.start = encode(prefix)
        self.encode = faster_under("encode_key", self._str, self._encode)
        self.decode = faster_under("decode_key", self._str, self._decode)
        self._tuple = TUPLE + encode_element(prefix)
        self.ranges = (
            (self._tuple + FIRST, self._tuple + STR),
            (self._str, prefix_end(self._str)),
            (self._tuple + HIGH, self._tuple + LAST),
        )
        self.exact = (False, True, False)

    def sub(self, name: str) -> Namespace:
        """The namespace under a name, which may hold slashes."""
        if not isinstance(name, str):
            raise InvalidKey(f"the name of a namespace is a str, not {type(name).__name__}")
        if not name.strip("/"):
            raise ValueError("the name of a namespace cannot be empty")
        return Namespace(self.prefix + (name if name.endswith("/") else name + "/"))

    def _encode(self, key: Any) -> bytes:
        if isinstance(key, str):
            return self._str + str.encode(key, "utf-8", "surrogatepass")
        return self._tuple + encode_element(key)

    def _decode(self, data: bytes) -> Any:
        if data.startswith(self._str):
            return decode(STR + data[len(self._str) :])
        key, position = decode_element(data, len(self._tuple))
        return key if position == len(data) else FOREIGN

    def begin(self, prefix: Any) -> Range:
        """The range of the keys that begin with a str, bytes or tuple."""
        if not isinstance(prefix, (str, bytes, tuple)):
            raise InvalidKey(f"a prefix is a str, bytes or tuple, not {type(prefix).__name__}")
        if self.prefix and not isinstance(prefix, str):
            start = self._tuple + encode_element(prefix, end=False)
        else:
            start = self.encode(prefix)
        if isinstance(prefix, tuple):
            return start, start + LAST  # before the 0xFF of an escaped zero: ("a",) does not begin ("a\0",)
        return start, prefix_end(start)

    def between(self, start: bytes | None, stop: bytes | None) -> list[Range]:
        """The parts of :attr:`ranges` from one encoded key on and before another. None means that there is no bound."""
        low = 0 if start is None else self.index(start)
        high = len(self.ranges) - 1 if stop is None else self.index(stop)
        parts = []
        for at in range(low, high + 1):
            first, last = self.ranges[at]
            if start is not None and at == low:
                first = max(first, start)
            if stop is not None and at == high:
                last = min(last, stop)
            if first < last:
                parts.append((first, last))
        return parts

    def index(self, encoded: bytes) -> int:
        """The index of the range in :attr:`ranges` that has an encoded key of this namespace."""
        if not self.prefix:
            return 0
        if encoded.startswith(self._str):
            return 1
        return 0 if encoded < self.ranges[0][1] else 2
