"""Reads and writes at a position of a file, whatever the position of its descriptor."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

__all__ = ["read_at", "read_into", "write_at"]

_turn = threading.Lock()


def _read_after_seek(descriptor: int, length: int, position: int) -> bytes:
    with _turn:  # the position belongs to the descriptor, which threads share
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.read(descriptor, length)


def _write_after_seek(descriptor: int, content: bytes | memoryview, position: int) -> int:
    with _turn:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.write(descriptor, content)


def _read_into_after_seek(descriptor: int, buffers: Sequence[bytearray | memoryview], position: int) -> int:
    total = 0
    for buffer in buffers:
        content = _read_after_seek(descriptor, len(buffer), position + total)
        memoryview(buffer)[: len(content)] = content
        total += len(content)
        if len(content) < len(buffer):
            break
    return total


read_at = getattr(os, "pread", _read_after_seek)
"""As ``os.pread``. Without it (Windows) the descriptor's own position changes."""

write_at = getattr(os, "pwrite", _write_after_seek)
"""As ``os.pwrite``. Without it (Windows) the descriptor's own position changes."""

read_into = getattr(os, "preadv", _read_into_after_seek)
"""As ``os.preadv`` without flags: reads into buffers of bytes."""
