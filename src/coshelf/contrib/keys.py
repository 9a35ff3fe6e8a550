"""Keys of frameworks that are too long for some engines."""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["LONGEST", "short"]

LONGEST: Final = 400
"""Bytes of a key that is used as it is. With the name of a part, it fits into the keys of every engine."""


def short(key: str) -> str:
    """The key itself, or for a longer one its beginning and a hash of it, so that every engine can store it.

    For adapters that never list keys. Different keys stay different: the hash has 256 bits.

    >>> short("ann")
    'ann'
    >>> len(short(5_000 * "a")), short(5_000 * "a") == short(5_001 * "a")
    (265, False)
    """
    encoded = key.encode("utf-8", "surrogatepass")
    if len(encoded) <= LONGEST:
        return key
    # As many characters as have at most 200 bytes, so that tools show what the key is about.
    return f"{encoded[:200].decode('utf-8', 'ignore')}#{hashlib.blake2b(encoded, digest_size=32).hexdigest()}"
