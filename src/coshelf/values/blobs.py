"""Blobs: large buffers in files of their own, beside the shelf. docs/format.md, "Blobs".

All large buffers of a value make one blob. The value's record has a header that names it. Loading gives views on the
file.
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
_PAGE = 4096  # buffers begin at multiples of this, so each is aligned for any type
MOST_BUFFERS = (records.LARGEST_HEADER - _HEAD.size) // _SIZE


class MissingBlob(DamagedRecord):
    """The blob that a record names does not exist, or does not have the bytes that were written."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference from a record to its blob.

    Attributes:
        id: of the blob. No other blob ever has it.
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
        """Where the buffers begin in the blob's file. The first page has the blob's id."""
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
    """The reference in a record; None if it has none. For most records the first byte shows that."""
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
    """A blob that no commit names yet. Its file is removed when this object goes, unless :meth:`keep` was called.

    Attributes:
        reference: what the record of its value says of it.
        key: the encoded key of that record.
    """

    def __init__(self, reference: Reference, key: bytes, remove: Callable[[], object]) -> None:
        self.reference = reference
        self.key = key
        self._remove = remove
        self._finalizer: weakref.finalize[..., NewBlob] | None = None
        self.give_up()

    def keep(self) -> None:
        """Keep the file: from now on a commit may name the blob."""
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None

    def give_up(self) -> None:
        """Undo :meth:`keep`, because no commit names the blob after all."""
        if self._finalizer is None:
            self._finalizer = weakref.finalize(self, _remove_in, os.getpid(), self._remove)


def _remove_in(pid: int, remove: Callable[[], object]) -> None:
    if os.getpid() == pid:  # in a forked child, the file belongs to the parent
        remove()


class Body(bytes):
    """The body of a record, with the new blob that it names.

    The body refers to the blob. If a transaction fails or sets the value again, the body is dropped, and the file of
    the blob is removed.
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
        """The buffers of a blob, read-only and not copied. They stay valid as long as there are references to them.

        Raises :class:`MissingBlob`.
        """
