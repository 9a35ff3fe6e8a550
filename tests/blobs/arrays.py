"""Arrays that say by themselves whether they are whole, and what lies beside a shelf. Workers import it, too."""

from __future__ import annotations

import os
import zlib
from typing import Any

import numpy as np

from coshelf.values.blobs import LARGE

__all__ = ["LARGE", "blob_paths", "blobs", "is_whole", "signed", "write_over"]


def signed(number: int, size: int = LARGE) -> Any:
    """An array of bytes, a function of a number, whose last four are the checksum of the others."""
    array = np.arange(size, dtype="u4").view("u1")[:size] ^ np.uint8(number % 251)
    array[:8] = np.frombuffer(number.to_bytes(8, "little"), "u1")
    array[-4:] = np.frombuffer(zlib.crc32(array[:-4]).to_bytes(4, "little"), "u1")
    return array


def is_whole(array: Any) -> bool:
    """Whether an array is one that :func:`signed` made, from its first byte to its last."""
    return zlib.crc32(array[:-4]) == int.from_bytes(bytes(array[-4:]), "little")


def blobs(path: str) -> list[str]:
    """The names of the blobs of the shelf at this path."""
    try:
        return sorted(name for name in os.listdir(path + ".coshelf-blobs") if name != "writers")
    except FileNotFoundError:
        return []


def blob_paths(path: str) -> list[str]:
    return [os.path.join(path + ".coshelf-blobs", name) for name in blobs(path)]


def write_over(path: str, at: int, data: bytes) -> None:
    """Change a file from outside."""
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)
