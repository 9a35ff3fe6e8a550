"""The rows about blobs. docs/format.md, "Blobs".

One kind of row says which blobs were committed, one which entry names each, and one which are not named any more. The
delta has a row of the first kind for each new blob of a commit. A flush writes all three kinds to the base.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING

from coshelf import records
from coshelf.contract import Batch
from coshelf.engines.lmdb import long_keys
from coshelf.engines.lmdb.spooled import SpooledPuts
from coshelf.system.file_systems.durable import sync_removals
from coshelf.values.blobs import ID, Body, reference_in

if TYPE_CHECKING:
    import lmdb

__all__ = [
    "ROWS",
    "Catalogue",
    "committed_rows",
    "dropped_blobs",
    "is_about_blobs",
    "named_key",
    "rows_of_blob",
    "with_blob_rows",
]

_COMMITTED = b"\x03\x00"  # and the blob's id: the encoded key of the entry that named it first
_NAMED = b"\x03\x01"  # and an encoded key: the id of the blob that its entry names
_DROPPED = b"\x03\x02"  # and the blob's id: the transaction of the base from which on nothing names it
_BEHIND = b"\x03\x03"
ROWS = (_COMMITTED, _BEHIND)
"""The range of all these rows."""

_TRANSACTION = 8  # bytes

Row = tuple[bytes, bytes]


def with_blob_rows(batch: Batch) -> Batch:
    """The batch with its new blobs, and with the rows that a commit stores beside records that name new blobs."""
    puts = batch.puts
    if isinstance(puts, SpooledPuts):
        blobs = puts.blobs
    else:
        blobs = [body.blob for body in puts.values() if type(body) is Body]
    if not blobs:
        return batch
    rows = {_COMMITTED + blob.reference.id: blob.key for blob in blobs}
    if isinstance(puts, SpooledPuts):
        puts.update(rows)
    else:
        puts = {**puts, **rows}
    return replace(batch, puts=puts, blobs=blobs)


def committed_rows(rows: list[Row]) -> Iterator[bytes]:
    """The ids of the blobs that rows of the delta name as committed. The rows are in order."""
    start = bisect_left(rows, (_COMMITTED,))
    for key, _ in rows[start:]:
        if not key.startswith(_COMMITTED):
            return
        yield key[len(_COMMITTED) :]


def rows_of_blob(identity: bytes) -> tuple[bytes, bytes]:
    """The keys of two rows. Every committed blob has one of them."""
    return _COMMITTED + identity, _DROPPED + identity


def named_key(key: bytes) -> bytes | None:
    """The key of an entry, from the row that says which blob this entry names; None for another row."""
    return key[len(_NAMED) :] if key.startswith(_NAMED) else None


def is_about_blobs(key: bytes) -> bool:
    """Whether a row is about blobs. A copy does not take these rows over, but makes its own."""
    return _COMMITTED <= key < _BEHIND


def dropped_blobs(transaction: lmdb.Transaction[bytes]) -> list[tuple[bytes, int]]:
    """The ids of blobs that nothing names any more, each with the transaction from which on nothing names it."""
    return [
        (key[len(_DROPPED) :], int.from_bytes(record[:_TRANSACTION], "little"))
        for key, record in _walk(transaction, _DROPPED, _BEHIND)
    ]


def _walk(transaction: lmdb.Transaction[bytes], start: bytes, stop: bytes) -> Iterator[Row]:
    for key, record in long_keys.walk(transaction, start, stop, False, False):
        assert record is not None
        yield key, record


class Catalogue:
    """Keeps the rows about blobs correct while one write transaction of the base changes entries.

    ``put`` and ``delete`` change a row in that transaction.
    """

    def __init__(
        self,
        transaction: lmdb.Transaction[bytes],
        put: Callable[[bytes, bytes], None],
        delete: Callable[[bytes], None],
    ) -> None:
        self._transaction = transaction
        self._put = put
        self._delete = delete
        cursor = transaction.cursor()
        # Most shelves have no blobs. Then changed entries need not be looked at.
        self.is_empty = not cursor.set_range(_COMMITTED) or cursor.key() >= _BEHIND
        self._committed: set[bytes] = set()  # ids in rows that were taken over
        self._named: set[bytes] = set()  # ids in records that were put
        self._number = 0

    def take(self, rows: list[Row]) -> list[Row]:
        """Take rows, which are in order, into account. Return those that are not about blobs."""
        start, stop = bisect_left(rows, (_COMMITTED,)), bisect_left(rows, (_BEHIND,))
        if start < stop:
            for key, record in rows[start:stop]:
                if key.startswith(_COMMITTED):
                    self._committed.add(key[len(_COMMITTED) :])
                    self._number = records.version(record)
            rows = rows[:start] + rows[stop:]
        if not self.is_empty or records.HEADERED in map(itemgetter(0), map(itemgetter(1), rows)):
            for key, record in rows:
                self._see(key, record)
        return rows

    def _see(self, key: bytes, record: bytes) -> None:
        """Note that the entry of a key gets this record. A record without a body means that the entry is deleted."""
        reference = reference_in(record)
        if reference is None and self.is_empty:
            return
        number = records.version(record)
        name = _NAMED + key
        before = self._transaction.get(long_keys.physical(name))
        if before is not None:
            identity = before[:ID]
            if reference is not None and identity == reference.id:
                return
            self._drop(identity, number)
        if reference is not None:
            self.is_empty = False
            self._named.add(reference.id)
            self._store(name, reference.id, number)
            self._store(_COMMITTED + reference.id, key, number)
        elif before is not None:
            self._delete(name)

    def delete(self, key: bytes, number: int) -> None:
        """Note that an entry is deleted."""
        if not self.is_empty:
            self._see(key, records.seal(b"", 0, number))

    def clear(self, start: bytes, stop: bytes, number: int) -> None:
        """Note that all entries of a range are deleted."""
        if self.is_empty:
            return
        for name, record in list(_walk(self._transaction, _NAMED + start, _NAMED + stop)):
            self._drop(record[:ID], number)
            self._delete(name)

    def _drop(self, identity: bytes, number: int) -> None:
        self.is_empty = False
        self._store(_DROPPED + identity, self._transaction.id().to_bytes(_TRANSACTION, "little"), number)
        if self._transaction.get(_COMMITTED + identity) is not None:
            self._delete(_COMMITTED + identity)

    def finish(self, folder: str) -> None:
        """At the end of the transaction: drop blobs that were committed and are not named.

        Also remove the rows of dropped blobs whose files are gone.
        """
        for identity in self._committed - self._named:
            self._drop(identity, self._number)
        if not self.is_empty:
            dropped = [identity for identity, _ in dropped_blobs(self._transaction)]
            gone = [identity for identity in dropped if not os.path.lexists(os.path.join(folder, identity.hex()))]
            # A power cut can bring back a file whose removal was not synced. Without its row it would stay for ever.
            if gone and sync_removals(folder):
                for identity in gone:
                    self._delete(_DROPPED + identity)

    def _store(self, key: bytes, body: bytes, number: int) -> None:
        self._put(key, records.seal(body, records.checksum(key, body), number))
