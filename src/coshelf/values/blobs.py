"""Large buffers that lie in files of their own, beside the records that name them. docs/format.md, "Blobs".

A value's buffers make one blob. Its record has a header that refers to it; the bytes come back as views on the file.
"""

from __future__ import annotations

import os
import struct
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coshelf import records
from coshelf.errors import DamagedRecord

__all__ = ["LARGE", "Blobs", "Body", "MissingBlob", "NewBlob", "Reference", "reference_in", "size_of"]

LARGE = 1 << 20
"""Buffers of this size in bytes, and larger ones, go to a blob."""

ID = 16  # bytes
_HEAD = struct.Struct(f"<{ID}sI")
_SIZE = 8
_PAGE = 4096  # buffers begin at multiples of this, so that each is aligned whatever it holds
MOST_BUFFERS = (records.LARGEST_HEADER - _HEAD.size) // _SIZE


class MissingBlob(DamagedRecord):
    """The blob that a record names does not exist, or is not what was written."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a record says of its blob.

    Attributes:
        id: of the blob, never used again.
        checksum: the CRC-32 of all buffers, one after the other.
        sizes: of the buffers, in bytes.
    """

    id: bytes
    checksum: int
    sizes: tuple[int, ...]

    def pack(self) -> bytes:
        """The data of the header."""
        return _HEAD.pack(self.id, self.checksum) + b"".join(size.to_bytes(_SIZE, "little") for size in self.sizes)

    @property
    def places(self) -> list[int]:
        """Where the buffers begin in the blob's file: behind one page that says which it is."""
        places, at = [], _PAGE
        for size in self.sizes:
            places.append(at)
            at += -(-size // _PAGE) * _PAGE
        return places

    @property
    def length(self) -> int:
        """Bytes of the blob's file."""
        return self.places[-1] + self.sizes[-1]


def unpack(data: bytes) -> Reference | None:
    """The reference in the data of a header; None if the data is not a reference."""
    if len(data) <= _HEAD.size or (len(data) - _HEAD.size) % _SIZE:
        return None
    identity, checksum = _HEAD.unpack_from(data)
    count = (len(data) - _HEAD.size) // _SIZE
    return Reference(identity, checksum, struct.unpack_from(f"<{count}Q", data, _HEAD.size))


def reference_in(record: bytes) -> Reference | None:
    """The reference in a record; None if it has none, which the first byte tells of most records."""
    if record[0] != records.HEADERED or len(record) <= records.TRAILER or record[1] > records.BLOB:
        return None
    found = records.read_headers(record)
    if found is None or records.BLOB not in found[0]:
        return None
    return unpack(found[0][records.BLOB])


def size_of(record: bytes) -> int:
    """Bytes of a record, and of the buffers that it names."""
    reference = reference_in(record)
    return len(record) if reference is None else len(record) + sum(reference.sizes)


class NewBlob:
    """A blob that no commit names yet. Its file is removed with the last reference to this object, unless it is kept.

    Attributes:
        reference: what its record says.
        key: the encoded key of that record.
    """

    def __init__(self, reference: Reference, key: bytes, remove: Callable[[], object]) -> None:
        self.reference = reference
        self.key = key
        self._remove = remove
        self._finalizer: weakref.finalize[..., NewBlob] | None = None
        self.give_up()

    def keep(self) -> None:
        """From now on a commit may name it."""
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None

    def give_up(self) -> None:
        """No commit names it after all: its file is removed, unless it is kept later."""
        if self._finalizer is None:
            self._finalizer = weakref.finalize(self, _remove_in, os.getpid(), self._remove)


def _remove_in(pid: int, remove: Callable[[], object]) -> None:
    if os.getpid() == pid:  # in a forked child it is the parent's
        remove()


class Body(bytes):
    """The body of a record that names a blob which no commit names yet.

    It keeps that blob. When a transaction fails or the value is set once more, the body is dropped, and its blob is
    removed.
    """

    blob: NewBlob

    @classmethod
    def of(cls, body: bytes, blob: NewBlob) -> Body:
        made = cls(body)
        made.blob = blob
        return made


class Blobs(ABC):
    """Where an engine keeps blobs."""

    @abstractmethod
    def write(self, key: bytes, buffers: Sequence[memoryview]) -> NewBlob:
        """Write buffers for the record of a key. Raises StorageFull and StorageError."""

    @abstractmethod
    def views(self, reference: Reference) -> list[memoryview]:
        """The buffers of a blob, read-only and not copied. They are valid as long as they are referred to.

        Raises :class:`MissingBlob`.
        """
