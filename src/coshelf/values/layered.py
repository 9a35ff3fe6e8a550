"""The codec class for shelves that do not use plain pickles, or that have layers. docs/format.md, "Records"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from coshelf import records
from coshelf.errors import FormatTooNew, UnreadableValue, UntrustedValue
from coshelf.keys import shown
from coshelf.values.codec import Layer, load_singly
from coshelf.values.encryption import refuse_encrypted
from coshelf.values.envelope import bare
from coshelf.values.failures import damaged, refuse_damaged
from coshelf.values.headers import NAMES, codec_of, parts, refuse_unknown
from coshelf.values.large_buffers import LargeBuffers
from coshelf.values.pickles import Pickles
from coshelf.values.serializers import Serializer, serializer
from coshelf.values.signatures import Signature

__all__ = ["LayeredCodec"]

_TAG = bytes((records.HEADERED,))
_OLD = bytes((records.OLD_PICKLE,))

L = TypeVar("L", bound=Layer)


class LayeredCodec:
    """Writes values with one serializer and some layers. Reads values of any serializer with these layers.

    Args:
        pickles: the serializer for pickles.
        layers: in the order in which they are applied.
        number: of the serializer that writes, None for pickle.
        kind: the type against which msgspec validates all values, None for builtins.
        large: reads the large buffers of pickles.
    """

    lifetime: int | None = None

    def __init__(
        self,
        pickles: Pickles,
        layers: Iterable[Layer],
        number: int | None = None,
        kind: Any = None,
        large: LargeBuffers | None = None,
    ) -> None:
        self.protocol = pickles.protocol
        self.pickles = pickles
        self.layers = tuple(layers)
        self._large = large or LargeBuffers()
        self._kind = kind
        self._serializers: dict[int, Serializer] = {}
        self._own = pickles if number is None else self.serializer(None, number)
        self._headers = _TAG if number is None else _TAG + records.header(records.CODEC, bytes((number,)))
        self._apply = [layer.apply for layer in self.layers if layer.is_applied]
        self._required = [layer for layer in reversed(self.layers) if layer.is_required]
        self._optional = [layer for layer in reversed(self.layers) if not layer.is_required]
        self._known = frozenset((records.CODEC, *(layer.kind for layer in self.layers)))
        # The common cases are read without parsing headers: no layer to be removed, or a signed pickle.
        self._begin = self._headers + b"\0"
        self._reads_bare = number is not None and not self._required
        self._is_bare = number is not None and not self._apply
        self._signature = self.layer(Signature)

    def layer(self, kind: type[L]) -> L | None:
        """The layer of a class; None if there is none."""
        return next((layer for layer in self.layers if isinstance(layer, kind)), None)

    def serializer(self, key: Any, number: int | None) -> Serializer | Pickles:
        """The serializer of a number."""
        if number is None:
            return self.pickles
        found = self._serializers.get(number)
        if found is None:
            if number not in NAMES:
                raise FormatTooNew(
                    f"the value for key {shown(key)} is stored by codec {number}, which only a later version knows"
                )
            found = self._serializers[number] = serializer(number, self._kind)
        return found

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        if self._is_bare:
            return self._begin + self._own.dumps(key, value)
        headers, payload = self._headers, self._own.dumps(key, value)
        for apply in self._apply:
            headers, payload = apply(key, encoded_key, headers, payload)
        if headers != _TAG:
            return b"".join((headers, b"\0", payload))
        return payload if payload[0] == records.PICKLE else _OLD + payload

    def fingerprint(self, key: Any, encoded_key: bytes, value: Any, body: bytes | None = None) -> bytes:
        # The bytes before the layers, because encryption uses another nonce each time.
        return self._own.dumps(key, value)

    def load_pages(
        self, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
    ) -> Iterator[tuple[Any, Any]]:
        return load_singly(self.load, decode, pages)

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        if len(record) <= records.VERIFIED_ON_READ and not records.is_intact(encoded_key, record):
            raise damaged(key, record)
        try:
            if self._reads_bare and record.startswith(self._begin):
                return self._own.loads(key, record[len(self._begin) : -records.TRAILER])
            if self._signature is not None and (payload := self._signature.verified(encoded_key, record)) is not None:
                return self.pickles.loads(key, payload)
            return self.decoded(key, encoded_key, record, copy)
        except (UnreadableValue, UntrustedValue, FormatTooNew) as error:
            refuse_damaged(key, encoded_key, record, error)
            raise

    def decoded(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        """The value of a record. The checksum is not verified here. Raises the errors of :meth:`load`."""
        record = bare(record)
        if not self._required:
            if record[0] == records.PICKLE:
                return self.pickles.loads(key, record)
            if record[0] == records.HEADERED and record[1] == records.BLOB:
                return self._large.load(self.pickles, key, record, copy)
        number, payload = self.opened(key, encoded_key, record)
        return self.serializer(key, number).loads(key, payload)

    def opened(self, key: Any, encoded_key: bytes, record: bytes) -> tuple[int | None, bytes]:
        headers, payload = parts(record)
        if not self._required and headers.keys() == {records.BLOB}:
            return None, payload
        for layer in self._required:
            payload = layer.remove(key, encoded_key, headers, payload)
        if not self._known.issuperset(headers):
            self._refuse(key, headers)
        for layer in self._optional:
            if layer.kind in headers:
                payload = layer.remove(key, encoded_key, headers, payload)
        return codec_of(headers), payload

    def _refuse(self, key: Any, headers: dict[int, bytes]) -> None:
        """Raise the error for a header whose layer this codec does not have, if it must have it."""
        refuse_unknown(key, headers, self._known | {records.ENCRYPTION})
        if records.ENCRYPTION in headers and records.ENCRYPTION not in self._known:
            refuse_encrypted(key, headers[records.ENCRYPTION])
