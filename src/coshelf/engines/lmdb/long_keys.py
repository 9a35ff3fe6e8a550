"""Keys of any length on an engine that takes 511 bytes.

A key of more than CHUNK bytes is split into chunks. Each chunk but the last becomes a link row. What follows it lies in
a layer: a range of rows whose prefix is a digest of all chunks before. docs/format.md, "Long keys", has the bytes.
The rows of a key depend on that key alone. So one look-up finds it, and it has the same rows in base and delta.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING

from coshelf.keys import LAST, prefix_end

if TYPE_CHECKING:
    import lmdb

__all__ = ["CHUNK", "LAYERS", "are_there", "delete", "everything", "physical", "put", "rows_from", "walk"]

CHUNK = 493
LAYERS = b"\x02"
_LINK = b"\x00"
_DIGEST = 16


def physical(key: bytes) -> bytes:
    """The row at which the entry of a key lies."""
    if len(key) <= CHUNK:
        return key
    layers = (len(key) - 1) // CHUNK * CHUNK
    return _layer(blake2b(key[:layers], digest_size=_DIGEST).digest()) + key[layers:]


def put(transaction: lmdb.Transaction[bytes], key: bytes, record: bytes) -> int:
    """Store an entry. Return how many links were made for it."""
    transaction.put(physical(key), record)
    if len(key) <= CHUNK:
        return 0
    return sum(transaction.put(link, _LINK, overwrite=False) for link, _ in _links(key))


def delete(transaction: lmdb.Transaction[bytes], key: bytes) -> tuple[bool, int]:
    """Remove an entry. Return whether it was there, and how many links were removed with it."""
    if not transaction.delete(physical(key)):
        return False, 0
    removed = 0
    if len(key) > CHUNK:
        cursor = transaction.cursor()
        for link, layer in reversed(list(_links(key))):
            if cursor.set_range(layer) and cursor.key().startswith(layer):
                break
            transaction.delete(link)
            removed += 1
    return True, removed


def walk(
    transaction: lmdb.Transaction[bytes], start: bytes, stop: bytes, reverse: bool, keys_only: bool
) -> Iterator[tuple[bytes, bytes]]:
    """The keys in ``[start, stop)`` with their records, in order. With ``keys_only`` each record is empty."""
    layers = [_Layer(transaction, b"", blake2b(digest_size=_DIGEST), start, stop, reverse, keys_only)]
    while layers:
        layer = layers[-1]
        for key, record in layer.rows:
            if len(key) <= CHUNK and not layer.skip:
                yield key, record
                continue
            if len(key) - layer.skip <= CHUNK:
                yield b"".join([*(above.chunk for above in layers), key[layer.skip :]]), record
                continue
            layers.append(layer.below(key[layer.skip : -1]))
            break
        else:
            layers.pop()


def everything(transaction: lmdb.Transaction[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """All keys with their records in order, those of our own rows included. Links to long keys are left out."""
    yield from walk(transaction, b"", LAYERS, False, False)
    yield from walk(transaction, prefix_end(LAYERS), LAST, False, False)


def _layer(digest: bytes) -> bytes:
    return LAYERS + digest


def _links(key: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The links of a long key, each with the layer that it leads to."""
    above = blake2b(digest_size=_DIGEST)
    layer = b""
    for at in range(CHUNK, len(key), CHUNK):
        chunk = key[at - CHUNK : at]
        above.update(chunk)
        link = layer + chunk + _LINK
        layer = _layer(above.digest())
        yield link, layer


class _Layer:
    """A walk over one layer. ``start`` and ``stop`` are relative to it; None means no bound.

    Attributes:
        chunk: the chunk of the link that leads to this layer. Each key here begins with the chunks of the layers above
            and this one.
        skip: how many bytes at the beginning of each row name the layer.
        rows: the rows that the walk has not reached yet.
    """

    def __init__(
        self,
        transaction: lmdb.Transaction[bytes],
        chunk: bytes,
        above: blake2b,
        start: bytes | None,
        stop: bytes | None,
        reverse: bool,
        keys_only: bool,
    ) -> None:
        self._transaction = transaction
        self._above = above
        self._start = start
        self._stop = stop
        self._reverse = reverse
        self._keys_only = keys_only
        self.chunk = chunk
        layer = _layer(above.digest()) if chunk else b""
        self.skip = len(layer)
        self.rows = _rows_of_layer(transaction, layer, start, stop, reverse, keys_only)

    def below(self, chunk: bytes) -> _Layer:
        """The layer that the link with this chunk leads to."""
        above = self._above.copy()
        above.update(chunk)
        start, stop = _below(self._start, chunk), _below(self._stop, chunk)
        return _Layer(self._transaction, chunk, above, start, stop, self._reverse, self._keys_only)


def _rows_of_layer(
    transaction: lmdb.Transaction[bytes],
    layer: bytes,
    start: bytes | None,
    stop: bytes | None,
    reverse: bool,
    keys_only: bool,
) -> Iterator[tuple[bytes, bytes]]:
    """The rows of a layer. Not a method: in a cycle with its object the transaction would stay until a collection."""
    low = layer if start is None else layer + (start if len(start) <= CHUNK else start[:CHUNK] + _LINK)
    if stop is None:
        high = prefix_end(layer)
    else:  # the link that leads to a long bound is within the bounds
        high = layer + (stop if len(stop) <= CHUNK else stop[:CHUNK] + b"\x01")
    cursor = transaction.cursor()
    if not _position(cursor, low, high, reverse):
        return
    for key, record in rows_from(cursor, reverse, keys_only):
        if key < low if reverse else key >= high:
            return
        yield key, record


def are_there(transaction: lmdb.Transaction[bytes]) -> bool:
    """Whether any key is longer than one row can hold."""
    cursor = transaction.cursor()
    return cursor.set_range(LAYERS) and cursor.key().startswith(LAYERS)


def rows_from(cursor: lmdb.Cursor[bytes], reverse: bool, keys_only: bool) -> Iterator[tuple[bytes, bytes]]:
    """The rows from the cursor's place on. With ``keys_only`` each value is empty."""
    if not keys_only:
        return cursor.iterprev() if reverse else cursor.iternext()
    keys = cursor.iterprev(values=False) if reverse else cursor.iternext(values=False)
    return ((key, b"") for key in keys)


def _below(bound: bytes | None, chunk: bytes) -> bytes | None:
    """The bound relative to the layer under this link; None if the bound is not in that layer."""
    if bound is not None and len(bound) > CHUNK and bound.startswith(chunk):
        return bound[CHUNK:]
    return None


def _position(cursor: lmdb.Cursor[bytes], low: bytes, high: bytes, reverse: bool) -> bool:
    if not reverse:
        return cursor.set_range(low)
    if cursor.set_range(high):
        return cursor.prev()
    return cursor.last()
