"""The puts of one batch, of which only a limited size is in memory. The rest waits in a file."""

from __future__ import annotations

import os
import pickle
import tempfile
import weakref
from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import IO, Any

from coshelf import records
from coshelf.native import instead
from coshelf.values.blobs import Body, NewBlob

__all__ = ["SpooledPuts", "in_order", "sealed_pages"]

_LIMIT = 8 << 20
_OVERHEAD = 200  # bytes that a dict and two bytes objects take beside what they hold; as in native/batch.c
_AT_ONCE = 64  # items of a run that are read together

_Item = tuple[bytes, bytes]


def in_order(puts: dict[bytes, bytes]) -> list[_Item]:
    """The items of a dict in the order of its keys."""
    return [(key, puts[key]) for key in sorted(puts)]


def sealed_pages(puts: dict[bytes, bytes], sequence: int, most: int) -> Iterator[list[_Item]]:
    """Keys with their records in order, at most so many at a time. All are of the commit with this number."""
    rows = in_order(puts)
    return (records.sealed(rows[at : at + most], sequence) for at in range(0, len(rows), most))


def add_puts(into: dict[bytes, bytes], puts: dict[bytes, bytes]) -> int | None:
    """Add puts to others. Return what they take in memory; None, without adding any, if not all are plain bytes."""
    if {*map(type, puts), *map(type, puts.values())} - {bytes}:
        return None
    into.update(puts)
    return sum(map(len, puts)) + sum(map(len, puts.values())) + len(puts) * _OVERHEAD


add_puts = instead("add_puts", add_puts)
in_order = instead("in_order", in_order)
sealed_pages = instead("SealedPages", sealed_pages)


class SpooledPuts(MutableMapping[bytes, bytes]):
    """Keys and bodies, of which at most ``limit`` bytes are in memory.

    The rest lies in sorted runs in a temporary file beside the shelf. The file has no name, and ends with this object.
    ``len`` counts a key once for each run that has it.
    """

    def __init__(self, directory: str, limit: int = _LIMIT) -> None:
        self._directory = directory
        self._limit = limit
        self._held: dict[bytes, bytes] = {}
        self._size = 0
        self._runs: list[list[int]] = []  # for each run, where its pieces begin
        self._written = 0
        self.blobs: list[NewBlob] = []  # the blobs that the bodies name
        self._file: IO[bytes] | None = None

    @property
    def is_spooled(self) -> bool:
        """Whether some of it is in a file."""
        return self._file is not None

    def __setitem__(self, key: bytes, body: bytes) -> None:
        if type(body) is Body:
            self.blobs.append(body.blob)
            body = bytes(body)
        self._held[key] = body
        self._size += len(key) + len(body) + _OVERHEAD
        if self._size > self._limit:
            self._spool()

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Add all items of a dict. As ``dict.update``, in fewer steps than one call for each key."""
        some: dict[bytes, bytes] = other if type(other) is dict and not more else dict(other, **more)
        size = add_puts(self._held, some)
        if size is None:
            super().update(some)
            return
        self._size += size
        if self._size > self._limit:
            self._spool()

    def _spool(self) -> None:
        if self._file is None:
            try:
                self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 (lives as long as this object)
            except PermissionError:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115
            weakref.finalize(self, self._file.close)
        self._file.seek(0, os.SEEK_END)  # a look-up may have left it elsewhere
        items = in_order(self._held)
        pieces = []
        for at in range(0, len(items), _AT_ONCE):
            pieces.append(self._file.tell())
            pickle.dump(items[at : at + _AT_ONCE], self._file, pickle.HIGHEST_PROTOCOL)
        self._runs.append(pieces)
        self._written += len(items)
        self._held = {}
        self._size = 0

    def _read(self, pieces: list[int]) -> Iterator[_Item]:
        assert self._file is not None
        for place in pieces:
            self._file.seek(place)
            yield from pickle.load(self._file)

    def in_order(self) -> Iterator[_Item]:
        """All items in the order of their keys. Of equal keys only the one that was put last."""
        if self._file is None:
            return iter(in_order(self._held))
        return self._merged()

    def sealed_pages(self, sequence: int, most: int) -> Iterator[list[_Item]]:
        """As :func:`sealed_pages`."""
        if self._file is None:
            return sealed_pages(self._held, sequence, most)
        items = self._merged()
        return (records.sealed(some, sequence) for some in iter(lambda: list(islice(items, most)), []))

    def _merged(self) -> Iterator[_Item]:
        if self._held:  # the transaction that takes the items needs the memory
            self._spool()
        runs = [self._read(pieces) for pieces in self._runs]
        merged = merge(*runs, key=itemgetter(0))  # of equal keys, the one of the earlier run comes first
        last = next(merged)
        for item in merged:
            if item[0] != last[0]:
                yield last
            last = item
        yield last

    def __iter__(self) -> Iterator[bytes]:
        return (key for key, _ in self.in_order())

    def items(self) -> ItemsView[bytes, bytes]:
        return super().items() if self._file is not None else self._held.items()

    def values(self) -> ValuesView[bytes]:
        return super().values() if self._file is not None else self._held.values()

    def __len__(self) -> int:
        return self._written + len(self._held)

    def __getitem__(self, key: bytes) -> bytes:
        if key in self._held:
            return self._held[key]
        for other, body in self.in_order():
            if other == key:
                return body
        raise KeyError(key)

    def __delitem__(self, key: bytes) -> None:
        raise NotImplementedError("puts are only added")
