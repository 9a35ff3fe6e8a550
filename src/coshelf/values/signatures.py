"""Values with a signature, which is checked before anything is decoded. docs/format.md, "Signed records"."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from hmac import compare_digest
from typing import Any

from coshelf import records
from coshelf.errors import DamagedRecord, UntrustedValue
from coshelf.keys import shown
from coshelf.values import secret_keys
from coshelf.values.compression import Decompressor
from coshelf.values.headers import KNOWN, undecoded
from coshelf.values.layered import LayeredCodec, Layers
from coshelf.values.pickled import damaged

__all__ = ["SignedPickles"]

_CONTEXT = b"coshelf signature 1\0"  # of a pickle alone
_LAYERED_CONTEXT = b"coshelf signature 2\0"  # of what has other headers, which are signed as well
_TAG_SIZE = 16
_LENGTH = struct.Struct("<Q").pack
_TAG = bytes((records.HEADERED,))
_HEADER = bytes((records.SIGNATURE,)) + (secret_keys.ID + _TAG_SIZE).to_bytes(2, "little")
_PLAIN = _TAG + _HEADER
_ID_AT = len(_PLAIN)
_TAG_AT = _ID_AT + secret_keys.ID
_END_AT = _TAG_AT + _TAG_SIZE
_PAYLOAD_AT = _END_AT + 1


_Begun = dict[bytes, hashlib.blake2b]


class SignedPickles(LayeredCodec):
    """Values, pickles as a rule, that are signed with the first of some keys, and read if one of them signed it.

    A signature is bound to the shelf and to the key of the entry: elsewhere it does not hold. All of a value is within
    its record, so that nothing of it is handed out before it has been verified.
    """

    takes_blobs = False

    def __init__(
        self, protocol: int | None, keys: tuple[bytes, ...], shelf_id: bytes, layers: Layers | None = None
    ) -> None:
        super().__init__(protocol, layers or Layers(Decompressor(_no_dictionary)))
        ids = [secret_keys.derived(key, _CONTEXT, secret_keys.ID) for key in keys]
        self._plain = dict(zip(ids, (_begun(key, _CONTEXT + shelf_id) for key in keys), strict=True))
        self._layered = dict(zip(ids, (_begun(key, _LAYERED_CONTEXT + shelf_id) for key in keys), strict=True))
        self._own_id = ids[0]
        self._is_bare, self._is_plain = False, self.layers.are_none
        self._copy = self._plain[ids[0]].copy
        self._plain_begin = _PLAIN + ids[0]

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        if self._is_plain:
            return self._signed_pickle(encoded_key, self.pickled(key, value))
        return super().dump(key, encoded_key, value)

    def _signed_pickle(self, encoded_key: bytes, payload: bytes) -> bytes:
        state = self._copy()
        state.update(_LENGTH(len(encoded_key)) + encoded_key)
        state.update(payload)
        return b"".join((self._plain_begin, state.digest(), b"\0", payload))

    def finished(self, encoded_key: bytes, headers: bytes, payload: bytes) -> bytes:
        if headers == _TAG:
            return self._signed_pickle(encoded_key, payload)
        tag = _tag(self._layered[self._own_id], encoded_key, _LENGTH(len(headers)), headers, payload)
        return b"".join((headers, _HEADER, self._own_id, tag, b"\0", payload))

    def is_own(self, headers: dict[int, bytes]) -> bool:
        """Whether a record was signed and encrypted, if it was, with the first of the keys."""
        return super().is_own(headers) and headers.get(records.SIGNATURE, self._own_id).startswith(self._own_id)

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        """As :meth:`PickleCodec.load`; raises :class:`UntrustedValue`, too, for what none of the keys signed."""
        if len(record) <= records.VERIFIED_ON_READ and not records.is_intact(encoded_key, record):
            raise damaged(key, record)
        if record[:_ID_AT] == _PLAIN and record[_END_AT:_PAYLOAD_AT] == b"\0":  # the common case has a short way
            begun, payload = self._plain.get(record[_ID_AT:_TAG_AT]), record[_PAYLOAD_AT : -records.TRAILER]
            if begun is not None and compare_digest(_tag(begun, encoded_key, payload), record[_TAG_AT:_END_AT]):
                return self.unpickled(key, payload)
        return self._decoded(key, *self.opened(key, encoded_key, record))

    def load_pages(
        self, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
    ) -> Iterator[tuple[Any, Any]]:
        for page in pages:
            for encoded, record in page:
                key = decode(encoded)
                yield key, self.load(key, encoded, record)

    def opened(self, key: Any, encoded_key: bytes, record: bytes) -> tuple[int | None, bytes]:
        if record[:_ID_AT] == _PLAIN and record[_END_AT:_PAYLOAD_AT] == b"\0":
            payload = record[_PAYLOAD_AT : -records.TRAILER]
            self._check(self._plain, key, record[_ID_AT:_END_AT], encoded_key, payload)
            return None, payload
        found = records.read_headers(record) if record[:1] == _TAG else None
        if found is None or next(reversed(found[0]), None) != records.SIGNATURE or len(found[0]) == 1:
            raise UntrustedValue(f"the value for key {shown(key)} is not signed; opened with sign=", "", key)
        headers, at = found
        payload = record[at : -records.TRAILER]
        signature = headers.pop(records.SIGNATURE)
        before = record[: at - 1 - len(_HEADER) - len(signature)]
        self._check(self._layered, key, signature, encoded_key, _LENGTH(len(before)), before, payload)
        if records.needs_later_version(headers, KNOWN) is not None:
            raise undecoded(key, record)
        return self._unwrapped(key, encoded_key, headers, payload)

    def _check(self, begun: _Begun, key: Any, signature: bytes, encoded_key: bytes, *parts: bytes) -> None:
        state = begun.get(signature[: secret_keys.ID])
        if state is None:
            raise UntrustedValue(f"the value for key {shown(key)} was signed with another key", "", key)
        if not compare_digest(_tag(state, encoded_key, *parts), signature[secret_keys.ID :]):
            raise UntrustedValue(
                f"the signature of the value for key {shown(key)} does not fit: the value was changed, or stood under "
                "another key, or in another shelf",
                "",
                key,
            )


def _begun(key: bytes, what: bytes) -> hashlib.blake2b:
    """What all signatures with a key begin with, computed once."""
    return hashlib.blake2b(what, key=secret_keys.shortened(key), digest_size=_TAG_SIZE)


def _tag(begun: hashlib.blake2b, encoded_key: bytes, *parts: bytes) -> bytes:
    state = begun.copy()
    state.update(_LENGTH(len(encoded_key)) + encoded_key)
    for part in parts:
        state.update(part)
    return state.digest()


def _no_dictionary(dictionary: int, _: bool) -> bytes:
    raise DamagedRecord(f"there is no dictionary {dictionary:08x} here")
