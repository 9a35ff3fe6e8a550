"""Checks the secrets that callers give, and derives keys and ids from them. docs/format.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

__all__ = ["ID", "derived", "shortened", "usable"]

ID = 4  # bytes of a key's id
_LEAST = 16


def usable(secrets: bytes | Iterable[bytes], option: str) -> tuple[bytes, ...]:
    """The secrets given to an option. Raises TypeError and ValueError for an unusable secret."""
    given = (secrets,) if isinstance(secrets, bytes) else tuple(secrets)
    for secret in given:
        if not isinstance(secret, bytes):
            raise TypeError(
                f"{option} takes bytes, not {type(secret).__name__}\n"
                "  hint: secrets.token_bytes(32) makes a secret; keep it in a file that only this user can read"
            )
        if len(secret) < _LEAST:
            raise ValueError(f"a secret for {option} has at least {_LEAST} bytes, not {len(secret)}")
    return given


def derived(secret: bytes, what: bytes, size: int) -> bytes:
    """Bytes that only a program with the secret can compute, and that do not reveal the secret."""
    return hashlib.blake2b(what, key=shortened(secret), digest_size=size).digest()


def shortened(secret: bytes) -> bytes:
    """A secret as a key of BLAKE2b, which has at most 64 bytes."""
    return secret if len(secret) <= 64 else hashlib.blake2b(secret).digest()
