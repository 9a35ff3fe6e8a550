"""Pickles with a signature, which is checked before anything is unpickled. docs/format.md, "Signed records"."""

from __future__ import annotations

import hashlib
import struct
from hmac import compare_digest
from typing import Any

from coshelf import records
from coshelf.codecs.pickled import PickleCodec, damaged, unreadable
from coshelf.errors import CoshelfError, UntrustedValue
from coshelf.keys import shown

__all__ = ["SignedPickles"]

_CONTEXT = b"coshelf signature 1\0"
_ID, _TAG = 4, 16
_LENGTH = struct.Struct("<Q").pack
_HEADER = bytes((records.HEADERED, records.SIGNATURE)) + (_ID + _TAG).to_bytes(2, "little")
_ID_AT = len(_HEADER)
_TAG_AT = _ID_AT + _ID
_END_AT = _TAG_AT + _TAG
_PAYLOAD_AT = _END_AT + 1


class SignedPickles(PickleCodec):
    """Pickles that are signed with the first of some keys, and read if one of them signed it.

    A signature is bound to the shelf and to the key of the entry: elsewhere it does not hold. All of a value is within
    its record, so that nothing of it is handed out before it has been verified.
    """

    takes_blobs = False

    def __init__(self, protocol: int | None, keys: tuple[bytes, ...], shelf_id: bytes) -> None:
        super().__init__(protocol)
        self._begun = {_key_id(key): _begun(key, shelf_id) for key in keys}
        own_id = _key_id(keys[0])
        self._begin = _HEADER + own_id
        self._copy = self._begun[own_id].copy

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        payload = self.pickled(key, value)
        state = self._copy()
        state.update(_LENGTH(len(encoded_key)) + encoded_key)
        state.update(payload)
        return b"".join((self._begin, state.digest(), b"\0", payload))

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        """As :meth:`PickleCodec.load`; raises :class:`UntrustedValue`, too, for what none of the keys signed."""
        if len(record) <= records.VERIFIED_ON_READ and not records.is_intact(encoded_key, record):
            raise damaged(key, record)
        if record[:_ID_AT] != _HEADER or record[_END_AT:_PAYLOAD_AT] != b"\0":
            raise UntrustedValue(f"the value for key {shown(key)} is not signed; opened with sign=", "", key)
        begun = self._begun.get(record[_ID_AT:_TAG_AT])
        if begun is None:
            raise UntrustedValue(f"the value for key {shown(key)} was signed with another key", "", key)
        payload = record[_PAYLOAD_AT : -records.TRAILER]
        if not compare_digest(_tag(begun, encoded_key, payload), record[_TAG_AT:_END_AT]):
            raise UntrustedValue(
                f"the signature of the value for key {shown(key)} does not fit: the value was changed, or stood under "
                "another key, or in another shelf",
                "",
                key,
            )
        try:
            return self.loads(payload)
        except CoshelfError:
            raise
        except Exception as error:
            raise unreadable(key, error) from error


def _begun(key: bytes, shelf_id: bytes) -> Any:
    """What all signatures with a key begin with, computed once."""
    return hashlib.blake2b(_CONTEXT + shelf_id, key=_short(key), digest_size=_TAG)


def _tag(begun: Any, encoded_key: bytes, payload: bytes) -> bytes:
    state = begun.copy()
    state.update(_LENGTH(len(encoded_key)) + encoded_key)
    state.update(payload)
    return bytes(state.digest())


def _key_id(key: bytes) -> bytes:
    return hashlib.blake2b(_CONTEXT, key=_short(key), digest_size=_ID).digest()


def _short(key: bytes) -> bytes:
    return key if len(key) <= 64 else hashlib.blake2b(key).digest()
