"""Values by one codec of several, compressed and encrypted: each record says what it is. docs/format.md, "Records"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coshelf import records
from coshelf.errors import FormatTooNew, UnreadableValue, UntrustedValue, WrongKey
from coshelf.keys import shown
from coshelf.values.compression import Compressor, Decompressor
from coshelf.values.encryption import Cipher, refuse_unknown
from coshelf.values.headers import BYTES, KNOWN, NAMES, codec_of, undecoded
from coshelf.values.pickled import OLD, PickleCodec, damaged
from coshelf.values.serializers import Serializer, serializer

__all__ = ["EveryCodec", "LayeredCodec", "Layers"]

_TAG = bytes((records.HEADERED,))


@dataclass(slots=True, repr=False)
class Layers:
    """How values are written, and what it takes to read them.

    Attributes:
        decompressor: reads what is compressed.
        codec: the number of the codec to write with, None for pickle.
        kind: the type of all values that msgspec can validate, None for builtins.
        compressor: compresses what is written.
        cipher: encrypts what is written, and decrypts what is read.
    """

    decompressor: Decompressor
    codec: int | None = None
    kind: Any = None
    compressor: Compressor | None = None
    cipher: Cipher | None = None

    @property
    def are_none(self) -> bool:
        """Whether what is written is plain pickles."""
        return self.codec is None and self.compressor is None and self.cipher is None


class EveryCodec(PickleCodec):
    """Writes plain pickles, and reads what any codec and any layer has written."""

    def __init__(self, protocol: int | None, layers: Layers, ways_on: str = "") -> None:
        super().__init__(protocol, ways_on)
        self.layers = layers
        self._serializers: dict[int, Serializer] = {}

    def load_headered(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        if record[1] == records.BLOB:
            return super().load_headered(key, encoded_key, record, copy)
        codec, payload = self.opened(key, encoded_key, record)
        return self._decoded(key, codec, payload)

    def opened(self, key: Any, encoded_key: bytes, record: bytes) -> tuple[int | None, bytes]:
        if record[0] != records.HEADERED or record[1] == records.BLOB:
            return super().opened(key, encoded_key, record)
        found = records.read_headers(record)
        if found is None or records.needs_later_version(found[0], KNOWN) is not None:
            raise undecoded(key, record)
        return self._unwrapped(key, encoded_key, found[0], record[found[1] : -records.TRAILER])

    def _unwrapped(
        self, key: Any, encoded_key: bytes, headers: dict[int, bytes], payload: bytes
    ) -> tuple[int | None, bytes]:
        sealed = headers.get(records.ENCRYPTION)
        if sealed is not None:
            payload = self._decrypted(key, encoded_key, headers, sealed, payload)
        packed = headers.get(records.COMPRESSION)
        if packed is not None:
            payload = self.layers.decompressor.unpack(key, packed, payload, encrypted=sealed is not None)
        return codec_of(headers), payload

    def _decrypted(
        self, key: Any, encoded_key: bytes, headers: dict[int, bytes], sealed: bytes, payload: bytes
    ) -> bytes:
        cipher = self.layers.cipher
        if cipher is None:
            refuse_unknown(key, sealed)
            raise WrongKey(
                f"the value for key {shown(key)} is encrypted with the key {sealed[1:5].hex()}\n"
                "  hint: open the shelf with encrypt=",
                key,
            )
        before = records.write_headers(item for item in headers.items() if item[0] < records.ENCRYPTION)[:-1]
        return cipher.decrypt(key, encoded_key, before, sealed, payload)

    def _decoded(self, key: Any, codec: int | None, payload: bytes) -> Any:
        if codec is None:
            return self.unpickled(key, payload)
        return self.serializer(key, codec).loads(key, payload)

    def serializer(self, key: Any, codec: int) -> Serializer:
        """What reads and writes the values of a codec."""
        found = self._serializers.get(codec)
        if found is None:
            if codec not in NAMES:
                raise FormatTooNew(
                    f"the value for key {shown(key)} is stored by codec {codec}, which only a later version knows"
                )
            found = self._serializers[codec] = serializer(codec, self.layers.kind)
        return found


class LayeredCodec(EveryCodec):
    """Writes with one codec, compressed and encrypted as its layers say."""

    def __init__(self, protocol: int | None, layers: Layers, ways_on: str = "") -> None:
        super().__init__(protocol, layers, ways_on)
        self._own = None if layers.codec is None else self.serializer(None, layers.codec)
        codec = b"" if layers.codec is None else records.header(records.CODEC, bytes((layers.codec,)))
        self._headers = _TAG + codec
        self._is_bare = self._own is not None and layers.compressor is None and layers.cipher is None
        # What a record begins with that has a codec and no layer: the common case is read without parsing headers.
        self._begin = self._headers + b"\0" if self._own is not None else b"\0\0"

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        if self._is_bare:
            return self._begin + self._own.dumps(key, value)  # type: ignore[union-attr]
        return self.finished(encoded_key, *self._packed(key, encoded_key, self.fingerprint(key, encoded_key, value)))

    def dump_bytes(self, key: Any, encoded_key: bytes, data: bytes) -> bytes:
        """The body for a row of ours, as secret as the values are, and signed if they are."""
        headers = _TAG + records.header(records.CODEC, bytes((BYTES,)))
        return self.finished(encoded_key, *self._encrypted(key, encoded_key, headers, data))

    def finished(self, encoded_key: bytes, headers: bytes, payload: bytes) -> bytes:
        """The body of a record, from its headers but for their end, and its payload."""
        if headers != _TAG:
            return b"".join((headers, b"\0", payload))
        return payload if payload[0] == records.PICKLE else OLD + payload

    def is_own(self, headers: dict[int, bytes]) -> bool:
        """Whether a record was encrypted, if it was, with the secret that this encrypts with."""
        cipher, sealed = self.layers.cipher, headers.get(records.ENCRYPTION)
        return cipher is None or sealed is None or cipher.is_own(sealed)

    def fingerprint(self, key: Any, encoded_key: bytes, value: Any, body: bytes | None = None) -> bytes:
        """The value as it is before compression and encryption, whose nonce is another one each time."""
        return self.pickled(key, value) if self._own is None else self._own.dumps(key, value)

    def _packed(self, key: Any, encoded_key: bytes, payload: bytes) -> tuple[bytes, bytes]:
        """The headers of a record, but for their end, and its payload."""
        headers = self._headers
        if self.layers.compressor is not None:
            compressed = self.layers.compressor.pack(payload)
            if compressed is not None:
                headers, payload = headers + compressed[0], compressed[1]
        return self._encrypted(key, encoded_key, headers, payload)

    def _encrypted(self, key: Any, encoded_key: bytes, headers: bytes, payload: bytes) -> tuple[bytes, bytes]:
        if self.layers.cipher is None:
            return headers, payload
        header, payload = self.layers.cipher.encrypt(key, encoded_key, headers, payload)
        return headers + header, payload

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        if record[:1] != _TAG:
            return super().load(key, encoded_key, record)
        small = len(record) <= records.VERIFIED_ON_READ
        if small and not records.is_intact(encoded_key, record):
            raise damaged(key, record)
        try:
            if self._own is not None and record.startswith(self._begin):
                return self._own.loads(key, record[len(self._begin) : -records.TRAILER])
            return self.load_headered(key, encoded_key, record, copy)
        except (UnreadableValue, UntrustedValue, FormatTooNew) as error:
            if not small and not records.is_intact(encoded_key, record):
                raise damaged(key, record) from error
            raise
