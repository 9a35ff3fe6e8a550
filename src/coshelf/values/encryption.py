"""Encryption of values with AES-256-GCM. docs/format.md, "Encrypted records"."""

from __future__ import annotations

import functools
import os
import struct
from typing import Any, NoReturn

from coshelf import records
from coshelf.errors import FormatTooNew, UnreadableValue, UntrustedValue, UnwritableValue, WrongKey
from coshelf.keys import shown
from coshelf.system import extras
from coshelf.values import secret_keys

__all__ = ["Cipher", "check_value", "key_id", "key_ids", "refuse_encrypted", "seal"]

_CONTEXT = b"coshelf encryption 1\0"
_CHECK_CONTEXT = b"coshelf encryption check 1\0"
_SEAL_CONTEXT = b"coshelf encryption settings 1\0"
_AES_GCM = b"\x01"
_NONCE, _KEY, _CHECK, _SEAL = 12, 32, 16, 16
_DATA = 1 + secret_keys.ID + _NONCE  # bytes of the header's data: algorithm, key id, nonce
_LENGTH = struct.Struct("<Q").pack


class Cipher:
    """The layer that encrypts with the first of its secrets, and decrypts with any of them.

    An encrypted value is bound to the shelf, to the key of its entry, and to the headers before it: codec and
    compression.
    """

    kind = records.ENCRYPTION
    is_applied = True
    is_required = False

    def __init__(self, secrets: tuple[bytes, ...], shelf_id: bytes) -> None:
        aead = extras.cryptography_aead()
        keys = {key_id(secret): secret_keys.derived(secret, _CONTEXT + shelf_id, _KEY) for secret in secrets}
        self._ciphers: dict[bytes, Any] = {name: aead.AESGCM(key) for name, key in keys.items()}
        self._own = self._ciphers[key_id(secrets[0])]
        self._begin = _AES_GCM + key_id(secrets[0])
        self._bound = _CONTEXT + shelf_id
        self.seal = functools.partial(seal, secrets[0])

    def apply(self, key: Any, encoded_key: bytes, headers: bytes, payload: bytes) -> tuple[bytes, bytes]:
        nonce = os.urandom(_NONCE)
        try:
            encrypted: bytes = self._own.encrypt(nonce, payload, self._associated(encoded_key, headers))
        except OverflowError as error:
            raise UnwritableValue(
                f"the value for key {shown(key)} is too large to be encrypted, {len(payload):,} bytes: {error}", (key,)
            ) from error
        return headers + records.header(records.ENCRYPTION, self._begin + nonce), encrypted

    def remove(self, key: Any, encoded_key: bytes, headers: dict[int, bytes], payload: bytes) -> bytes:
        """The payload, decrypted.

        Raises :class:`WrongKey` if another secret encrypted the value, and :class:`UntrustedValue` if the value was
        changed or moved since.
        """
        data = headers[self.kind]
        _refuse_unknown(key, data)
        cipher = self._ciphers.get(data[1:-_NONCE])
        if cipher is None:
            raise WrongKey(
                f"the value for key {shown(key)} is encrypted with the key {data[1:-_NONCE].hex()}, and the shelf was "
                f"opened with {key_ids(self._ciphers)}\n  hint: encrypt=[new, old] reads what an old secret encrypted",
                key,
            )
        before = records.headers_before(headers, self.kind)
        try:
            decrypted: bytes = cipher.decrypt(data[-_NONCE:], payload, self._associated(encoded_key, before))
        except Exception as error:  # InvalidTag, and ValueError if it is too short to have one
            raise UntrustedValue(
                f"the value for key {shown(key)} cannot be decrypted: it was changed, or stood under another key, or "
                "in another shelf",
                "",
                key,
            ) from error
        return decrypted

    def is_current(self, headers: dict[int, bytes]) -> bool:
        return headers.get(self.kind, self._begin).startswith(self._begin)

    def _associated(self, encoded_key: bytes, headers: bytes) -> bytes:
        return b"".join((self._bound, _LENGTH(len(encoded_key)), encoded_key, headers))


def refuse_encrypted(key: Any, data: bytes) -> NoReturn:
    """Raise the error for an encrypted value if no secret was given. ``data`` is that of its header."""
    _refuse_unknown(key, data)
    raise WrongKey(
        f"the value for key {shown(key)} is encrypted with the key {data[1:-_NONCE].hex()}\n"
        "  hint: open the shelf with encrypt=",
        key,
    )


def _refuse_unknown(key: Any, data: bytes) -> None:
    """Raise an error for a header that this version does not know."""
    if data[:1] != _AES_GCM:
        raise FormatTooNew(
            f"the value for key {shown(key)} is encrypted with algorithm {data[:1].hex() or 'none'}, which only a "
            "later version knows"
        )
    if len(data) != _DATA:
        raise UnreadableValue(f"the value for key {shown(key)} is encrypted, with a header of {len(data)} bytes", key)


def key_id(secret: bytes) -> bytes:
    """The id of a secret, which identifies the secret and does not reveal it."""
    return secret_keys.derived(secret, _CONTEXT, secret_keys.ID)


def check_value(secret: bytes, shelf_id: bytes) -> bytes:
    """The bytes by which a shelf recognises a wrong secret at opening."""
    return secret_keys.derived(secret, _CHECK_CONTEXT + shelf_id, _CHECK)


def seal(secret: bytes, settings: bytes) -> bytes:
    """The bytes that prove that a program with the secret has written the settings of a shelf."""
    return secret_keys.derived(secret, _SEAL_CONTEXT + settings, _SEAL)


def key_ids(ids: Any) -> str:
    """Ids of keys for a message."""
    found = [name.hex() for name in ids]
    return f"the key {found[0]}" if len(found) == 1 else f"the keys {', '.join(found)}"
