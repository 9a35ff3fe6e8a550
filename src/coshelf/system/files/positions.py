"""Reads and writes at a position of a file, whatever the position of its descriptor."""

from __future__ import annotations

import os
import threading

__all__ = ["read_at", "write_at"]

_turn = threading.Lock()


def _read_after_seek(descriptor: int, length: int, position: int) -> bytes:
    with _turn:  # the position belongs to the descriptor, which threads share
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.read(descriptor, length)


def _write_after_seek(descriptor: int, content: bytes | memoryview, position: int) -> int:
    with _turn:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.write(descriptor, content)


read_at = getattr(os, "pread", _read_after_seek)
"""As ``os.pread``. Without it (Windows) the descriptor's own position changes."""

write_at = getattr(os, "pwrite", _write_after_seek)
"""As ``os.pwrite``. Without it (Windows) the descriptor's own position changes."""
