"""What a shelf needs of its codec, and what a codec needs of a layer. docs/format.md, "Records"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

__all__ = ["Codec", "Layer", "Load", "load_singly"]

Load = Callable[[Any, bytes, bytes], Any]


class Layer(Protocol):
    """Something that is done to values after they are bytes: compression, encryption, a signature.

    A layer has a header of its own in each record that it was applied to. The layers of a codec are a list in the order
    in which they are applied, which is the order of their headers.

    Attributes:
        kind: of its header.
        is_applied: whether what is written gets this layer. One that is not is there for reading.
        is_required: whether a record without its header is refused.
    """

    kind: int
    is_applied: bool
    is_required: bool

    def apply(self, key: Any, encoded_key: bytes, headers: bytes, payload: bytes) -> tuple[bytes, bytes]:
        """The headers and the payload of a record with this layer; ``headers`` is the record up to there."""

    def remove(self, key: Any, encoded_key: bytes, headers: dict[int, bytes], payload: bytes) -> bytes:
        """The payload as it was before this layer. ``headers`` are all headers of the record, by kind.

        Raises :class:`~coshelf.errors.UnreadableValue`, :class:`~coshelf.errors.UntrustedValue`, and
        :class:`~coshelf.errors.FormatTooNew`.
        """

    def is_current(self, headers: dict[int, bytes]) -> bool:
        """Whether a record was written with the secret that this layer writes with, if it has this layer."""


class Codec(Protocol):
    """Python values as bodies of records, and back.

    Attributes:
        protocol: of the pickles that are written.
        layers: what is done to values after they are bytes, in order.
    """

    protocol: int
    layers: tuple[Layer, ...]

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        """The body for a value. Raises :class:`~coshelf.errors.UnwritableValue`, whatever the value's methods raise."""

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        """The value of a record. Its large buffers are views that all processes share, with ``copy`` its own.

        Raises:
            DamagedRecord: the record is not what was written.
            UnreadableValue: it is, but cannot be decoded here.
            UntrustedValue: it is more than plain data, or somebody else's, and this shelf does not load that.
            FormatTooNew: a later version wrote it.
        """

    def load_pages(
        self, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
    ) -> Iterator[tuple[Any, Any]]:
        """The keys and values of pages of records. Each value is what :meth:`load` returns."""

    def fingerprint(self, key: Any, encoded_key: bytes, value: Any, body: bytes | None = None) -> bytes:
        """Bytes that differ when a value has changed. Raises as :meth:`dump`.

        ``body`` is the dump of the value, if that was made.
        """

    def opened(self, key: Any, encoded_key: bytes, record: bytes) -> tuple[int | None, bytes]:
        """The number of a record's serializer, None for pickle, and its payload without layers.

        Large buffers that lie beside a pickle are not in it. Raises as :meth:`load`.
        """


def load_singly(
    load: Load, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
) -> Iterator[tuple[Any, Any]]:
    """The keys and values of pages of records, by one call of ``load`` each."""
    for page in pages:
        for encoded, record in page:
            key = decode(encoded)
            yield key, load(key, encoded, record)
