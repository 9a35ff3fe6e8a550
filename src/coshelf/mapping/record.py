"""One entry as it is stored: the bytes, and what can be told without decoding them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from coshelf import records
from coshelf.contract import Entry
from coshelf.keys import shown
from coshelf.values.blobs import size_of
from coshelf.values.codec import Codec
from coshelf.values.envelope import tags_of
from coshelf.values.expiry import time_of
from coshelf.values.failures import damaged
from coshelf.values.headers import NAMES, codec_of, said_of
from coshelf.values.tags import texts_of

if TYPE_CHECKING:
    from coshelf.inspection.preview import Preview

__all__ = ["UNCOMMITTED", "Record"]

K = TypeVar("K")
V = TypeVar("V")

UNCOMMITTED = -1
"""The version of an entry that a transaction has written and not committed."""


class Record(Generic[K, V]):
    """The stored form of an entry: the record, its description, and ways to decode it. It never changes.

    From :meth:`coshelf.Shelf.record` and :meth:`coshelf.Shelf.records`. Nothing is decoded until :meth:`decode` is
    called. With ``writeback=True`` a record does not show what was changed in place.

    >>> import coshelf
    >>> shelf = coshelf.open("memory:", codec="json")
    >>> shelf["a"] = [1, 2]
    >>> record = shelf.record("a")
    >>> record.form, record.payload(), record.decode()
    ('json', b'[1,2]', [1, 2])
    """

    __slots__ = ("_codec", "_encoded", "_entry", "_key")

    def __init__(self, key: K, encoded: bytes, entry: Entry, codec: Codec) -> None:
        self._key = key
        self._encoded = encoded
        self._entry = entry
        self._codec = codec

    def __repr__(self) -> str:
        return f"<Record of {shown(self._key)}: {self.form}, {self.size:,} bytes>"

    @property
    def key(self) -> K:
        """The key."""
        return self._key

    @property
    def raw(self) -> bytes:
        """The record itself: body, number of the commit, and checksum. docs/format.md describes the bytes."""
        return self._entry.record

    @property
    def version(self) -> int | str | None:
        """A value that each commit to this entry changes; None if a transaction has not committed the entry yet."""
        version = self._entry.version
        return None if version == UNCOMMITTED else version

    @property
    def size(self) -> int:
        """Bytes of the body and of the large buffers beside it."""
        return max(len(self.raw) - records.TRAILER, 0) + self.buffers_size

    @property
    def buffers_size(self) -> int:
        """Bytes of the large buffers alone."""
        return size_of(self.raw) - len(self.raw) if len(self.raw) > records.TRAILER else 0

    @property
    def expires(self) -> float | None:
        """When the entry expires, in seconds since 1970; None if it does not."""
        time = time_of(self.raw)
        return None if time is None else time / 1_000_000

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of the entry, in order."""
        return tuple(sorted(texts_of(tags_of(self.raw))))

    @property
    def form(self) -> str:
        """Codec and layers, the outermost first: ``"pickle"``, ``"zstd json"``, ``"signed (0a1b2c3d) pickle"``."""
        headers = self._headers()
        return f"tag {self.raw[:1].hex() or 'missing'}" if headers is None else said_of(headers)

    @property
    def codec(self) -> str | None:
        """The name of the codec, as ``codec=`` of :func:`coshelf.open`; None if only a later version knows it."""
        headers = self._headers()
        if headers is None:
            return None
        number = codec_of(headers)
        return "pickle" if number is None else NAMES.get(number)

    @property
    def is_signed(self) -> bool:
        """Whether it has a signature, valid or not."""
        return records.SIGNATURE in (self._headers() or ())

    @property
    def is_encrypted(self) -> bool:
        """Whether its payload is encrypted."""
        return records.ENCRYPTION in (self._headers() or ())

    @property
    def is_compressed(self) -> bool:
        """Whether its payload is compressed."""
        return records.COMPRESSION in (self._headers() or ())

    @property
    def is_intact(self) -> bool:
        """Whether the checksum fits the key and the bytes."""
        return records.is_intact(self._encoded, self.raw)

    def decode(self, *, copy: bool = False) -> V:
        """The value. Raises what reading the shelf raises.

        Args:
            copy: as for :meth:`coshelf.Shelf.get`.

        Raises:
            DamagedRecord: the record is not what was written. Or its large buffers were removed, because the entry was
                overwritten after it was read.
            UnreadableValue, UntrustedValue: the value cannot be decoded here.
        """
        value: V = self._codec.load(self._key, self._encoded, self.raw, copy)
        return value

    def payload(self) -> bytes:
        """The output of the codec for the value, decrypted and decompressed: the pickle, the JSON, the bytes.

        Large buffers beside a pickle are not in it. Raises as :meth:`decode`, and loads nothing.
        """
        if not self.is_intact:
            raise damaged(self._key, self.raw)
        return self._codec.opened(self._key, self._encoded, self.raw)[1]

    def preview(self, *, length: int = 80, steps: int = 5_000) -> Preview:
        """Type, size and beginning of the value. Nothing is unpickled. As :meth:`coshelf.Shelf.preview`.

        Args:
            length: the approximate number of characters that ``text`` may have.
            steps: the largest number of instructions of a pickle that are followed.
        """
        from coshelf.inspection.preview import preview_of

        return preview_of(self.raw, length=length, steps=steps)

    def _headers(self) -> dict[int, bytes] | None:
        """The headers by their kinds; empty for a plain pickle; None if they cannot be read."""
        tag = self.raw[0] if len(self.raw) > records.TRAILER else -1
        if tag in (records.PICKLE, records.OLD_PICKLE):
            return {}
        found = records.read_headers(self.raw) if tag == records.HEADERED else None
        return None if found is None else found[0]
