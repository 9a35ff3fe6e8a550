"""A log without a shelf: its file and its state page, as a base's two files would have them."""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Any

from coshelf import _native

__all__ = ["SEGMENT", "SIZE", "LogFile", "row", "sealed"]

FIXED = 4096 + (1 << 20)
SIZE = FIXED + (4 << 20)
SEGMENT = (SIZE - FIXED) // 2
CLAIM, GENERATION, DIRTY, BELL = 0, 4, 8, 12
_MINE = 7


class LogFile:
    """The files of a log in a directory. Every process opens it anew."""

    def __init__(self, directory: Path, size: int = SIZE) -> None:
        self.path = directory / "log"
        self._size = size
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._descriptor, size)
        page = os.open(directory / "state", os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(page, 4096)
        self.page = mmap.mmap(page, 4096)
        os.close(page)
        self.page[GENERATION : GENERATION + 4] = struct.pack("=I", _MINE)

    def open(self) -> Any:
        """A Log that uses the files."""
        size, page = self._size, memoryview(self.page)
        return _native.Log(self._descriptor, size, page, CLAIM, GENERATION, DIRTY, BELL, _MINE)

    def made(self, number: int = 0) -> Any:
        """A Log that has just been made in the files."""
        log = self.open()
        log.make(number)
        return log

    @property
    def descriptor(self) -> int:
        """A descriptor of the log's file."""
        return self._descriptor

    @property
    def is_dirty(self) -> bool:
        """Whether the state page says that the base lacks commits."""
        return self.page[DIRTY] != 0

    def claim(self, claimed: bool) -> None:
        """Say that another process holds the exclusive lock, or that none does."""
        self.page[CLAIM] = claimed

    def close(self) -> None:
        """Close the descriptor. The state page stays mapped while logs use it."""
        os.close(self._descriptor)


def row(key: bytes, body: bytes) -> tuple[bytes, bytes, int]:
    """What a commit takes for one key."""
    return key, body, zlib.crc32(body, zlib.crc32(key))


def sealed(key: bytes, body: bytes, number: int) -> bytes:
    """The record that a commit with this number makes."""
    content = body + struct.pack("=Q", number)
    return content + struct.pack("=I", zlib.crc32(content, zlib.crc32(key)))
