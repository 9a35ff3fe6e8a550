"""The interfaces of codecs and of their layers. docs/format.md, "Records"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from coshelf.keys import FOREIGN

__all__ = ["Codec", "Layer", "Load", "load_singly"]

Load = Callable[[Any, bytes, bytes], Any]


class Layer(Protocol):
    """A step after a value has become bytes: compression, encryption, a signature.

    A layer has a header of its own in each record that it was applied to. A codec lists its layers in the order in
    which they are applied, which is the order of their headers.

    Attributes:
        kind: of its header.
        is_applied: whether writing applies this layer. If not, the layer is for reading only.
        is_required: whether a record without its header is refused.
    """

    kind: int
    is_applied: bool
    is_required: bool

    def apply(self, key: Any, encoded_key: bytes, headers: bytes, payload: bytes) -> tuple[bytes, bytes]:
        """The headers and the payload of a record with this layer. ``headers`` are the headers so far, with the tag."""

    def remove(self, key: Any, encoded_key: bytes, headers: dict[int, bytes], payload: bytes) -> bytes:
        """The payload without this layer. ``headers`` are all headers of the record, by kind.

        Raises :class:`~coshelf.errors.UnreadableValue`, :class:`~coshelf.errors.UntrustedValue`, and
        :class:`~coshelf.errors.FormatTooNew`.
        """

    def is_current(self, headers: dict[int, bytes]) -> bool:
        """Whether a record was written with the secret with which this layer writes. True if it lacks this layer."""


class Codec(Protocol):
    """Python values as bodies of records, and back.

    Attributes:
        protocol: of the pickles that are written.
        layers: the layers, in the order in which they are applied.
        lifetime: microseconds after which entries expire that are stored without another time; None: never.
    """

    protocol: int
    layers: tuple[Layer, ...]
    lifetime: int | None

    def dump(self, key: Any, encoded_key: bytes, value: Any) -> bytes:
        """The body for a value. Raises :class:`~coshelf.errors.UnwritableValue` for any exception of pickling."""

    def load(self, key: Any, encoded_key: bytes, record: bytes, copy: bool = False) -> Any:
        """The value of a record. Its large buffers are views of memory that processes share; with ``copy``, copies.

        Raises:
            DamagedRecord: the record does not have the bytes that were written.
            UnreadableValue: the record is intact, but its value cannot be decoded here.
            UntrustedValue: the value is more than plain data in a shelf that is not trusted, or a signature or
                encryption does not fit.
            FormatTooNew: a later version wrote it.
        """

    def load_pages(
        self, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
    ) -> Iterator[tuple[Any, Any]]:
        """The keys and values of pages of records. Each value is what :meth:`load` returns.

        Rows whose key is decoded to :data:`coshelf.keys.FOREIGN` are left out, and not loaded.
        """

    def fingerprint(self, key: Any, encoded_key: bytes, value: Any, body: bytes | None = None) -> bytes:
        """Bytes that differ if a value has changed. Raises the errors of :meth:`dump`.

        ``body`` is the dump of the value, if that was made.
        """

    def opened(self, key: Any, encoded_key: bytes, record: bytes) -> tuple[int | None, bytes]:
        """The number of a record's serializer (None for pickle), and its payload without layers.

        The payload does not include large buffers beside a pickle. Raises the errors of :meth:`load`.
        """


def load_singly(
    load: Load, decode: Callable[[bytes], Any], pages: Iterable[list[tuple[bytes, bytes]]]
) -> Iterator[tuple[Any, Any]]:
    """The keys and values of pages of records, by one call of ``load`` each."""
    for page in pages:
        for encoded, record in page:
            key = decode(encoded)
            if key is not FOREIGN:
                yield key, load(key, encoded, record)
