"""Reads the pages of a file by its descriptor, without LMDB. Damage does no harm: this only reads what there is."""

from __future__ import annotations

import os
import zlib

from coshelf import records
from coshelf.engines.lmdb.pages.layout import PAGE_HEADER, Node
from coshelf.system.files.positions import read_at

__all__ = ["Pages"]

_CHUNK = 1 << 20
_NO_FILE_IS_LARGER = 1 << 62


class Pages:
    """The pages of a file, read by descriptor."""

    def __init__(self, descriptor: int, page_size: int) -> None:
        self._descriptor = descriptor
        self.size = page_size

    @property
    def status(self) -> os.stat_result:
        """The ``os.fstat`` of the file."""
        return os.fstat(self._descriptor)

    @property
    def length(self) -> int:
        """The size of the file in bytes."""
        return self.status.st_size

    def read(self, number: int) -> bytes | None:
        """A page; None if the file ends before the page does."""
        page = self._read(number * self.size, self.size)
        return page if len(page) == self.size else None

    def _read(self, at: int, size: int) -> bytes:
        """As many of these bytes as the file has. Damage may name a place that no file can have."""
        return read_at(self._descriptor, size, at) if size > 0 and at < _NO_FILE_IS_LARGER else b""

    def value(self, node: Node) -> bytes:
        """The value of a node, or as much of it as there is."""
        if node.value is not None:
            return node.value
        at = node.first * self.size + PAGE_HEADER
        # Not more than the file has: damage may say any size, and the read would take that much memory.
        return self._read(at, min(node.size, self.length - at))

    def first_byte(self, node: Node) -> int | None:
        """The first byte of a node's value; None if there is none."""
        start = node.value if node.value is not None else self._read(node.first * self.size + PAGE_HEADER, 1)
        return start[0] if start else None

    def version(self, node: Node) -> int:
        """The number of the commit that wrote the record of a node; any number, if the value is not a record."""
        if node.value is not None:
            return records.version(node.value)
        end = node.first * self.size + PAGE_HEADER + node.size
        return records.version(self._read(end - records.TRAILER, records.TRAILER))

    def is_record(self, node: Node, key: bytes) -> bool:
        """Whether the value is a record that was sealed under this key."""
        return node.size > records.TRAILER and self.checksum(node, zlib.crc32(key)) == records.RESIDUE

    def checksum(self, node: Node, seed: int) -> int:
        """The CRC-32 of the value, without having all of a large one in memory."""
        if node.value is not None:
            return zlib.crc32(node.value, seed)
        at, end = node.first * self.size + PAGE_HEADER, node.first * self.size + PAGE_HEADER + node.size
        while at < end:
            some = self._read(at, min(_CHUNK, end - at))
            if not some:
                return ~seed
            seed = zlib.crc32(some, seed)
            at += len(some)
        return seed
