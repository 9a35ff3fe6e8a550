"""Keys in addresses of pages. A key of any type has one: its bytes in the shelf, in the alphabet of base64 for URLs."""

from __future__ import annotations

import base64
import binascii

from coshelf.errors import DamagedRecord
from coshelf.keys import FIRST, LAST, decode

__all__ = ["address_of", "encoded_of", "shown_bytes"]


def address_of(encoded: bytes) -> str:
    r"""The address of the bytes of a key, or of their beginning.

    >>> from coshelf.keys import encode
    >>> address_of(encode("soups/leek")), encoded_of(address_of(encode((1.5, b"\xff")))) == encode((1.5, b"\xff"))
    ('MHNvdXBzL2xlZWs', True)
    """
    return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()


def encoded_of(address: str) -> bytes:
    """The bytes that an address stands for. Raises ValueError for bytes that no key of a user begins with."""
    try:
        encoded = base64.b64decode(address + "=" * (-len(address) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("this is not the address of a key") from None
    if not FIRST <= encoded < LAST or address_of(encoded) != address:
        raise ValueError("this is not the address of a key")
    return encoded


def shown_bytes(encoded: bytes) -> object:
    """The key of these bytes, or the bytes themselves if they were damaged on disk."""
    try:
        return decode(encoded)
    except DamagedRecord:
        return encoded
