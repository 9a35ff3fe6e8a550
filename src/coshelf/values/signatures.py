"""The layer that signs values, and checks a signature before decoding. docs/format.md, "Signed records"."""

from __future__ import annotations

import hashlib
import struct
from hmac import compare_digest
from typing import Any

from coshelf import records
from coshelf.errors import UntrustedValue
from coshelf.keys import shown
from coshelf.values import secret_keys

__all__ = ["Signature"]

_CONTEXT = b"coshelf signature 1\0"  # of a pickle without other headers
_LAYERED_CONTEXT = b"coshelf signature 2\0"  # of a payload with other headers, which are signed as well
_TAG_SIZE = 16
_LENGTH = struct.Struct("<Q").pack
_TAG = bytes((records.HEADERED,))
_HEADER = bytes((records.SIGNATURE,)) + (secret_keys.ID + _TAG_SIZE).to_bytes(2, "little")
# The places of the parts of a signed record that has no other header.
_PLAIN = _TAG + _HEADER
_ID_AT = len(_PLAIN)
_TAG_AT = _ID_AT + secret_keys.ID
_END_AT = _TAG_AT + _TAG_SIZE
_PAYLOAD_AT = _END_AT + 1


class Signature:
    """The layer that signs with the first of its keys, and verifies that one of its keys signed a value.

    A signature is bound to the shelf and to the key of the entry, so it does not fit anywhere else. This is the
    outermost layer, so a value is verified before any of it is decoded.
    """

    kind = records.SIGNATURE
    is_applied = True
    is_required = True

    def __init__(self, keys: tuple[bytes, ...], shelf_id: bytes) -> None:
        ids = [secret_keys.derived(key, _CONTEXT, secret_keys.ID) for key in keys]
        self._plain = dict(zip(ids, (_begun(key, _CONTEXT + shelf_id) for key in keys), strict=True))
        self._layered = dict(zip(ids, (_begun(key, _LAYERED_CONTEXT + shelf_id) for key in keys), strict=True))
        self._own_id = ids[0]
        self._copy = self._plain[ids[0]].copy
        self._header = _HEADER + ids[0]

    def apply(self, key: Any, encoded_key: bytes, headers: bytes, payload: bytes) -> tuple[bytes, bytes]:
        if headers == _TAG:  # the same as _tag(), without a call
            state = self._copy()
            state.update(_LENGTH(len(encoded_key)) + encoded_key)
            state.update(payload)
            tag = state.digest()
        else:
            tag = _tag(self._layered[self._own_id], encoded_key, _LENGTH(len(headers)), headers, payload)
        return b"".join((headers, self._header, tag)), payload

    def remove(self, key: Any, encoded_key: bytes, headers: dict[int, bytes], payload: bytes) -> bytes:
        """The same payload. Raises :class:`UntrustedValue` if none of the keys signed it."""
        if next(reversed(headers), None) != self.kind:
            raise UntrustedValue(f"the value for key {shown(key)} is not signed; opened with sign=", "", key)
        signature = headers[self.kind]
        begun = (self._plain if len(headers) == 1 else self._layered).get(signature[: secret_keys.ID])
        if begun is None:
            raise UntrustedValue(f"the value for key {shown(key)} was signed with another key", "", key)
        if len(headers) == 1:
            tag = _tag(begun, encoded_key, payload)
        else:
            before = records.headers_before(headers, self.kind)
            tag = _tag(begun, encoded_key, _LENGTH(len(before)), before, payload)
        if not compare_digest(tag, signature[secret_keys.ID :]):
            raise UntrustedValue(
                f"the signature of the value for key {shown(key)} does not fit: the value was changed, or stood under "
                "another key, or in another shelf",
                "",
                key,
            )
        return payload

    def verified(self, encoded_key: bytes, record: bytes) -> bytes | None:
        """The payload of a signed record that has no other header: the common case, without parsing headers.

        None for any other record, and for one whose signature does not fit: :meth:`remove` says why.
        """
        if record[:_ID_AT] != _PLAIN or record[_END_AT:_PAYLOAD_AT] != b"\0":
            return None
        begun, payload = self._plain.get(record[_ID_AT:_TAG_AT]), record[_PAYLOAD_AT : -records.TRAILER]
        if begun is None or not compare_digest(_tag(begun, encoded_key, payload), record[_TAG_AT:_END_AT]):
            return None
        return payload

    def is_current(self, headers: dict[int, bytes]) -> bool:
        return headers.get(self.kind, self._own_id).startswith(self._own_id)


def _begun(key: bytes, what: bytes) -> hashlib.blake2b:
    """The state with which all signatures of a key begin. It is computed once."""
    return hashlib.blake2b(what, key=secret_keys.shortened(key), digest_size=_TAG_SIZE)


def _tag(begun: hashlib.blake2b, encoded_key: bytes, *parts: bytes) -> bytes:
    state = begun.copy()
    state.update(_LENGTH(len(encoded_key)) + encoded_key)
    for part in parts:
        state.update(part)
    return state.digest()
